"""What a worker process tells Prometheus; labels are bounded and never name a person or an event.

Stages measure nothing themselves: their steps return outcomes, moments and what their states hold, and these
are counted here after the commit (STYLE 1). ``docs/metrics.md`` is rendered from these declarations
(``postroom/metrics_page.py``, which also says what bounds each label).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import Counter, Gauge, Histogram

from processors.stage import Latency, Outcome

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 120.0)
"""1.0 is a bound of its own: V7 and V8 promise a second."""

# -- the way through -----------------------------------------------------------------------------------

EVENTS = Counter(
    "postroom_events_total",
    "Events by what became of them, after commit.",
    ["stage", "type", "outcome", "reason"],
)
RECORDS = Counter("postroom_records_total", "Messages whose step was committed.", ["stage"])
WAKES = Counter(
    "postroom_wakes_total",
    "Keys delivered without a message: their moment came, or a sweep.",
    ["stage", "cause"],
)
DEAD_LETTERS = Counter(
    "postroom_dead_letters_total", "Events that became dead letters (E7).", ["type", "reason"]
)
REPORTS = Counter(
    "postroom_reports_total",
    "Reports to departments on events of their own that cannot do what they say.",
    ["report"],
)
DISPUTES = Counter(
    "postroom_disputes_total", "Pairs whose dispute began, changed or was settled (I3).", ["change", "reason"]
)
DECISIONS = Counter(
    "postroom_decisions_total",
    "Decisions on an agreement and a person (C6): permitted, partial (some attributes) or denied; the reason "
    "is that of the first denial.",
    ["agreement", "outcome", "reason"],
)
VIEWS = Counter(
    "postroom_views_total",
    "View records: written, or retracted as ended or corrected (V1, V2).",
    ["agreement", "change", "reason"],
)
DELETIONS = Counter(
    "postroom_deletions_owed_total",
    "Obligations to delete that a view's change gave rise to (V4).",
    ["agreement"],
)
OBLIGATIONS = Counter(
    "postroom_obligations_total",
    "Obligations by what became of them: opened, done (in time or late), overdue, ignored (V4).",
    ["subscriber", "change", "reason"],
)

# -- promises ------------------------------------------------------------------------------------------

END_TO_END = Histogram(
    "postroom_end_to_end_seconds",
    "From the broker's timestamp of an event to the commit of each view that it changed.",
    ["stage"],
    buckets=_SHORT,
)
RETRACTION = Histogram(
    "postroom_withdrawal_to_retraction_seconds",
    "From the broker's timestamp of a withdrawal to the commit of its retraction (V7).",
    ["stage"],
    buckets=_SHORT,
)
MOMENT = Histogram(
    "postroom_moment_to_view_seconds",
    "From a moment at which time alone changes something to the commit of what it changed (V8).",
    ["stage"],
    buckets=_SHORT,
)

# -- how far behind ------------------------------------------------------------------------------------

LAG = Gauge(
    "postroom_lag_records",
    "Records not yet stepped, over all input topics; the group of a stage is postroom.<stage>.",
    ["stage", "partition"],
)
LAG_SECONDS = Gauge(
    "postroom_lag_seconds",
    "Age of the oldest record that waits or is in a step, 0 when none does; at intake: of the oldest "
    "unprocessed event.",
    ["stage", "partition"],
)

# -- transactions --------------------------------------------------------------------------------------

TRANSACTION = Histogram(
    "postroom_transaction_seconds", "From begin to commit of one transaction.", ["stage"], buckets=_SHORT
)
TRANSACTIONS = Counter(
    "postroom_transactions_total",
    "Transactions by how they ended: committed, aborted or fenced. The last two end the process, and are "
    "told by the next one that runs under the same instance name.",
    ["stage", "result"],
)
STEP = Histogram("postroom_step_seconds", "The stage's own part of a step.", ["stage"], buckets=_SHORT)
BATCH = Histogram(
    "postroom_batch_records",
    "Messages of one step.",
    ["stage"],
    buckets=(0, 1, 3, 10, 30, 100, 300, 1000, 3000),
)

# -- tasks and their state -----------------------------------------------------------------------------

IDENTITY_KEY = Gauge(
    "postroom_identity_key_info",
    "1, with a fingerprint of the secret that this worker names persons by; all workers must have the same.",
    ["fingerprint"],
)
READY = Gauge("postroom_ready", "1 while every task assigned to the stage is open.", ["stage"])
TASKS = Gauge("postroom_tasks", "Tasks of the stage in this process.", ["stage"])
REBALANCES = Counter(
    "postroom_rebalances_total", "Assignments of the stage's tasks to this process.", ["stage"]
)
RESTORE = Histogram(
    "postroom_restore_seconds",
    "Replay of a changelog at assignment.",
    ["stage"],
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000),
)
RESTORED = Counter("postroom_restored_records_total", "Changelog records replayed.", ["stage"])
RESTORE_PROGRESS = Gauge(
    "postroom_restore_progress_ratio",
    "How much of its changelog a task has replayed, 1 when it is done.",
    ["stage", "partition"],
)
STATE_KEYS = Gauge("postroom_state_keys", "Keys in the task's state.", ["stage", "partition"])
STATE_BYTES = Gauge("postroom_state_bytes", "Bytes of the values of those keys.", ["stage", "partition"])
SWEEPING = Gauge("postroom_sweeping", "1 while a sweep is under way (V9).", ["stage", "partition"])
SWEPT_KEYS = Gauge(
    "postroom_sweep_keys_done",
    "Keys that the sweep under way has delivered, of postroom_state_keys; 0 when none is.",
    ["stage", "partition"],
)
FOREIGN = Counter(
    "postroom_foreign_records_total", "Records on internal topics that no task wrote.", ["stage"]
)
STOPS = Counter(
    "postroom_stops_total",
    "Times that this instance ended itself with exit 70, told by the next process under its name.",
    ["error"],
)

# -- what states hold: exact after restarts and rebalances, because it is committed with them ------------

HELD = Gauge(
    "postroom_held_events", "Events of which something waits for persons' answer (I6).", ["partition"]
)
HELD_OLDEST = Gauge(
    "postroom_held_oldest_seconds", "Age of the oldest of them, 0 when none waits.", ["partition"]
)
UNMATCHED = Gauge(
    "postroom_annulments_unmatched",
    "Annulments that have found nothing, for less than an hour (R3).",
    ["partition"],
)
DISPUTES_OPEN = Gauge(
    "postroom_disputes_open",
    "Edges that are disputed (I3); one between two hubs at both.",
    ["reason", "partition"],
)
INCOMPLETE = Gauge(
    "postroom_records_incomplete", "Records of which a part is still travelling (I6).", ["partition"]
)
INCOMPLETE_OLDEST = Gauge(
    "postroom_records_incomplete_oldest_seconds",
    "How long the oldest of them has been so, 0 when none is.",
    ["partition"],
)
OPEN = Gauge(
    "postroom_obligations_open",
    "Obligations neither acknowledged nor overdue (V4).",
    ["subscriber", "partition"],
)
OVERDUE = Gauge(
    "postroom_obligations_overdue",
    "Obligations past their deadline and not acknowledged (V4).",
    ["subscriber", "partition"],
)

_HISTOGRAMS = {
    "end_to_end": END_TO_END,
    "withdrawal_to_retraction": RETRACTION,
    "moment_to_view": MOMENT,
}


def count_step(stage: str, outcomes: Iterable[Outcome], latencies: Iterable[Latency], commit_ms: int) -> None:
    """Count what a committed step returned; a lookup by labels costs more than a sum, so sums come first."""
    totals: dict[tuple[str, str, str], int] = {}
    for kind, outcome, reason, times in outcomes:
        totals[kind, outcome, reason] = totals.get((kind, outcome, reason), 0) + times
    for (kind, outcome, reason), times in totals.items():
        _count(stage, kind, outcome, reason, times)
    children: dict[str, Histogram] = {}
    for latency, since_ms in latencies:
        child = children.get(latency)
        if child is None:
            child = children[latency] = _HISTOGRAMS[latency].labels(stage)
        child.observe(max(0, commit_ms - since_ms) / 1000)


def _count(stage: str, kind: str, outcome: str, reason: str, times: int) -> None:
    """Count one kind of outcome where its stage's are counted."""
    if kind == "report":
        REPORTS.labels(outcome).inc(times)
        return
    counter, change = OF.get((stage, outcome), (EVENTS, ""))
    if counter is EVENTS:
        EVENTS.labels(stage, kind, outcome, reason).inc(times)
        if outcome == "rejected":
            DEAD_LETTERS.labels(kind, reason).inc(times)
    elif counter is DELETIONS:
        DELETIONS.labels(kind).inc(times)
    elif counter is DISPUTES:
        DISPUTES.labels(change, reason).inc(times)
    else:
        counter.labels(kind, change, reason).inc(times)


OF: Mapping[tuple[str, str], tuple[Counter, str]] = {
    ("persons", "disputed"): (DISPUTES, "disputed"),
    ("persons", "settled"): (DISPUTES, "settled"),
    ("record", "permitted"): (DECISIONS, "permitted"),
    ("record", "partial"): (DECISIONS, "partial"),
    ("record", "denied"): (DECISIONS, "denied"),
    ("record", "view"): (VIEWS, "written"),
    ("record", "retraction"): (VIEWS, "retracted"),
    ("record", "obligation"): (DELETIONS, ""),
    ("obligations", "obligation-opened"): (OBLIGATIONS, "opened"),
    ("obligations", "obligation-done"): (OBLIGATIONS, "done"),
    ("obligations", "obligation-overdue"): (OBLIGATIONS, "overdue"),
    ("obligations", "ignored"): (OBLIGATIONS, "ignored"),
}
"""Where an outcome of a stage is counted, and as which change; what is not here is an event's outcome."""
