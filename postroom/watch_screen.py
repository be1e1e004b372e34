"""One snapshot as a screen: promises, flow by stage, consent, dead letters, obligations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from connectors.metrics_reader import Sample
from postroom.figures import greatest, spread, sums
from postroom.snapshot import Snapshot

GOOD, BAD, DIM = "green", "bold red", "dim"
PROMISES: tuple[tuple[str, str, float], ...] = (
    ("withdrawal → retraction (V7)", "postroom_withdrawal_to_retraction_seconds", 0.99),
    ("moment → view (V8)", "postroom_moment_to_view_seconds", 0.99),
    ("event → view", "postroom_end_to_end_seconds", 0.0),
)
"""What is promised, the histogram that shows it, and the share within a second that is wanted (0: none)."""
SECOND = 1.0
ROWS_MAX = 8
NO_FIGURES = "no worker's figures: name them with --metrics URL, or set POSTROOM_METRICS_PORT for the workers"


def screen(found: Snapshot) -> RenderableType:
    """Everything, in the order of the questions that somebody asks at night."""
    return Group(
        _head(found),
        _panel("promises", _promises(found)),
        _panel("flow by stage", _flow(found)),
        _panel("consent and disclosure", _consent(found.samples)),
        Columns(
            [_panel("dead letters", _letters(found)), _panel("obligations", _obligations(found))], expand=True
        ),
    )


def _head(found: Snapshot) -> Text:
    at = datetime.fromtimestamp(found.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    waiting = found.not_ready()
    text = Text.assemble(("postroom ", "bold"), at, "  ", *_parts(found), "  ")
    text.append("ready" if not waiting else "not ready", GOOD if not waiting else BAD)
    for why in waiting:
        text.append(f"\n  {why}", BAD)
    for url in found.silent:
        text.append(f"\n  no figures from {url}", BAD)
    return text


def _parts(found: Snapshot) -> list[tuple[str, str]]:
    return [
        (f"{part.part} {part.state} ", GOOD if part.state in ("running", "reachable") else BAD)
        for part in found.parts
    ]


def _promises(found: Snapshot) -> RenderableType:
    if not found.samples:
        return Text(NO_FIGURES, DIM)
    table = _table("promise", "within 1 s", "99 of 100 within", "measured")
    for title, name, wanted in PROMISES:
        seconds = spread(found.samples, name)
        share, most = seconds.within(SECOND), seconds.quantile(0.99)
        style = "" if share is None or not wanted else GOOD if share >= wanted else BAD
        table.add_row(
            title,
            Text("–" if share is None else f"{share:.2%}", style),
            "–" if most is None else f"{most:g} s",
            f"{seconds.count:,}",
        )
    return table


def _flow(found: Snapshot) -> RenderableType:
    table = _table("stage", "workers", "group", "to go", "a second", "oldest waits", "restored")
    waits = greatest(found.samples, "postroom_lag_seconds", "stage")
    restored = _least(found.samples, "postroom_restore_progress_ratio")
    for each in found.stages:
        table.add_row(
            each.stage,
            Text(str(each.workers), GOOD if each.workers else BAD),
            each.state,
            f"{each.lag:,}",
            "–" if each.pace_per_s is None else f"{max(0.0, each.pace_per_s):,.0f}",
            f"{waits[each.stage]:.1f} s" if each.stage in waits else "–",
            f"{restored[each.stage]:.0%}" if each.stage in restored else "–",
        )
    return table


def _consent(samples: Sequence[Sample]) -> RenderableType:
    if not samples:
        return Text(NO_FIGURES, DIM)
    views = sums(samples, "postroom_views_total", "agreement", "change")
    decisions = sums(samples, "postroom_decisions_total", "agreement", "outcome")
    names = sorted({name for name, *_ in (*views, *decisions)})
    table = _table("agreement", "views written", "retracted", "permitted", "partly", "denied")
    for name in names[:ROWS_MAX]:
        table.add_row(
            name,
            *(f"{views[name, change]:,}" for change in ("written", "retracted")),
            *(f"{decisions[name, outcome]:,}" for outcome in ("permitted", "partial", "denied")),
        )
    _rest(table, len(names))
    return table


def _letters(found: Snapshot) -> RenderableType:
    letters = found.open_letters
    if not letters:
        return Text("none open", GOOD)
    counts = Counter(each.letter.reason for each in letters)
    table = _table("reason", "open")
    for reason, count in counts.most_common(ROWS_MAX):
        table.add_row(reason, Text(f"{count:,}", BAD))
    _rest(table, len(counts))
    oldest_s = (found.at_ms - letters[0].letter.timestamp_ms) // 1000
    return Group(table, Text(f"the oldest is {_age(oldest_s)} old; postroom dlq list", DIM))


def _obligations(found: Snapshot) -> RenderableType:
    owed = found.owed()
    if not owed:
        return Text("none open", GOOD)
    table = _table("subscriber", "open", "overdue")
    names = sorted({name for name, _ in owed})
    for name in names[:ROWS_MAX]:
        overdue = owed[name, "overdue"]
        table.add_row(name, f"{owed[name, 'open']:,}", Text(f"{overdue:,}", BAD if overdue else ""))
    _rest(table, len(names))
    return table


def _least(samples: Sequence[Sample], name: str) -> dict[str, float]:
    """The least value of a metric by stage: the slowest task is the one that is waited for."""
    found: dict[str, float] = {}
    for sample in samples:
        if sample.name == name:
            stage = sample.labels.get("stage", "")
            found[stage] = min(found.get(stage, sample.value), sample.value)
    return found


def _age(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(0, seconds)} s"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _rest(table: Table, count: int) -> None:
    if count > ROWS_MAX:
        table.add_row(f"and {count - ROWS_MAX} more")


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(content, title=title, title_align="left", box=box.ROUNDED, border_style=DIM)
