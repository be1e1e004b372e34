"""Access tokens of OAuth 2.0 client credentials: JWTs checked as RFC 9068 and RFC 8725 say.

Issuer, audience and end are required, and a beginning (`nbf` or `iat`); a token for another audience is no
token. What is wrong with a token is for the audit line; the caller hears only that it is not valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from connectors.callers.jwts import TokenInvalid, moment, require_in_time, verified
from connectors.callers.keysets import ALGORITHMS, KeySet

TOKEN_BYTES_MAX = 8_192
LIFETIME_S_MAX = 24 * 3600
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
"""`typ` of an access token (RFC 9068), and what issuers wrote before there was one."""


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
        claims = await verified(
            token,
            self._keys,
            self._issuer,
            self._audience,
            algorithms=ALGORITHMS,
            bytes_max=TOKEN_BYTES_MAX,
            require=("iss", "aud", "exp"),
            types=TYPES,
        )
        return self._read(claims)

    def _read(self, claims: Mapping[str, Any]) -> Token:
        expires_s = moment(claims, "exp")
        begins_s = [moment(claims, name) for name in ("nbf", "iat") if name in claims]
        if not begins_s:
            raise TokenInvalid("no-beginning")
        require_in_time(begins_s, expires_s, self._now_s())
        if expires_s - min(begins_s) > LIFETIME_S_MAX:
            raise TokenInvalid("lives-too-long")
        scope = claims.get("scope", "")
        confirmed = claims.get("cnf", {})
        if not isinstance(scope, str) or not isinstance(confirmed, dict):
            raise TokenInvalid("malformed-claims")
        return Token(_client_id(claims), frozenset(scope.split()), expires_s, _thumbprint(confirmed))


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
