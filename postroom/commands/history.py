"""`postroom history verify`: whether the promises V1 to V7 held over what the topics still show."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.commands import noun
from postroom.errors import Exit, UserError
from postroom.output import Form, Output, write_json, write_rows

if TYPE_CHECKING:
    from connectors.kafka_history import HistoryReader
    from connectors.kafka_reader import RawRecord
    from connectors.registry import Registry
    from processors import Rules
    from processors.history import Finding, Verdict

COLUMNS = ("anomaly", "rule", "topic", "partition", "offset", "source", "id", "what")
REPLAY_MAX = 250_000


def register(app: typer.Typer) -> None:
    """Add the noun."""
    noun(app, "history", "What the topics show of what happened.", "Operating").command()(verify)


def verify(
    replay_max: Annotated[
        int, typer.Option(min=0, help="replay so many events at most and compare the views; 0: do not")
    ] = REPLAY_MAX,
    output: Output = Form.TABLE,
) -> None:
    """Check whether the promises V1 to V7 held: nothing lost, nothing twice, nothing after a withdrawal.

    Reads all topics once, committed records only, up to their ends of this moment; the workers may run. What
    is not yet processed is not lost, and what retention or compaction has taken is said and not held against
    anybody. A finding names topic, partition, offset and event, and nobody's data. Replaying holds all
    citizens in memory: some 4 kB an event.

    Exit 0 if all promises held, 1 if one did not.

    Example: postroom history verify -o jsonl
    """
    from connectors import find_stack
    from connectors.kafka_history import HistoryReader
    from connectors.registry import registry_of
    from postroom.composition import load_rules_files
    from postroom.installation import require_its_secret
    from postroom.settings import settings
    from processors import Keys, Rules

    current = settings()
    stack = find_stack(current)
    keys = Keys(current.secret_bytes())
    require_its_secret(current, stack, keys)
    rules = Rules(*load_rules_files(current.contracts_dir, current.agreements_dir), keys)
    verdict = judge(HistoryReader(stack.access), registry_of(stack), rules, replay_max)
    _write(verdict, output)
    if not verdict.clean:
        raise typer.Exit(Exit.FOUND)


def judge(reader: HistoryReader, registry: Registry, rules: Rules, replay_max: int = REPLAY_MAX) -> Verdict:
    """Read the history and judge it."""
    from processors.history import NOTHING_LEFT_MS, Extent, History, Stretch, groups_of, topics_of
    from processors.stage import Record

    if replay_max:
        registry.ping()
    topics = topics_of(rules)
    spans, committed = reader.spans(topics, groups_of(rules))
    at_ms = time.time_ns() // 1_000_000
    stretches = {}
    for where, (begin, settled, end, since_ms) in spans.items():
        first_ms = NOTHING_LEFT_MS if since_ms is None else since_ms
        stretches[where] = Stretch(begin, settled, end, first_ms if begin else 0)
    history = History(Extent(stretches, committed), rules, cache(registry.schema_by_id), replay_max)
    records = reader.in_order_of_time(spans, topics)
    for record in _with_progress(records, sum(span.end - span.begin for span in spans.values())):
        history.take(Record(*record))
    if reader.begins(spans) != {where: span.begin for where, span in spans.items()}:
        raise UserError(
            "retention took records while they were read", mend="run it again", code=Exit.UNREACHABLE
        )
    return history.finish(at_ms)


def _with_progress(records: Iterable[RawRecord], offsets: int) -> Iterator[RawRecord]:
    """Show on a terminal how far it has come; compaction and markers make it end early."""
    if not sys.stderr.isatty():
        yield from records
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        records, "reading the history", total=offsets, console=Console(stderr=True), transient=True
    )


def _write(verdict: Verdict, form: Form) -> None:
    from postroom.console import say

    if form is Form.JSON:
        write_json(
            {
                "findings": [_row(finding) for finding in verdict.findings],
                "counts": dict(verdict.counts),
                "checked": verdict.checked,
                "unchecked": verdict.unchecked,
            }
        )
        return
    if verdict.findings or form is Form.JSONL:
        write_rows(map(_row, verdict.findings), form, COLUMNS)
    widest = max(map(len, verdict.checked)) + 1
    for what, count in verdict.checked.items():
        say(f"{what + ':':<{widest}}{count:>12,}")
    for what in verdict.unchecked:
        say(f"not checked: {what}")
    kinds = ", ".join(f"{count:,} {anomaly}" for anomaly, count in verdict.counts.items())
    say(f"broken: {kinds}" if kinds else "every promise held")


def _row(finding: Finding) -> dict[str, Any]:
    from processors.history import MEANING

    source, event_id = finding.event or (None, None)
    return {
        "anomaly": finding.anomaly.value,
        "rule": MEANING[finding.anomaly].rule,
        "topic": finding.place.topic,
        "partition": finding.place.partition,
        "offset": finding.place.offset,
        "source": source,
        "id": event_id,
        "what": finding.what,
    }
