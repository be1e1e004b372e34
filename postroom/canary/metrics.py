"""What the canary's process tells Prometheus: what a subscriber sees, and what only the cluster knows.

It is the one process that watches from outside, so what no worker can tell is here too: how far behind the
groups are when no worker lives, and which dead letters nobody has dealt with.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)

ROUNDS = Counter(
    "postroom_canary_rounds_total",
    "Rounds of the canary: success, or what failed first (publish, view, retraction, obligation).",
    ["result"],
)
SECONDS = Histogram(
    "postroom_canary_seconds",
    "From publishing to what a subscriber reads: event_to_view, withdrawal_to_retraction.",
    ["path"],
    buckets=_SECONDS,
)
LAST_SUCCESS = Gauge(
    "postroom_canary_last_success_timestamp_seconds",
    "When a step of the canary last succeeded, Unix time; 0 until one has.",
    ["path"],
)
GROUP_LAG = Gauge(
    "postroom_group_lag_records",
    "Offsets between what a stage's consumer group has committed and the end of its topics, as the broker "
    "has them: also when no worker lives. Transactions' markers count too.",
    ["group"],
)
LETTERS_OPEN = Gauge(
    "postroom_dead_letters_open", "Dead letters neither replayed nor discarded.", ["type", "reason"]
)
LETTERS_OLDEST = Gauge(
    "postroom_dead_letters_oldest_seconds", "Age of the oldest of them, 0 when there is none.", []
)
LETTERS_CLOSED = Gauge(
    "postroom_dead_letters_closed", "Dead letters that were dealt with: replayed or discarded.", ["result"]
)
