"""W1, the citizen record with consent: every program over the same events, its views held to the oracle."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Any

from fastavro import parse_schema, schemaless_reader

from processors import view_topic
from schemas import unframe
from tests.bench.ground import Ground, prepared, say
from tests.bench.measure import BROKER, Measured, NotDone, run
from tests.bench.w1.oracle import Oracle, Views, differences
from tests.bench.w1.preload import preload
from tests.bench.w1.programs import ENTRIES, FAUST, PEER_VIEW, QUIX, STAGES, Entry, NotRun
from tests.bench.w1.stages import alone
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
    "others_cores",
    "note",
)
FAUST_NOMINAL = 1500
"""Events/s of stock Faust on two quiet cores; a machine on which it does less gets fewer events."""
EVENTS_LEAST = 20_000
LIMIT_S = 120.0
ALONE = "the stages alone, no kafka"
STAGES_EVENTS = 50_000
Row = dict[str, Any]


def measure(events: int | None, only: str | None) -> list[Row]:
    """A row for each program; SystemExit when a program's views are not the oracle's."""
    entries = [each for each in ENTRIES if _wanted(each.name, only)]
    rows = _run_all(entries, events) if entries else []
    if _wanted(ALONE, only):
        say(ALONE)
        rows += [{"program": ALONE}, *alone(STAGES_EVENTS)]
    return _with_ratios(rows)


def _wanted(name: str, only: str | None) -> bool:
    """Whether one of the names asked for, with bars between them, stands in this one."""
    return only is None or any(part.lower() in name.lower() for part in only.split("|"))


def _run_all(entries: Sequence[Entry], events: int | None) -> list[Row]:
    """One program after the other on one stack; the smallest first, which says how fast the machine is."""
    rows: list[Row] = []
    scale, preloaded = 1.0, 0
    with prepared(CONTRACTS, AGREEMENTS_DIR, PARTITIONS) as ground:
        for entry in sorted(entries, key=lambda each: 0 if events else each.events):
            count = events or max(EVENTS_LEAST, int(round(entry.events * scale, -4)))
            if count != preloaded:
                say(f"preloading {count} events")
                oracle, preloaded = preload(ground, count), count
            rows += _rows_of(entry, ground, oracle)
            if entry.name == FAUST:
                scale = min(1.0, rows[-1].get("events_per_s", count / LIMIT_S) / FAUST_NOMINAL)
    return rows


def _rows_of(entry: Entry, ground: Ground, oracle: Oracle) -> list[Row]:
    ground.wipe(keep=ground.inputs())
    ground.create()
    say(entry.name)
    try:
        measured = run(entry.make(ground, entry.name), ground, LIMIT_S)
    except NotRun as why:
        return [{"program": entry.name, "note": f"not run: {why}"}]
    except NotDone as why:
        say(f"{entry.name}: {why}")
        return [{"program": entry.name, "failed": True, "note": str(why).partition("\n")[0]}]
    if entry.views:
        wrong = differences(oracle.views(time.time_ns() // 1_000_000), _views(measured, ground))
        if wrong:
            raise SystemExit(f"bench: {entry.name} gave other views than the oracle: {'; '.join(wrong)}")
    rows = [_row(measured, entry.one_stage)]
    say(" ".join(f"{name}={value}" for name, value in rows[0].items() if name != "program"))
    if set(measured.program.commands) == set(STAGES):
        rows += [_stage_row(measured, stage) for stage in STAGES]
    return rows


def _row(measured: Measured, one_stage: bool) -> Row:
    events, (warm_events, warm_cpu_s) = measured.events, measured.warm
    return {
        "program": measured.program.name,
        "events": events,
        "events_per_s": round(events / measured.seconds),
        "cpu_s_per_million": _per_million(measured.cpu_s(), events),
        "cpu_s_per_million_warm": _per_million(warm_cpu_s, warm_events) if one_stage else None,
        "broker_cpu_s_per_million": _per_million(measured.cpu_s(BROKER), events),
        "rss_mib": round(max(sample.rss_mib for sample in measured.samples)),
        "view_writes": measured.writes,
        "seconds": round(measured.seconds, 2),
        "start_s": round((measured.begun_ms - measured.started_ms) / 1000, 2),
        "start_cpu_s": round(measured.start_cpu_s, 2),
        "others_cores": round(measured.others_cores, 1),
    }


def _stage_row(measured: Measured, stage: str) -> Row:
    cpu_s = measured.cpu_s(stage)
    return {"program": f"  {stage}", "cpu_s_per_million": _per_million(cpu_s, measured.events)}


def _per_million(cpu_s: float, events: int) -> float | None:
    return round(cpu_s / events * 1_000_000, 1) if events else None


def _with_ratios(rows: Sequence[Row]) -> list[Row]:
    for peer, word in ((QUIX, "quix"), (FAUST, "faust")):
        for number, row in enumerate(rows):
            for figure, name in (("events_per_s", "speed"), ("cpu_s_per_million", "cpu")):
                beside = _beside(rows, number, peer, figure)
                if figure in row and beside:
                    row[f"{name}_of_{word}"] = round(row[figure] / beside, 2)
    return list(rows)


def _beside(rows: Sequence[Row], number: int, peer: str, figure: str) -> float | None:
    """A peer's figure at the time of a row: the mean of its runs next before and next after that one."""
    before = [row[figure] for row in rows[: number + 1] if row["program"] == peer and figure in row][-1:]
    after = [row[figure] for row in rows[number:] if row["program"] == peer and figure in row][:1]
    found = before + after
    return sum(found) / len(found) if found else None


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
