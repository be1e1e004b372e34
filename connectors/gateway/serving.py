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

from connectors.gateway.access import CERTIFICATE, Certificate
from connectors.trouble import Misused

KEEP_ALIVE_S = 30
GRACEFUL_S = 5
CONNECTIONS_MAX = 2_000
HEADERS_BYTES_MAX = 32_768
BACKLOG = 1_024
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Tls(NamedTuple):
    """The server's certificate chain and key, and the CA of clients' certificates (None: no mTLS)."""

    certificate: Path
    key: Path
    client_ca: Path | None


class CertifiedProtocol(H11Protocol):
    """HTTP/1.1 whose requests carry the checked certificate of their connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember who connected."""
        super().connection_made(cast("asyncio.Transport", transport))
        certificate = _certificate(transport.get_extra_info("ssl_object"))
        if certificate is not None:
            self.app = _with_certificate(self.app, certificate)


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
    return _Server(config)


class _Server(uvicorn.Server):
    """Leaves signals to whoever started it: uvicorn's own way ends the process before it is tidied up."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield
