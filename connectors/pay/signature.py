"""Whether GOV.UK Pay sent a message: the header `Pay-Signature`.

It is the lower-case hexadecimal HMAC-SHA256 of the body as it came, keyed with the webhook's signing secret
as UTF-8 (docs.payments.service.gov.uk/webhooks, "Verifying webhook messages from GOV.UK Pay"). It covers no
time, so a message that was heard can be sent again: it is the same event then (E1).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

SIGNATURE_HEADER = "pay-signature"


def signature_of(body: bytes, secret: str) -> str:
    """Return what GOV.UK Pay writes into the header."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed(body: bytes, given: Sequence[str], secrets: Sequence[str]) -> bool:
    """Tell whether one of the secrets that are valid now signed the body; exactly one header is wanted."""
    if len(given) != 1:
        return False
    claimed = given[0].encode("utf-8", "surrogateescape")
    # INVARIANT: every secret is tried in constant time, so that the time of the answer tells nothing of any.
    fits = [hmac.compare_digest(signature_of(body, secret).encode(), claimed) for secret in secrets]
    return any(fits)
