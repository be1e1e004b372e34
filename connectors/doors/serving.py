"""Serves the application: uvicorn on h11, TLS, and the certificate of whoever connects.

uvicorn checks a client's certificate and does not tell the application of it; the protocol here does. No
header says who asks: a proxy's word on certificates or addresses is not taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from connectors.doors.certificates import CERTIFICATE, Certificate
from connectors.log_line import say
from connectors.private_line import LOOPBACK
from connectors.trouble import Misused

KEEP_ALIVE_S = 30
GRACEFUL_S = 5
HEAD_S_MAX = 15
"""How long a request's head may take, from its first byte or, of a new connection, from its beginning."""
CONNECTIONS_MAX = 2_000
HEADERS_BYTES_MAX = 32_768
BACKLOG = 1_024
LOOK_EVERY_TICKS = 20
"""Of uvicorn's, ten a second: every two seconds at a certificate's files."""


class Tls(NamedTuple):
    """The server's certificate chain and key, and the CA of clients' certificates (None: no mTLS)."""

    certificate: Path
    key: Path
    client_ca: Path | None


class CertifiedProtocol(H11Protocol):
    """HTTP/1.1 whose requests carry the checked certificate of their connection, and begin in time.

    uvicorn waits for ever for a head that does not come; so many connections are all that is needed to keep
    everybody else out, with no credentials at all.
    """

    _too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember who connected, and when."""
        super().connection_made(cast("asyncio.Transport", transport))
        certificate = _certificate(transport.get_extra_info("ssl_object"))
        if certificate is not None:
            self.app = _with_certificate(self.app, certificate)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on; a head that has come whole is no longer awaited."""
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._await_no_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._await_no_head()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._too_slow is None:
            self._too_slow = self.loop.call_later(HEAD_S_MAX, self.transport.abort)

    def _await_no_head(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None


def _certificate(connection: ssl.SSLObject | None) -> Certificate | None:
    """The client's certificate, only if it was checked against the CA."""
    if connection is None or connection.context.verify_mode is ssl.CERT_NONE:
        return None
    der = connection.getpeercert(binary_form=True)
    said = connection.getpeercert()
    if der is None or not said:
        return None
    names: Any = said.get("subjectAltName", ())
    return Certificate(frozenset((str(kind), str(name)) for kind, name in names), der)


def _with_certificate(app: Any, certificate: Certificate) -> ASGIApp:
    async def certified(scope: Scope, receive: Receive, send: Send) -> None:
        extensions = {**(scope.get("extensions") or {}), CERTIFICATE: certificate}
        await app({**scope, "extensions": extensions}, receive, send)

    return certified


def listen(
    host: str, port: int, what: str = "the gateway", setting: str = "POSTROOM_GATEWAY"
) -> socket.socket:
    """Return a listening socket; Misused when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise Misused(
            f"{what} cannot listen",
            where=f"{host}:{port}",
            why=error.strerror or type(error).__name__,
            mend=f"name another with {setting}_HOST and {setting}_PORT, port 0 for any free one",
        ) from error
    return listening


def check_transport(
    host: str,
    tls: Tls | None,
    *,
    behind_tls: bool,
    what: str = "the gateway would take tokens",
    setting: str = "POSTROOM_GATEWAY",
) -> None:
    """Misused when tokens, or what else nobody may hear, would travel in the clear."""
    if tls is None and not behind_tls and host not in LOOPBACK:
        raise Misused(
            f"{what} in the clear",
            where=f"{setting}_HOST {host}",
            mend=f"give {setting}_TLS_CERTIFICATE and {setting}_TLS_KEY; or, where a proxy in front ends "
            f"TLS, {setting}_BEHIND_TLS=yes",
        )


def server(app: ASGIApp, tls: Tls | None) -> uvicorn.Server:
    """Return a server that is told where to listen by `serve(sockets=…)`."""
    secured: dict[str, Any] = {}
    if tls is not None:
        secured = {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
        if tls.client_ca is not None:
            # Optional in the handshake, because tokens suffice for some clients; a bad one ends it.
            secured |= {"ssl_ca_certs": str(tls.client_ca), "ssl_cert_reqs": ssl.CERT_OPTIONAL}
    config = uvicorn.Config(
        app,
        http=CertifiedProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,  # a path may hold a key, and a key may be an identifier
        proxy_headers=False,
        server_header=False,
        date_header=True,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_S,
        h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
        **secured,
    )
    try:
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    except OSError as error:  # ssl's own errors are OSErrors too
        raise Misused(
            "the gateway's certificate or key cannot be used",
            where=f"{tls.certificate}, {tls.key}" if tls else "",
            why=error.strerror or type(error).__name__,
        ) from error
    return _Server(config, tls)


def _state(tls: Tls) -> tuple[int, ...] | None:
    """Which files lie there now; None while one is missing."""
    try:
        found = [file.stat() for file in (tls.certificate, tls.key)]
    except OSError:
        return None
    return tuple(number for each in found for number in (each.st_ino, each.st_mtime_ns, each.st_size))


def _take_up(config: uvicorn.Config, tls: Tls) -> None:
    """Present what the files hold from now on; what does not fit together is told, and the old one stays."""
    where = f"{tls.certificate}, {tls.key}"
    try:
        # Tried apart: a certificate that is loaded before its key turns out wrong would be half in force.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password="")
        if config.ssl is not None:
            config.ssl.load_cert_chain(tls.certificate, tls.key, password="")
    except OSError as error:
        say("certificate-not-taken-up", "warning", where=where, why=error.strerror or "")
        return
    say("certificate-taken-up", where=where)


class _Server(uvicorn.Server):
    """Leaves signals to whoever started it: uvicorn's own way ends the process before it is tidied up.

    A certificate that is renewed in its files is taken up by new connections; open ones go on.
    """

    def __init__(self, config: uvicorn.Config, tls: Tls | None) -> None:
        super().__init__(config)
        self._tls = tls
        self._taken = self._seen = None if tls is None else _state(tls)

    async def on_tick(self, counter: int) -> bool:
        """Look at the files every few seconds; the parent's word on whether to end."""
        if self._tls is not None and counter % LOOK_EVERY_TICKS == 0:
            self._look(self._tls)
        return await super().on_tick(counter)

    def _look(self, tls: Tls) -> None:
        found = _state(tls)
        # INVARIANT: only files that lay still between two looks. The key may come after its certificate.
        lies_still, self._seen = found == self._seen, found
        if lies_still and found != self._taken and found is not None:
            self._taken = found
            _take_up(self.config, tls)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield
