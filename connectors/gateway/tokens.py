"""Access tokens of OAuth 2.0 client credentials: JWTs checked as RFC 9068 and RFC 8725 say.

The algorithm comes from our table, the key from the issuer's set, never from the token. Issuer, audience and
end are required, and a beginning (`nbf` or `iat`); a token for another audience is no token. What is wrong
with a token is for the audit line; the caller hears only that it is not valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt

from connectors.gateway.keysets import ALGORITHMS, KeySet

TOKEN_BYTES_MAX = 8_192
LEEWAY_S = 10
LIFETIME_S_MAX = 24 * 3600
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
"""`typ` of an access token (RFC 9068), and what issuers wrote before there was one."""


class TokenInvalid(ValueError):  # noqa: N818 - what is wrong
    """Not a token of ours; `why` is one of a few words and holds nothing of the token."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Token(NamedTuple):
    """What a valid token says: who, with which scopes, until when (UTC s), bound to which certificate."""

    client_id: str
    scopes: frozenset[str]
    expires_s: float
    certificate_sha256: str | None


class Tokens:
    """Checks tokens of one issuer for one audience."""

    def __init__(self, keys: KeySet, issuer: str, audience: str, now_s: Callable[[], float]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._now_s = now_s

    async def check(self, token: str) -> Token:
        """Return what the token says; TokenInvalid, or Away when the issuer's keys cannot be had."""
        if len(token) > TOKEN_BYTES_MAX:
            raise TokenInvalid("token-too-long")
        header = _header(token)
        algorithm = header["alg"]
        key = await self._keys.find(header["kid"], algorithm)
        if key is None:
            raise TokenInvalid("unknown-key")
        return self._read(_claims(token, key, algorithm, self._issuer, self._audience))

    def _read(self, claims: Mapping[str, Any]) -> Token:
        now_s = self._now_s()
        expires_s = _moment(claims, "exp")
        begins = [_moment(claims, name) for name in ("nbf", "iat") if name in claims]
        if not begins:
            raise TokenInvalid("no-beginning")
        if max(begins) > now_s + LEEWAY_S:
            raise TokenInvalid("not-yet-valid")
        if expires_s <= now_s - LEEWAY_S:
            raise TokenInvalid("expired")
        if expires_s - min(begins) > LIFETIME_S_MAX:
            raise TokenInvalid("lives-too-long")
        scope = claims.get("scope", "")
        confirmed = claims.get("cnf", {})
        if not isinstance(scope, str) or not isinstance(confirmed, dict):
            raise TokenInvalid("malformed-claims")
        return Token(_client_id(claims), frozenset(scope.split()), expires_s, _thumbprint(confirmed))


def _header(token: str) -> Mapping[str, str]:
    """The header's `alg` and `kid`, which only choose among what we have."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenInvalid("not-a-token") from None
    if header.get("alg") not in ALGORITHMS:
        raise TokenInvalid("algorithm-not-allowed")
    type_ = header.get("typ", "JWT")
    if not isinstance(type_, str) or type_.lower() not in TYPES:
        raise TokenInvalid("not-an-access-token")
    if "crit" in header or not isinstance(header.get("kid"), str):
        raise TokenInvalid("malformed-header")
    return header


def _claims(token: str, key: jwt.PyJWK, algorithm: str, issuer: str, audience: str) -> Mapping[str, Any]:
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],  # INVARIANT: ours, and the key is of this algorithm's kind
            audience=audience,
            issuer=issuer,
            # Times are checked by `_read`, against the clock that was given.
            options={
                "require": ["iss", "aud", "exp"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidAudienceError:
        raise TokenInvalid("wrong-audience") from None
    except jwt.InvalidIssuerError:
        raise TokenInvalid("wrong-issuer") from None
    except jwt.InvalidSignatureError:
        raise TokenInvalid("wrong-signature") from None
    except jwt.MissingRequiredClaimError:
        raise TokenInvalid("claim-missing") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise TokenInvalid("not-a-token") from None


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise TokenInvalid("malformed-claims")
    return float(value)


def _client_id(claims: Mapping[str, Any]) -> str:
    """`client_id` (RFC 9068), or `azp` where an issuer writes that; two that differ name nobody."""
    named = {claims[name] for name in ("client_id", "azp") if isinstance(claims.get(name), str)}
    if len(named) != 1:
        raise TokenInvalid("no-client")
    return str(named.pop())


def _thumbprint(confirmed: Mapping[str, Any]) -> str | None:
    """The certificate that the token is bound to (RFC 8705 §3.1); another way of binding is not known."""
    if not confirmed:
        return None
    found = confirmed.get("x5t#S256")
    if confirmed.keys() != {"x5t#S256"} or not isinstance(found, str):
        raise TokenInvalid("unknown-confirmation")
    return found
