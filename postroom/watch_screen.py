"""One snapshot as a screen: promises, flow by stage, consent, dead letters, obligations, what states hold."""

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
from postroom.figures import Spread, greatest, most, spread, sums
from postroom.snapshot import Snapshot

GOOD, BAD, DIM = "green", "bold red", "dim"
PROMISES: tuple[tuple[str, str, float], ...] = (
    ("withdrawal → retraction (V7)", "postroom_withdrawal_to_retraction_seconds", 0.99),
    ("moment → view (V8)", "postroom_moment_to_view_seconds", 0.99),
    ("event → view", "postroom_end_to_end_seconds", 0.0),
)
"""What is promised, the histogram that shows it, and the share within a second that is wanted (0: none)."""
CANARY: tuple[tuple[str, str], ...] = (
    ("canary: event → view", "event_to_view"),
    ("canary: withdrawal → retraction", "withdrawal_to_retraction"),
)
"""What a subscriber sees, and the path by which the canary's process tells it (docs/adr/0041)."""
WAITING: tuple[tuple[str, str, str], ...] = (
    ("events held (I6)", "postroom_held_events", "postroom_held_oldest_seconds"),
    (
        "records incomplete (I6)",
        "postroom_records_incomplete",
        "postroom_records_incomplete_oldest_seconds",
    ),
    ("annulments unmatched (R3)", "postroom_annulments_unmatched", ""),
)
"""What lies in states and waits, how many there are and, where that is told, how old the oldest is."""
CANARY_LATE_S = 120
"""Several rounds of the slower path: the alert's own bound."""
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
            [
                _panel("waiting in states", _waiting(found)),
                _panel("dead letters", _letters(found)),
                _panel("obligations", _obligations(found)),
            ],
            expand=True,
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
    table = _table("promise", "within 1 s", "99 of 100 within", "measured", "last")
    for title, name, wanted in PROMISES:
        table.add_row(title, *_measured(spread(found.samples, name), wanted), "")
    last = greatest(found.samples, "postroom_canary_last_success_timestamp_seconds", "path")
    for title, path in CANARY:
        if path in last:
            seconds = spread(found.samples, "postroom_canary_seconds", path=path)
            table.add_row(title, *_measured(seconds, 0.0), _since(found.at_ms / 1000, last[path]))
    return table


def _measured(seconds: Spread, wanted: float) -> tuple[RenderableType, ...]:
    """The share within a second, coloured if so much is promised; what 99 of 100 took; of how many."""
    share, longest = seconds.within(SECOND), seconds.quantile(0.99)
    style = "" if share is None or not wanted else GOOD if share >= wanted else BAD
    return (
        Text("–" if share is None else f"{share:.2%}", style),
        "–" if longest is None else f"{longest:g} s",
        f"{seconds.count:,}",
    )


def _since(at_s: float, last_s: float) -> Text:
    if not last_s:
        return Text("never", BAD)
    late = at_s - last_s > CANARY_LATE_S
    return Text(f"{_age(int(at_s - last_s))} ago", BAD if late else GOOD)


def _flow(found: Snapshot) -> RenderableType:
    table = _table("stage", "workers", "group", "to go", "a second", "oldest waits", "restored")
    waits = greatest(found.samples, "postroom_lag_seconds", "stage")
    restored = _least(found.samples, "postroom_restore_progress_ratio")
    for each in found.stages:
        table.add_row(
            each.stage,
            Text(str(each.workers), GOOD if each.workers else BAD),
            each.state,
            each.to_go,
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
    names = sorted({name for (name, *_), count in (*views.items(), *decisions.items()) if count})
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
    closed = Counter(each.state for each in found.letters if each.state != "open")
    dealt_with = Text(", ".join(f"{count:,} {state}" for state, count in sorted(closed.items())), DIM)
    if not letters:
        return Group(Text("none open", GOOD), dealt_with)
    counts = Counter(each.letter.reason for each in letters)
    table = _table("reason", "open")
    for reason, count in counts.most_common(ROWS_MAX):
        table.add_row(reason, Text(f"{count:,}", BAD))
    _rest(table, len(counts))
    oldest_s = (found.at_ms - letters[0].letter.timestamp_ms) // 1000
    return Group(table, Text(f"the oldest is {_age(oldest_s)} old; postroom dlq list", DIM), dealt_with)


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


def _waiting(found: Snapshot) -> RenderableType:
    """What states hold, from the workers' figures, and disputed pairs, which are on a topic (I3)."""
    table = _table("what", "now", "oldest")
    for title, name, oldest in WAITING:
        count, oldest_s = sums(found.samples, name)[()], most(found.samples, oldest)
        told = most(found.samples, name) is not None
        table.add_row(
            title,
            f"{count:,}" if told else "–",
            f"{oldest_s:.1f} s" if count and oldest_s is not None else "–",
        )
    table.add_row("pairs disputed (I3)", f"{found.disputes.total():,}", "–")
    for stage, (done, keys) in sorted(_sweeps(found.samples).items()):
        table.add_row(f"sweep of {stage} (V9)", f"{done:,} of {keys:,}", "–")
    return table


def _sweeps(samples: Sequence[Sample]) -> dict[str, tuple[int, int]]:
    """Keys delivered and keys in all of each stage's tasks that sweep now."""
    under_way = {task for task, on in sums(samples, "postroom_sweeping", "stage", "partition").items() if on}
    done = sums(samples, "postroom_sweep_keys_done", "stage", "partition")
    keys = sums(samples, "postroom_state_keys", "stage", "partition")
    return {
        stage: (
            sum(done[task] for task in under_way if task[0] == stage),
            sum(keys[task] for task in under_way if task[0] == stage),
        )
        for stage in {task[0] for task in under_way}
    }


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
