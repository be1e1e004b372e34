"""A stand-in for an OAuth 2.0 issuer, for the local stack alone: real keys, real tokens, real checks.

It lets a newcomer use the gateway with nothing switched off. Its private key lies in the state directory,
readable by its owner only, and a gateway on a configured cluster never believes it.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from connectors.state_files import locked, write_whole
from postroom.config import read_private

ISSUER = "urn:postroom:stand-in-issuer"


def ensure_issuer(state_dir: Path) -> Path:
    """Make the issuer's key if there is none; return the file of its public half."""
    directory = state_dir / "gateway"
    public, private = directory / "jwks.json", directory / "issuer.pem"
    with locked(directory / "issuer.lock", lambda: None):
        if not (public.exists() and private.exists()):
            _make(private, public)
    return public


def issue(state_dir: Path, client: str, scopes: Iterable[str], audience: str, minutes: int) -> str:
    """Return a token for a client, as the token endpoint of an issuer would."""
    import jwt

    public = ensure_issuer(state_dir)
    pem = read_private(state_dir / "gateway" / "issuer.pem", "the stand-in issuer's key", "the local stack")
    key_id: str = json.loads(public.read_bytes())["keys"][0]["kid"]
    now_s = int(time.time())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": audience,
        "sub": client,
        "client_id": client,
        "scope": " ".join(sorted(scopes)),
        "jti": secrets.token_hex(8),
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + minutes * 60,
    }
    return jwt.encode(claims, pem, algorithm="ES256", headers={"kid": key_id, "typ": "at+jwt"})


def _make(private: Path, public: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from jwt.algorithms import ECAlgorithm

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    named = {"kid": secrets.token_hex(4), "use": "sig", "alg": "ES256"}
    jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | named
    write_whole(private, pem)
    write_whole(public, json.dumps({"keys": [jwk]}).encode())
