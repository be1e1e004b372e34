"""Series that a process tells from its beginning, at 0: Prometheus sees a rise only of what it saw before.

A counter that is born with its first count has risen by nothing: the first withdrawal after a start would be
in no rate, and the first foreign record would wake nobody. So whatever is counted under labels that are known
in advance is begun here; what is not is named in :data:`FIRST_COUNTED`, with why. A test refuses a metric
that is in neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import product

from prometheus_client import Counter, Histogram

from processors.decision import OF_ATTRIBUTES
from processors.outcomes import Denial, Dispute, Rejection, Report, Retraction
from schemas import Agreement, Contracts

Series = Mapping[Counter | Histogram, Iterable[tuple[str, ...]]]
"""The labels under which each metric is told from the beginning."""

FIRST_COUNTED: Mapping[str, str] = {
    "postroom_events_total": "types times outcomes times reasons are too many to begin in every worker; "
    "`postroom:events_in:increase5m` is compared, never waited for",
    "postroom_dead_letters_total": "types times reasons, likewise; `postroom:dead_letters:increase5m` takes "
    "what is counted first whole",
    "postroom_stops_total": "told by the next process as it starts, so it is never seen at 0; "
    "`postroom:stops:increase15m` takes it whole",
    "postroom_gateway_refusals_total": "routes times reasons; no rule looks at them",
}
"""Metrics whose series begin with what they first count, and why that does no harm."""


def begin(series: Series) -> None:
    """Tell all of these from now on; what is told already stays as it is."""
    for metric, labels in series.items():
        for values in labels:
            metric.labels(*values)


def worker_series(
    stages: Collection[str], agreements: Mapping[str, Agreement]
) -> dict[Counter | Histogram, list[tuple[str, ...]]]:
    """What a worker of these stages counts, under these agreements."""
    from processors.engine import metrics

    of_stage = (
        *(metrics.RECORDS, metrics.REBALANCES, metrics.RESTORED, metrics.FOREIGN),
        *(metrics.TRANSACTION, metrics.STEP, metrics.BATCH, metrics.RESTORE),
    )
    series: dict[Counter | Histogram, list[tuple[str, ...]]] = {
        metric: [(stage,) for stage in stages] for metric in of_stage
    }
    series[metrics.WAKES] = list(product(stages, ("moment", "sweep")))
    series[metrics.TRANSACTIONS] = list(product(stages, ("committed", "aborted", "fenced")))
    if "identity" in stages:
        series[metrics.REPORTS] = [(report,) for report in Report]
    if "persons" in stages:
        series[metrics.DISPUTES] = list(product(("disputed", "settled"), Dispute))
    if "record" in stages:
        series |= {
            promise: [("record",)] for promise in (metrics.END_TO_END, metrics.RETRACTION, metrics.MOMENT)
        }
        series[metrics.DECISIONS] = [
            each for agreement in agreements.values() for each in _decisions(agreement)
        ]
        series[metrics.DELETIONS] = [(name,) for name in agreements]
        changes = [("written", ""), *product(("retracted",), Retraction)]
        series[metrics.VIEWS] = [(name, *change) for name in agreements for change in changes]
    if "obligations" in stages:
        owing = sorted({agreement.subscriber for agreement in agreements.values()})
        series[metrics.OBLIGATIONS] = [(subscriber, *change) for subscriber in owing for change in OWED]
    return series


OWED = (
    ("opened", ""),
    ("done", "in-time"),
    ("done", "late"),
    ("overdue", ""),
    ("ignored", "another-subscriber"),
)
"""What becomes of an obligation, and how (`processors/obligations.py`)."""


def _decisions(agreement: Agreement) -> Iterable[tuple[str, str, str]]:
    name, asks = agreement.agreement, agreement.basis == "consent"
    yield name, "permitted", ""
    yield from ((name, "denied", reason) for reason in Denial if asks or reason not in OF_ATTRIBUTES)
    yield from ((name, "partial", reason) for reason in OF_ATTRIBUTES if asks)


def gateway_series(routes: Iterable[tuple[str, str, int]], agreements: Iterable[str]) -> Series:
    """What a gateway counts: by route, method and the status that is hoped for; and who may be read."""
    from connectors.gateway import audit
    from connectors.publishing import KNOWN, NOT_DELIVERED, WRITTEN

    known = list(routes)
    statuses = [
        (route, method, str(status)) for route, method, hoped in known for status in (hoped, 500, 503)
    ]
    return {
        audit.REQUESTS: statuses,
        audit.SECONDS: [(route,) for route, method, _ in known if not audit.is_stream(route, method)],
        audit.EVENTS: [(outcome,) for outcome in (WRITTEN, KNOWN, NOT_DELIVERED, *Rejection)],
        audit.STREAMS: [(agreement,) for agreement in agreements],
    }


def outbox_series(owner: str, contracts: Contracts) -> Series:
    """What the relay of an owner's outbox counts."""
    from connectors.postgres import outbox_metrics

    types = [type_ for type_, contract in contracts.by_type.items() if owner in contract.owners]
    return {
        outbox_metrics.PUBLISHED: [(owner, type_) for type_ in types],
        outbox_metrics.PARKED: list(product((owner,), (*types, "unknown"), Rejection)),
    }


