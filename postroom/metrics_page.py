"""The catalogue of metrics, rendered into `docs/metrics.md` from where each is declared.

What bounds each label stands in :data:`LABELS`; a metric with a label that is not there is refused by a test,
so nobody adds one that a person or an event could fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from connectors import signals
from postroom.first_series import FIRST_COUNTED
from postroom.signals import DECLARED_IN, metrics_in

METRICS_PAGE = Path("docs/metrics.md")
BEGIN, END = "<!-- rendered: catalogue -->", "<!-- end of what is rendered -->"

TITLES: Mapping[str, str] = {
    "worker": "A worker (`postroom run`)",
    "gateway": "The gateway (`postroom gateway run`)",
    "outbox": "The outbox (`postroom outbox run`)",
    "sink": "The sink (`postroom sink run`)",
    "files": "Nightly files (`postroom files run`)",
    "webhook": "Webhooks (`postroom webhook run`)",
    "pay": "GOV.UK Pay's door (`postroom pay run`)",
    "onelogin": "GOV.UK One Login's door (`postroom onelogin run`)",
    "notify": "Notices (`postroom notify run`)",
    "canary": "The canary (`postroom canary run`)",
}
"""Each kind of process that has metrics of its own, in the page's order."""

PROCESSES: tuple[tuple[str, ModuleType], ...] = (
    ("Every process", signals),
    *((TITLES[process], import_module(module)) for process, module in DECLARED_IN.items()),
)

LABELS: dict[str, str] = {
    "agreement": "the agreements' files, and those that were",
    "certificate": "`kafka-listener`, `kafka-ca`, `kafka-client`, `registry`, `gateway`, "
    "`gateway-client-ca`, "
    "`pay`, `onelogin`",
    "cause": "`moment`, `sweep`",
    "change": "the words in the metric's description",
    "disk": "`state`",
    "drop": "the directories of POSTROOM_DROPS",
    "endpoint": "the file of webhooks",
    "error": "the reasons for which a worker ends itself, in the code",
    "fingerprint": "one for each secret that workers were given: one",
    "group": "`postroom.<stage>`",
    "method": "HTTP's methods, `other`",
    "of": "`registry`",
    "outcome": "the outcomes that stages, gateway, webhooks, files and doors return, in the code",
    "owner": "the owners that contracts name",
    "partition": "the number of partitions",
    "path": "`event_to_view`, `withdrawal_to_retraction`",
    "process": "`worker`, `gateway`, `outbox`, `sink`, `files`, `webhook`, `pay`, `onelogin`, `notify`, "
    "`canary`",
    "python": "one",
    "reason": "one enumeration in the code (`processors/outcomes.py`, `connectors/doors/problems.py`)",
    "report": "why identity reports to a department (`processors/outcomes.py`)",
    "result": "the words in the metric's description",
    "route": "the gateway's routes as the code has them, `unknown`",
    "service": "the files of payment services and of One Login services, `unknown`",
    "stage": "`intake`, `identity`, `persons`, `record`, `obligations`",
    "state": "the words in the metric's description",
    "status": "HTTP's status codes",
    "subscriber": "the subscribers of agreements",
    "system": "`kafka`, `registry`",
    "type": "the contracts' types, `acknowledgements`, `unknown`",
    "version": "one",
}
"""What each label's values come from: always a set that does not grow with people or events."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as its module declares it."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]


def declared(module: ModuleType) -> Iterator[Declared]:
    """Return the metrics of a module, in their order there."""
    return map(_declaration, metrics_in(module))


def every_metric() -> list[Declared]:
    """Return all that any process of Postroom declares."""
    return [metric for _, module in PROCESSES for metric in declared(module)]


def name_of(metric: MetricWrapperBase) -> str:
    """Return what a metric is called in a query."""
    inside: Any = metric
    return str(inside._name) + ("_total" if inside._type == "counter" else "")


def _declaration(metric: MetricWrapperBase) -> Declared:
    # prometheus_client tells labels and bounds of samples only, and before the first there is none.
    inside: Any = metric
    bounds = tuple(inside._upper_bounds[:-1]) if isinstance(metric, Histogram) else ()
    return Declared(
        name_of(metric), str(inside._type), str(inside._documentation), tuple(inside._labelnames), bounds
    )


def catalogue() -> str:
    """Render every metric and every label as Markdown."""
    lines: list[str] = []
    for title, module in PROCESSES:
        lines += [
            f"### {title}",
            "",
            "| metric | kind | labels | what it tells |",
            "| --- | --- | --- | --- |",
        ]
        lines += [_row(metric) for metric in declared(module)]
        lines.append("")
    lines += ["### Labels", "", "| label | its values come from |", "| --- | --- |"]
    lines += [f"| `{label}` | {origin} |" for label, origin in sorted(LABELS.items())]
    lines += [
        "",
        "### Series that begin with what they first count",
        "",
        "| metric | why, and why it does no harm |",
    ]
    lines += ["| --- | --- |", *(f"| `{name}` | {why}. |" for name, why in FIRST_COUNTED.items())]
    lines += ["", "### Bounds of the histograms", "", "| histogram | upper bounds |", "| --- | --- |"]
    for metric in every_metric():
        if metric.bounds:
            lines.append(f"| `{metric.name}` | {', '.join(f'{bound:g}' for bound in metric.bounds)} |")
    return "\n".join([*lines, ""])


def _row(metric: Declared) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"


def metrics_page(before: str) -> str:
    """Put the catalogue between its marks; the prose around them is written by hand."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{catalogue()}\n{END}{tail}"
