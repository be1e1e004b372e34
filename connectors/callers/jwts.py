"""A signed token (JWT) and what its claims say, checked as RFC 8725 says: whoever made it, for whatever.

The algorithm comes from our table, the key from the issuer's set, never from the token; issuer and audience
are exactly those that were meant. Everything here fails closed. What a claim must say besides is for whoever
asked. Times are checked against the clock that is given, by :func:`require_in_time`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import jwt

from connectors.callers.keysets import KeySet

LEEWAY_S = 10

TOKEN_REASONS = (
    *("token-too-long", "not-a-token", "algorithm-not-allowed", "malformed-header", "unknown-key"),
    *("wrong-signature", "wrong-issuer", "wrong-audience", "claim-missing"),
)
"""Every `why` of :func:`verified`, where no type is asked for."""
TIME_REASONS = ("malformed-claims", "expired", "not-yet-valid")
"""Every `why` of :func:`moment` and :func:`require_in_time`."""


class TokenInvalid(ValueError):  # noqa: N818 - what is wrong
    """Not a token that counts; `why` is one of a few words and holds nothing of the token."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def verified(
    token: str,
    keys: KeySet,
    issuer: str,
    audience: str,
    *,
    algorithms: Collection[str],
    bytes_max: int,
    require: Iterable[str],
    types: Collection[str] | None = None,
) -> Mapping[str, Any]:
    """Return the claims of a token that one of the keys signed; TokenInvalid, or Away without keys.

    `require` names the claims that must be there, `types` what its `typ` may be, in lower case (None: any).
    """
    if len(token) > bytes_max:
        raise TokenInvalid("token-too-long")
    header = _header(token, algorithms, types)
    key = await keys.find(header["kid"], header["alg"])
    if key is None:
        raise TokenInvalid("unknown-key")
    return _claims(token, key, header["alg"], issuer, audience, require)


def moment(claims: Mapping[str, Any], name: str) -> float:
    """Return a claim that is a moment, in UTC seconds; TokenInvalid for what is none."""
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        raise TokenInvalid("malformed-claims")
    return float(value)


def require_in_time(begins_s: Iterable[float], expires_s: float, now_s: float) -> None:
    """TokenInvalid before any of its beginnings and after its end, a little wrong clock allowed for."""
    if max(begins_s) > now_s + LEEWAY_S:
        raise TokenInvalid("not-yet-valid")
    if expires_s <= now_s - LEEWAY_S:
        raise TokenInvalid("expired")


def _header(token: str, algorithms: Collection[str], types: Collection[str] | None) -> Mapping[str, str]:
    """The header's `alg` and `kid`, which only choose among what we have."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenInvalid("not-a-token") from None
    # INVARIANT: the algorithm is one of ours: the token must not choose how it is checked.
    if header.get("alg") not in algorithms:
        raise TokenInvalid("algorithm-not-allowed")
    type_ = header.get("typ", "JWT")
    if types is not None and (not isinstance(type_, str) or type_.lower() not in types):
        raise TokenInvalid("not-an-access-token")
    if "crit" in header or not isinstance(header.get("kid"), str):
        raise TokenInvalid("malformed-header")
    return header


def _claims(
    token: str, key: jwt.PyJWK, algorithm: str, issuer: str, audience: str, require: Iterable[str]
) -> Mapping[str, Any]:
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],  # INVARIANT: ours, and the key is of this algorithm's kind
            audience=audience,
            issuer=issuer,
            options={
                "require": [*require],
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
