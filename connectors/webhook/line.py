"""The line to a receiver: resolve, check, connect to that very address, TLS by the name, one answer.

httpcore alone, without httpx around it: it follows no redirect, asks no proxy of the environment, and lets
the connecting be ours, which is the one place where a name has become an address for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore

from connectors.backoff import read_retry_after
from connectors.trouble import Misused
from connectors.webhook.addresses import Address, Network, is_loopback, refusal
from connectors.webhook.answers import Answer, Outcome, outcome_of

ANSWER_BYTES_MAX = 65_536
HEADERS_KEPT = frozenset({"webhook-allowed-origin", "webhook-allowed-rate", "retry-after"})
KEEP_ALIVE_S = 15.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a name to its addresses; OSError."""


class AddressForbidden(Exception):  # noqa: N818 - it is forbidden
    """A name leads to an address that nothing is sent to; it says of which kind, never which."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects only where it may, to the address that was checked, without asking for it a second time."""

    def __init__(
        self, allowed: Sequence[Network], *, loopback_only: bool = False, resolving: Resolve = resolve
    ) -> None:
        self._allowed, self._loopback_only, self._resolve = allowed, loopback_only, resolving
        self._system = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect; AddressForbidden, httpcore.ConnectError, httpcore.ConnectTimeout."""
        try:
            async with asyncio.timeout(timeout):
                texts = await self._resolve(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name is not resolved in time") from None
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("the name is not resolved") from None
        # INVARIANT: all of them, before one is tried: a name that leads inside, even once in a while, is not
        # a receiver's.
        addresses = [self._checked(text) for text in texts]
        error: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses:
            try:
                return await self._system.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise AddressForbidden("a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def _checked(self, text: str) -> Address:
        address = ip_address(text)
        why = refusal(address, self._allowed)
        if why is None and self._loopback_only and not is_loopback(address):
            why = "not this machine, and the line is open"
        if why is not None:
            raise AddressForbidden(why)
        return address


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks certificates and names; there is no way to switch that off. Misused."""
    try:
        context = ssl.create_default_context(cafile=ca_file and str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise Misused(
            "the CA file of webhooks cannot be used",
            where=str(ca_file),
            why=error.strerror or str(error),
            mend="check POSTROOM_WEBHOOK_CA_FILE",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Line:
    """The connections to one receiver, a bounded number of them."""

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext,
        allowed: Sequence[Network],
        *,
        connections_max: int,
        timeout_s: float,
        resolving: Resolve = resolve,
    ) -> None:
        self.url, self._timeout_s = url, timeout_s
        is_open = urlsplit(url).scheme == "http"
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections_max,
            max_keepalive_connections=connections_max,
            keepalive_expiry=KEEP_ALIVE_S,
            retries=0,
            network_backend=CheckedBackend(allowed, loopback_only=is_open, resolving=resolving),
        )

    async def close(self) -> None:
        """End the connections."""
        with contextlib.suppress(Exception):  # they are being thrown away
            await self._pool.aclose()

    async def ask(self, method: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> Answer:
        """Make one request and say what came of it, within the time-out from the first to the last byte."""
        each = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            async with asyncio.timeout(self._timeout_s):
                sent = [("content-length", str(len(body))), *headers]
                raw = [(name.encode(), text.encode()) for name, text in sent]
                stream = self._pool.stream(
                    method, self.url, headers=raw, content=body, extensions={"timeout": each}
                )
                async with stream as response:
                    await _drain(response)
                    return _answer(response)
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(Outcome.TIMED_OUT)
        except AddressForbidden:
            return Answer(Outcome.FORBIDDEN)
        except (httpcore.ConnectError, httpcore.NetworkError) as error:
            untrusted = isinstance(error.__cause__ or error.__context__, ssl.SSLError)
            return Answer(Outcome.UNTRUSTED if untrusted else Outcome.UNREACHABLE)
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            return Answer(Outcome.FAILED)


async def _drain(response: httpcore.Response) -> None:
    """Read what little an answer may say; what is longer ends its connection unread."""
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > ANSWER_BYTES_MAX:
            return


def _answer(response: httpcore.Response) -> Answer:
    headers = {
        name.decode("latin-1").lower(): text.decode("latin-1").strip()
        for name, text in response.headers
        if name.decode("latin-1").lower() in HEADERS_KEPT
    }
    retry_after_s = read_retry_after(headers.get("retry-after"), time.time())
    return Answer(outcome_of(response.status, retry_after_s), response.status, retry_after_s, headers)
