"""What an operator sees of notices: how many, in which state, and how long the oldest has been waiting."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

NOTICES = Counter(
    "postroom_notify_notices_total",
    "Notices that came of the disclosure log, by what they tell: shared, consent-changed.",
    ["change"],
)
ATTEMPTS = Counter(
    "postroom_notify_attempts_total",
    "Attempts to send, by what became of them: sent, or why not.",
    ["outcome"],
)
STANDING = Gauge(
    "postroom_notify_standing",
    "Notices by state: due, unknown (it may have been sent), sent in the last month, refused, no-address.",
    ["state"],
)
OLDEST = Gauge(
    "postroom_notify_oldest_owed_seconds", "How long the oldest notice that is owed has been waiting."
)
