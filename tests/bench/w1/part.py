"""W1, the citizen record with consent: every program over the same events, its views held to the oracle."""

from __future__ import annotations

import io
import time
from itertools import groupby
from typing import Any

from fastavro import parse_schema, schemaless_reader

from processors import view_topic
from schemas import unframe
from tests.bench.ground import Ground, prepared, say
from tests.bench.measure import Measured, load, run
from tests.bench.w1.oracle import Oracle, Views, differences
from tests.bench.w1.preload import preload
from tests.bench.w1.programs import ENTRIES, PEER_VIEW, STAGES, Entry, NotRun
from tests.bench.w1.terms import AGREEMENTS, AGREEMENTS_DIR, CONTRACTS, PARTITIONS

COLUMNS = (
    "program",
    "events",
    "events_per_s",
    "cpu_s_per_million",
    "speed_of_quix",
    "cpu_of_quix",
    "speed_of_faust",
    "cpu_of_faust",
    "rss_mib",
    "view_writes",
    "note",
)
QUIX, FAUST = "Quix Streams", "stock Faust"
Row = dict[str, Any]


def measure(events: int | None, only: str | None) -> list[Row]:
    """A row for each program; SystemExit when a program's views are not the oracle's."""
    entries = [entry for entry in ENTRIES if only is None or only.lower() in entry.name.lower()]
    sized = [(events or entry.events, entry) for entry in entries]
    rows: list[Row] = []
    with prepared(CONTRACTS, AGREEMENTS_DIR, PARTITIONS) as ground:
        for count, group in groupby(sorted(sized, key=lambda each: each[0]), lambda each: each[0]):
            say(f"preloading {count} events")
            oracle = preload(ground, count)
            for _, entry in group:
                rows += _rows_of(entry, ground, oracle)
    return _with_ratios(rows)


def _rows_of(entry: Entry, ground: Ground, oracle: Oracle) -> list[Row]:
    ground.wipe(keep=ground.inputs())
    ground.create()
    try:
        program = entry.make(ground, entry.name)
    except NotRun as why:
        return [{"program": entry.name, "note": f"not run: {why}"}]
    say(entry.name)
    began = load()
    measured = run(program, ground, entry.limit_s)
    found = _views(measured, ground) if entry.views else {}
    wrong = differences(oracle.views(time.time_ns() // 1_000_000), found) if entry.views else []
    if wrong:
        raise SystemExit(f"bench: {entry.name} gave other views than the oracle: {'; '.join(wrong)}")
    rows = [_row(measured) | {"load": began}]
    if set(program.commands) == set(STAGES):
        rows += [_stage_row(measured, stage) for stage in STAGES]
    return rows


def _row(measured: Measured) -> Row:
    return {
        "program": measured.program,
        "events": measured.events,
        "events_per_s": round(measured.events / measured.seconds),
        "cpu_s_per_million": _per_million(measured.cpu_s(), measured.events),
        "rss_mib": round(max(sample.rss_mib for sample in measured.samples)),
        "view_writes": measured.writes,
        "seconds": round(measured.seconds, 2),
        "start_cpu_s": round(measured.start_cpu_s, 2),
        "start_s": round((measured.begun_ms - measured.started_ms) / 1000, 2),
    }


def _stage_row(measured: Measured, stage: str) -> Row:
    cpu_s = measured.cpu_s([stage])
    return {"program": f"  {stage}", "cpu_s_per_million": _per_million(cpu_s, measured.events)}


def _per_million(cpu_s: float, events: int) -> float:
    return round(cpu_s / events * 1_000_000, 1)


def _with_ratios(rows: list[Row]) -> list[Row]:
    by_name = {row["program"]: row for row in rows}
    for peer, word in ((QUIX, "quix"), (FAUST, "faust")):
        other = by_name.get(peer, {})
        for row in rows:
            for figure, name in (("events_per_s", "speed"), ("cpu_s_per_million", "cpu")):
                if figure in row and figure in other:
                    row[f"{name}_of_{word}"] = round(row[figure] / other[figure], 2)
    return rows


def _views(measured: Measured, ground: Ground) -> Views:
    """The program's views by agreement and key, whichever way it arranges its topics."""
    agreement_of = {view_topic(name): name for name in AGREEMENTS.values()}
    schemas: dict[int, Any] = {}
    views: Views = {name: {} for name in AGREEMENTS.values()}
    for (topic, key), value in measured.latest.items():
        agreement, _, citizen = key.partition("|") if topic == PEER_VIEW else (agreement_of[topic], "", key)
        schema_id, body = unframe(value)
        if schema_id not in schemas:
            schemas[schema_id] = parse_schema(ground.registry.schema_by_id(schema_id))
        views[agreement][citizen] = schemaless_reader(io.BytesIO(body), schemas[schema_id], None)
    return views
