"""When certificates end: those in our files, and those that a server presents.

A certificate that ends takes every new line with it at one moment, mostly at night, and lines that are open
hide it until then. So its end is a figure that can be looked at long before.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

ASK_S = 5.0
HTTPS_PORT = 443


class End(NamedTuple):
    """Whose certificate ends when, UTC ms; `where` is a file or an address."""

    where: str
    subject: str
    ends_ms: int


def ends_in(file: Path) -> list[End]:
    """The certificates of a PEM file; a file of keys alone has none. OSError, ValueError."""
    from cryptography import x509

    content = file.read_bytes()
    if b"CERTIFICATE" not in content:
        return []
    return [_end(str(file), each) for each in x509.load_pem_x509_certificates(content)]


def end_at(server: str) -> End | None:
    """The certificate that `host:port` presents, believed or not; None if it presents none in time.

    INVARIANT: nothing is said over this line. It is made to look at the certificate, also one that has ended,
    so it believes whoever answers.
    """
    from cryptography import x509

    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, int(port)), timeout=ASK_S) as line,
            context.wrap_socket(line, server_hostname=host) as tls,
        ):
            der = tls.getpeercert(binary_form=True)
        return None if der is None else _end(server, x509.load_der_x509_certificate(der))
    except (OSError, ValueError):
        return None


def ends_at(servers: Iterable[str]) -> list[End]:
    """What those that answer present."""
    return [found for server in servers if (found := end_at(server)) is not None]


def https_server(url: str) -> str | None:
    """The `host:port` of an HTTPS address; None of any other."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or HTTPS_PORT}"


def _end(where: str, certificate: Certificate) -> End:
    ends_ms = int(certificate.not_valid_after_utc.timestamp() * 1000)
    return End(where, certificate.subject.rfc4514_string(), ends_ms)
