"""When to try again: exponentially later, anywhere within that time, and never before a receiver said so."""

from __future__ import annotations

import random
from datetime import UTC
from email.utils import parsedate_to_datetime

FIRST_S = 1.0
DOUBLINGS_MAX = 32
RETRY_AFTER_S_MAX = 86_400.0
"""A receiver that asks for more is asked again after a day."""


def ceiling_s(failures: int, most_s: float) -> float:
    """Return the longest pause after so many failures in a row."""
    return min(most_s, FIRST_S * 2.0 ** min(max(failures, 1) - 1, DOUBLINGS_MAX))


def pause_s(failures: int, most_s: float, chance: random.Random, retry_after_s: float | None = None) -> float:
    """Return how long to wait after so many failures in a row.

    Full jitter: anywhere from nothing to the ceiling, so that what failed together does not come together
    again. What the receiver asked for with Retry-After is kept, and spread behind it, not before.
    """
    jitter_s = chance.uniform(0.0, ceiling_s(failures, most_s))
    if retry_after_s is None:
        return jitter_s
    return retry_after_s + min(jitter_s, 0.1 * retry_after_s + FIRST_S)


def read_retry_after(text: str | None, now_s: float) -> float | None:
    """Read Retry-After (RFC 9110 §10.2.3) as seconds from now; None when it is nothing of the kind."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), RETRY_AFTER_S_MAX)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return min(max(0.0, at.timestamp() - now_s), RETRY_AFTER_S_MAX)