def sink_series(agreement: str) -> Series:
    """What the sink of an agreement counts."""
    from connectors.postgres import sink_metrics

    return {sink_metrics.ROWS: [(agreement, change) for change in ("upserted", "deleted", "ignored")]}


def webhook_series(endpoint: str) -> Series:
    """What is counted of one endpoint."""
    from connectors.webhook import metrics
    from connectors.webhook.answers import Outcome

    once = (metrics.RETRACTIONS, metrics.READ_ERRORS, metrics.ANSWER_SECONDS, metrics.LATENCY_SECONDS)
    ends = [(endpoint, outcome) for outcome in (*Outcome, "not-permitted")]
    return {metrics.DELIVERIES: ends} | {metric: [(endpoint,)] for metric in once}


def pay_series(services: Iterable[str]) -> Series:
    """What GOV.UK Pay's door counts of the services that it knows."""
    from connectors.pay import metrics
    from connectors.pay.door import OUTCOMES

    names = list(services)
    return {
        metrics.MESSAGES: list(product(names, OUTCOMES)),
        metrics.SECONDS: [(name,) for name in names],
    }


def files_series(drops: Iterable[str]) -> Series:
    """What is counted of the drops that there are."""
    from connectors.files import metrics

    names = list(drops)
    return {
        metrics.ROWS: list(product(names, ("published", "bad"))),
        metrics.FILES: list(product(names, ("published", "refused", "known"))),
    }


def onelogin_series(services: Iterable[str]) -> Series:
    """What One Login's door counts of the services that it knows."""
    from connectors.onelogin import metrics
    from connectors.onelogin.door import OUTCOMES

    names = list(services)
    return {
        metrics.LINKS: list(product(names, OUTCOMES)),
        metrics.SECONDS: [(name,) for name in names],
    }


def notify_series() -> Series:
    """What is counted of notices."""
    from connectors.notify import metrics
    from connectors.notify.facts import KINDS
    from connectors.notify.letterbox import Outcome

    return {
        metrics.NOTICES: [(kind,) for kind in KINDS],
        metrics.ATTEMPTS: [(outcome,) for outcome in Outcome],
    }


def canary_series() -> Series:
    """What a canary counts."""
    from postroom.canary import metrics as canary_metrics
    from postroom.canary.round import EVENT_TO_VIEW, STEPS, WITHDRAWAL_TO_RETRACTION

    return {
        canary_metrics.ROUNDS: [(result,) for result in ("success", *STEPS)],
        canary_metrics.SECONDS: [(path,) for path in (EVENT_TO_VIEW, WITHDRAWAL_TO_RETRACTION)],
    }
