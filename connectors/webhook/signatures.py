"""Signatures of Standard Webhooks: v1 (HMAC-SHA256) and v1a (ed25519), by every key that an endpoint has.

What is signed is the id, the moment of the attempt and the body, with dots between. Several keys sign at
once, so that a receiver changes from one to the next without a gap: it takes the signature that it knows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SYMMETRIC, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
SEED_BYTES = 32
"""An ed25519 private key; some write its public key behind it."""


class NotAKey(ValueError):  # noqa: N818 - what it is not, in the words of the standard
    """A text that is no signing key; it says what is wrong and never the text."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key: `scheme` is v1 or v1a. Its repr holds no secret."""

    scheme: str
    secret: bytes = field(repr=False)

    def sign(self, content: bytes) -> str:
        """Return a signature as the header has it."""
        if self.scheme == "v1":
            signed = hmac.digest(self.secret, content, hashlib.sha256)
        else:
            signed = Ed25519PrivateKey.from_private_bytes(self.secret).sign(content)
        return f"{self.scheme},{base64.b64encode(signed).decode()}"

    @property
    def public(self) -> str | None:
        """What a receiver needs in order to verify v1a; None for v1, where it needs the secret itself."""
        return PUBLIC + base64.b64encode(_public(self.secret)).decode() if self.scheme == "v1a" else None


def read_key(text: str) -> SigningKey:
    """Read a key as Standard Webhooks writes it, `whsec_…` or `whsk_…`; NotAKey."""
    text = text.strip()
    if text.startswith(PUBLIC):
        raise NotAKey("whpk_ is the receiver's half of the key; whsk_ signs")
    prefix = next((each for each in (SYMMETRIC, PRIVATE) if text.startswith(each)), None)
    if prefix is None:
        raise NotAKey("a signing key begins with whsec_ or whsk_")
    try:
        raw = base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise NotAKey(f"what follows {prefix} is not base64") from None
    if prefix == SYMMETRIC:
        if not SECRET_BYTES_MIN <= len(raw) <= SECRET_BYTES_MAX:
            raise NotAKey(f"a whsec_ secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")
        return SigningKey("v1", raw)
    if len(raw) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise NotAKey("a whsk_ key has 32 bytes, or 64 with its public key behind it")
    if raw[SEED_BYTES:] not in (b"", _public(raw[:SEED_BYTES])):
        raise NotAKey("the public key in this whsk_ key belongs to another private key")
    return SigningKey("v1a", raw[:SEED_BYTES])


def signed_headers(
    message_id: str, timestamp_s: int, body: bytes, keys: Sequence[SigningKey]
) -> list[tuple[str, str]]:
    """Return the three headers of a delivery."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp_s)),
        ("webhook-signature", " ".join(key.sign(content) for key in keys)),
    ]


def _public(seed: bytes) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
