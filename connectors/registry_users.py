"""Who may write the registry of a secured local stack: signed tokens, which Apicurio checks by itself.

Everybody may read schemas, which hold nothing about anybody. Writing wants a token with a role, and what one
user made another does not change: so a worker, which registers its views, cannot touch a contract. The
registry is given the public half of a key at its start and asks nobody. A configured registry has an issuer
of its own: then the settings say where our token is.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.local_security import ADMIN, LocalSecurity
from connectors.state_files import locked, write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Token = Callable[[], str | None]
"""Gives the bearer token for the next request, or None where none is wanted; it may change over time."""

ISSUER, AUDIENCE = "urn:postroom:local-registry", "postroom-registry"
READS, WRITES, EVERYTHING = "sr-readonly", "sr-developer", "sr-admin"
"""Apicurio's roles."""
ROLE_OF: Mapping[str, str] = {ADMIN: EVERYTHING, "postroom.worker": WRITES}
"""The administrator registers contracts, a worker the schemas of its views (V1); everybody else reads."""
VALID_S = 300
RENEWED_S = 60
"""How old a token may be before the next request gets another."""
KEY_BITS = 3072
TENANT = "quarkus.oidc.local"
NOWHERE = "http://127.0.0.1:9"
"""Quarkus wants an issuer's address for its first tenant; ours is the second, and nobody is asked."""


def no_token() -> None:
    """Ask without a token."""
    return


def registry_settings(security: LocalSecurity) -> dict[str, str]:
    """Return what makes Apicurio check tokens of this stack, and let whoever has none read."""
    return {
        "quarkus.oidc.tenant-enabled": "true",
        "quarkus.oidc.auth-server-url": NOWHERE,
        f"{TENANT}.application-type": "service",
        f"{TENANT}.tenant-paths": "/apis/*",
        f"{TENANT}.public-key": _public(security),
        f"{TENANT}.token.issuer": ISSUER,
        f"{TENANT}.token.audience": AUDIENCE,
        f"{TENANT}.roles.role-claim-path": "roles",
        "apicurio.auth.role-based-authorization": "true",
        "apicurio.auth.owner-only-authorization": "true",
        "apicurio.auth.anonymous-read-access.enabled": "true",
    }


def local_token(security: LocalSecurity, user: str, now_s: Callable[[], float] = time.time) -> Token:
    """Return what makes this user's tokens: short-lived, with the role that the user has.

    One serves for `RENEWED_S`: OpenSSL takes a fifth of a second to read such a key, and who registers every
    contract asks hundreds of times.
    """
    made, made_s = "", -math.inf

    def token() -> str:
        nonlocal made, made_s
        now = now_s()
        if not made_s <= now < made_s + RENEWED_S:  # also when the clock was set back
            made, made_s = _signed(security, user, int(now)), now
        return made

    return token


def _signed(security: LocalSecurity, user: str, now_s: int) -> str:
    import jwt

    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user,
        "preferred_username": user,
        "roles": [ROLE_OF.get(user, READS)],
        "iat": now_s,
        "exp": now_s + VALID_S,
        "jti": secrets.token_hex(8),
    }
    return jwt.encode(claims, _key_file(security).read_bytes(), algorithm="RS256")


def _public(security: LocalSecurity) -> str:
    """The public half as Quarkus takes it: Base64 without its frame."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    key: RSAPrivateKey = load_pem_private_key(_ensure_key(security).read_bytes(), None)  # type: ignore[assignment]
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return "".join(line for line in pem.splitlines() if not line.startswith("-"))


def _ensure_key(security: LocalSecurity) -> Path:
    """Make the key if there is none: stacks were secured before their registry was."""
    file = _key_file(security)
    with locked(security.directory / "registry.lock", lambda: None):
        if not file.exists():
            from cryptography.hazmat.primitives.asymmetric import rsa
            from cryptography.hazmat.primitives.serialization import (
                Encoding,
                NoEncryption,
                PrivateFormat,
            )

            key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_whole(file, pem)
    return file


def _key_file(security: LocalSecurity) -> Path:
    return security.directory / "registry-tokens.pem"
