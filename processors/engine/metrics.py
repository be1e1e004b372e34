"""What a worker process tells Prometheus; labels are bounded and never name a person.

Served on the loopback unless told otherwise. Stages measure nothing themselves: their steps return outcomes
and moments, and they are counted here after the commit (STYLE 1).
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from processors.stage import Latency, Outcome

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 120.0)

EVENTS = Counter(
    "postroom_events_total", "Outcomes of steps, after commit.", ["stage", "type", "outcome", "reason"]
)
RECORDS = Counter("postroom_records_total", "Input records whose step was committed.", ["stage"])
WAKES = Counter("postroom_wakes_total", "Keys delivered without a record.", ["stage", "cause"])
LAG = Gauge("postroom_lag_records", "Records not yet read, over all input topics.", ["stage", "partition"])
TRANSACTION = Histogram(
    "postroom_transaction_seconds", "From begin to commit of one transaction.", ["stage"], buckets=_SHORT
)
STEP = Histogram("postroom_step_seconds", "The stage's own part of a step.", ["stage"], buckets=_SHORT)
BATCH = Histogram(
    "postroom_batch_records",
    "Input records of one step.",
    ["stage"],
    buckets=(0, 1, 3, 10, 30, 100, 300, 1000, 3000),
)
RESTORE = Histogram(
    "postroom_restore_seconds",
    "Replay of a changelog at assignment.",
    ["stage"],
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000),
)
RESTORED = Counter("postroom_restored_records_total", "Changelog records replayed.", ["stage"])
TRANSACTIONS = Counter(
    "postroom_transactions_total", "Transactions by how they ended: committed or fenced.", ["stage", "result"]
)
FOREIGN = Counter(
    "postroom_foreign_records_total", "Records on internal topics that no task wrote.", ["stage"]
)
READY = Gauge("postroom_ready", "1 while every task assigned to the stage is open.", ["stage"])
TASKS = Gauge("postroom_tasks", "Tasks of the stage in this process.", ["stage"])
SWEEPING = Gauge("postroom_sweeping", "1 while a sweep is under way (V9).", ["stage", "partition"])

END_TO_END = Histogram(
    "postroom_end_to_end_seconds",
    "From the broker's timestamp of an event to the commit of what it changed.",
    ["stage"],
    buckets=_SHORT,
)
RETRACTION = Histogram(
    "postroom_withdrawal_to_retraction_seconds",
    "From the broker's timestamp of a withdrawal to the commit of its retraction (V7).",
    ["stage"],
    buckets=_SHORT,
)
OTHER_LATENCY = Histogram(
    "postroom_latency_seconds", "Any other moment a stage names.", ["stage", "name"], buckets=_SHORT
)
_BY_NAME = {"end_to_end": END_TO_END, "withdrawal_to_retraction": RETRACTION}


def count_step(stage: str, outcomes: Iterable[Outcome], latencies: Iterable[Latency], commit_ms: int) -> None:
    """Count what a committed step returned; a lookup by labels costs more than a sum, so sums come first."""
    totals: dict[tuple[str, str, str], int] = {}
    for kind, outcome, reason, times in outcomes:
        totals[kind, outcome, reason] = totals.get((kind, outcome, reason), 0) + times
    for labels, times in totals.items():
        EVENTS.labels(stage, *labels).inc(times)
    seconds: dict[str, list[float]] = {}
    for name, since_ms in latencies:
        seconds.setdefault(name, []).append(max(0, commit_ms - since_ms) / 1000)
    for name, observed in seconds.items():
        histogram = _BY_NAME.get(name.replace("-", "_"))
        child = OTHER_LATENCY.labels(stage, name) if histogram is None else histogram.labels(stage)
        for each in observed:
            child.observe(each)


def serve_metrics(host: str, port: int) -> int:
    """Serve ``/metrics`` from a thread and return the port; 0 chooses a free one."""
    server, _ = start_http_server(port, host)
    return int(server.server_port)
