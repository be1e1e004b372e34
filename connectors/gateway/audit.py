"""One line for each refusal, and counters: who was refused what and why, without anybody's data.

A line names the client once it is known, the route as it is written in the code, never the path that was
asked for, and one word for the reason. What a caller typed is in neither.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from connectors.log_line import say

REQUESTS = Counter(
    "postroom_gateway_requests_total", "Answers by route and status.", ["route", "method", "status"]
)
REFUSALS = Counter("postroom_gateway_refusals_total", "Refusals by reason.", ["route", "reason"])
EVENTS = Counter("postroom_gateway_events_total", "Events by what became of them.", ["outcome"])
SECONDS = Histogram(
    "postroom_gateway_request_seconds",
    "From a request to its answer, streams left out.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
STREAMS = Counter("postroom_gateway_streams_total", "Streams of changes that were opened.", ["agreement"])
READY = Gauge("postroom_gateway_ready", "1 while the gateway waits for nothing.")


def is_stream(route: str, method: str) -> bool:
    """Whether a request goes on until its client leaves, so that its duration tells nothing."""
    return route.endswith("/events") and method != "POST"


def refused(*, client: str | None, route: str, method: str, status: int, reason: str, peer: str) -> None:
    """Write the line and count it."""
    REFUSALS.labels(route, reason).inc()
    say("refused", client=client, route=route, method=method, status=status, reason=reason, peer=peer)
