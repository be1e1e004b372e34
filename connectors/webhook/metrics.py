"""What an operator sees of webhooks: counted by endpoint, never by person."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)

DELIVERIES = Counter(
    "postroom_webhook_deliveries_total", "Attempts by what became of them.", ["endpoint", "outcome"]
)
RETRACTIONS = Counter("postroom_webhook_retractions_total", "Retractions that were delivered.", ["endpoint"])
ANSWER_SECONDS = Histogram("postroom_webhook_answer_seconds", "From a request to its answer.", ["endpoint"])
LATENCY_SECONDS = Histogram(
    "postroom_webhook_latency_seconds",
    "From a change on its topic to its delivery.",
    ["endpoint"],
    buckets=BUCKETS_S,
)
STOPPED = Gauge(
    "postroom_webhook_parked", "1: parked, or disabled; an operator must release it.", ["endpoint"]
)
OWED = Gauge("postroom_webhook_owed", "Changes that were read and not yet delivered.", ["endpoint"])
OLDEST_SECONDS = Gauge(
    "postroom_webhook_oldest_undelivered_seconds",
    "How long the oldest of them lies there (since the endpoint began, at most); 0: none.",
    ["endpoint"],
)
READ_ERRORS = Counter(
    "postroom_webhook_read_errors_total", "Times that a topic could not be read.", ["endpoint"]
)
FILE_PROBLEMS = Gauge(
    "postroom_webhook_file_refused", "1: the file of webhooks is wrong, and the one before it is in force."
)


def forget(endpoint: str) -> None:
    """An endpoint that is no longer in the file has no state to show."""
    for gauge in (STOPPED, OWED, OLDEST_SECONDS):
        gauge.remove(endpoint)
