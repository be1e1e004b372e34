"""The certificate of whoever connects, once the server has checked it."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import NamedTuple

CERTIFICATE = "postroom.certificate"
"""Where the server puts the checked certificate of a connection into an ASGI scope's `extensions`."""


class Certificate(NamedTuple):
    """A client certificate that the server has checked: its SANs (kind, name) and its DER bytes."""

    names: frozenset[tuple[str, str]]
    der: bytes

    @property
    def sha256(self) -> str:
        """Return the thumbprint as a token's `cnf` has it (RFC 8705 §3.1)."""
        return urlsafe_b64encode(sha256(self.der).digest()).decode().rstrip("=")
