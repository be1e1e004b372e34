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

from connectors.callers import (
    TIME_REASONS,
    TOKEN_REASONS,
    KeySet,
    TokenInvalid,
    moment,
    require_in_time,
    verified,
)
from connectors.onelogin.services import CONFIDENCE, TRUST, Provider, Service

ALGORITHM = "ES256"
"""GOV.UK One Login's default for ID tokens and its only one for identities; RS256 is not taken."""
TOKEN_BYTES_MAX = 32_768
AGE_S_MAX = 600
"""An ID token lives for two minutes; a link is said at the sign-in, or not at all."""


REASONS = (
    *TOKEN_REASONS,
    *TIME_REASONS,
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
        """Return what the two tokens prove; TokenInvalid, or Away. Anything that is not right ends it."""
        signed_in = await self._claims(id_token, self._keys, self._provider.issuer, service)
        if self._now_s() - signed_in["iat"] > AGE_S_MAX:
            raise TokenInvalid("too-old")
        # INVARIANT: the nonce of this very sign-in, or a token that was stolen elsewhere would do.
        if not hmac.compare_digest(_text(signed_in, "nonce").encode(), nonce.encode()):
            raise TokenInvalid("wrong-nonce")
        _at_least(signed_in, service.trust, TRUST, "too-weak")
        proved = await self._claims(identity, self._identity_keys, self._provider.identity_issuer, service)
        if _text(proved, "sub") != _text(signed_in, "sub"):
            raise TokenInvalid("another-subject")
        _at_least(proved, service.confidence, CONFIDENCE, "identity-too-weak")
        return Proof(signed_in["sub"], proved["vot"], int(signed_in["iat"]), int(signed_in["exp"]))

    async def _claims(self, token: str, keys: KeySet, issuer: str, service: Service) -> Mapping[str, Any]:
        """What a token says that was made for this service and counts now."""
        claims = await verified(
            token,
            keys,
            issuer,
            service.client_id,
            algorithms=(ALGORITHM,),
            bytes_max=TOKEN_BYTES_MAX,
            require=("iss", "aud", "sub", "exp", "iat", "vot"),
        )
        begins_s = [moment(claims, name) for name in ("iat", "nbf") if name in claims]
        require_in_time(begins_s, moment(claims, "exp"), self._now_s())
        return claims


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise TokenInvalid("claim-missing" if value is None else "malformed-claims")
    return value


def _at_least(claims: Mapping[str, Any], wanted: str, order: Sequence[str], why: str) -> None:
    """Refuse a level below the wanted one, and one that we do not know."""
    found = _text(claims, "vot")
    if found not in order or order.index(found) < order.index(wanted):
        raise TokenInvalid(why)
