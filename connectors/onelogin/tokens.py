"""Whether a token is GOV.UK One Login's, for this service, of this sign-in, and strong enough.

Two tokens come: the ID token of the sign-in and the core identity claim of `/userinfo`. What is checked of
each is the list of docs.sign-in.service.gov.uk: "Validate your ID token" (`iss`, `aud`, signature, `exp`,
`iat`, `nonce`, `vot`) and "Validate your user's identity credential" (signature by ES256, `iss`, `aud`,
`sub`, `exp`). The ID token's `vot` holds only the protection of the sign-in (`Cl`, `Cl.Cm`), the identity
claim's the level of confidence (`P1`, `P2`, …): a proved identity needs both. Names and dates of birth are in
the claim and are not looked at.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jwt

from connectors.gateway.keysets import KeySet
from connectors.onelogin.services import CONFIDENCE, TRUST, Provider, Service

ALGORITHM = "ES256"
"""GOV.UK One Login's default for ID tokens and its only one for identities; RS256 is not taken."""
TOKEN_BYTES_MAX = 32_768
LEEWAY_S = 10
AGE_S_MAX = 600
"""An ID token lives for two minutes; a link is said at the sign-in, or not at all."""


class Unverified(ValueError):  # noqa: N818 - what it is
    """Not a proof of anything; `why` is one of a few words and holds nothing of a token."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


REASONS = (
    *("token-too-long", "not-a-token", "algorithm-not-allowed", "unknown-key", "wrong-signature"),
    *("wrong-issuer", "wrong-audience", "claim-missing", "malformed-claims", "expired", "not-yet-valid"),
    *("too-old", "wrong-nonce", "too-weak", "identity-too-weak", "another-subject"),
)
"""Every `why`."""


class Proof(NamedTuple):
    """What a sign-in proves: the account, how sure its identity is, when; and until when it can be said."""

    subject: str
    confidence: str
    issued_s: int
    expires_s: int


class Verifier:
    """Verifies against the keys of one provider; Away when these cannot be had."""

    def __init__(
        self, provider: Provider, now_s: Callable[[], float], monotonic_s: Callable[[], float]
    ) -> None:
        self._provider, self._now_s = provider, now_s
        self._keys = KeySet(provider.keys, monotonic_s)
        self._identity_keys = KeySet(provider.identity_keys, monotonic_s)

    async def proof(self, service: Service, id_token: str, identity: str, nonce: str) -> Proof:
        """Return what the two tokens prove; Unverified, or Away. Anything that is not right ends it."""
        signed_in = await _claims(id_token, self._keys, self._provider.issuer, service.client_id)
        self._in_time(signed_in)
        if self._now_s() - signed_in["iat"] > AGE_S_MAX:
            raise Unverified("too-old")
        # INVARIANT: the nonce of this very sign-in, or a token that was stolen elsewhere would do.
        if not hmac.compare_digest(_text(signed_in, "nonce").encode(), nonce.encode()):
            raise Unverified("wrong-nonce")
        _at_least(signed_in, service.trust, TRUST, "too-weak")
        proved = await _claims(
            identity, self._identity_keys, self._provider.identity_issuer, service.client_id
        )
        self._in_time(proved)
        if _text(proved, "sub") != _text(signed_in, "sub"):
            raise Unverified("another-subject")
        _at_least(proved, service.confidence, CONFIDENCE, "identity-too-weak")
        return Proof(signed_in["sub"], proved["vot"], int(signed_in["iat"]), int(signed_in["exp"]))

    def _in_time(self, claims: Mapping[str, Any]) -> None:
        now_s = self._now_s()
        for name in ("exp", "iat", *(("nbf",) if "nbf" in claims else ())):
            value = claims[name]
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
                raise Unverified("malformed-claims")
        if claims["exp"] <= now_s - LEEWAY_S:
            raise Unverified("expired")
        if max(claims["iat"], claims.get("nbf", 0)) > now_s + LEEWAY_S:
            raise Unverified("not-yet-valid")


async def _claims(token: str, keys: KeySet, issuer: str, audience: str) -> Mapping[str, Any]:
    """The claims of a token that one of the keys signed."""
    if len(token) > TOKEN_BYTES_MAX:
        raise Unverified("token-too-long")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unverified("not-a-token") from None
    # INVARIANT: the algorithm is ours, never the token's: it must not choose how it is checked.
    if header.get("alg") != ALGORITHM:
        raise Unverified("algorithm-not-allowed")
    if "crit" in header or not isinstance(header.get("kid"), str):
        raise Unverified("not-a-token")
    key = await keys.find(header["kid"], ALGORITHM)
    if key is None:
        raise Unverified("unknown-key")
    return _decoded(token, key, issuer, audience)


def _decoded(token: str, key: jwt.PyJWK, issuer: str, audience: str) -> Mapping[str, Any]:
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=issuer,
            # Times are checked by `_in_time`, against the clock that was given.
            options={
                "require": ["iss", "aud", "sub", "exp", "iat", "vot"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidSignatureError:
        raise Unverified("wrong-signature") from None
    except jwt.InvalidAudienceError:
        raise Unverified("wrong-audience") from None
    except jwt.InvalidIssuerError:
        raise Unverified("wrong-issuer") from None
    except jwt.MissingRequiredClaimError:
        raise Unverified("claim-missing") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unverified("not-a-token") from None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise Unverified("claim-missing" if value is None else "malformed-claims")
    return value


def _at_least(claims: Mapping[str, Any], wanted: str, order: Sequence[str], why: str) -> None:
    """Refuse a level below the wanted one, and one that we do not know."""
    found = _text(claims, "vot")
    if found not in order or order.index(found) < order.index(wanted):
        raise Unverified(why)
