"""Recovery: a killed worker until events are prompt again, and what restoring a task's state takes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psutil

from processors.engine.settings import EngineConfig
from tests.bench.ground import Ground, prepared, say
from tests.bench.latency import opened, said, still_runs, worker
from tests.bench.latency_events import Encoder, Population
from tests.bench.latency_live import Ledger, Shown, Watcher, drain, percentiles, play
from tests.bench.recovery_restore import STATE_BYTES, restored, write_changelog
from tests.bench.w1.terms import AGREEMENTS_DIR, CONTRACTS, PARTITIONS

COLUMNS = ("what", "seconds", "records", "records_per_s", "cpu_s_per_million", "before_p99_ms", "note")
RATE = 300
BEFORE_S, AFTER_S = 10, 40
DRAIN_S = 60
SETTLE_S, CALM_S = 60, 2
"""How long the two workers may take to share the work, and what a second's events then take to be seen."""
PROMPT_MS = 1_000.0
"""Caught up: everything appended from then on is seen within this, or twice the 99th percentile of before."""
RECORDS, RECORDS_SCALE = 100_000, 1_000_000
CHANGELOG = "bench.changelog"
SESSION_S = EngineConfig("", Path()).session_timeout_ms / 1000
Row = dict[str, Any]


def measure(events: int | None, only: str | None, records: int = RECORDS) -> list[Row]:
    """A row for the kill and two for the restore; ``events`` says how many records are restored."""
    records = events or records
    rows: list[Row] = []
    with prepared(CONTRACTS, AGREEMENTS_DIR, PARTITIONS) as ground:
        ground.create()
        if only is None or only in "restore":
            rows += _restore(ground, records)
        if only is None or only in "kill":
            rows.append(_kill(ground))
    return rows


def _restore(ground: Ground, records: int) -> list[Row]:
    say(f"restoring {records} records")
    write_changelog(ground, CHANGELOG, records)
    found = restored(ground, CHANGELOG)
    size = f"of {STATE_BYTES} bytes, one partition"
    return [
        {
            "what": "restore into an empty store",
            "seconds": round(found.cold_s, 2),
            "records": records,
            "records_per_s": round(records / found.cold_s),
            "cpu_s_per_million": round(found.cold_cpu_s / records * 1e6, 1),
            "note": size,
        },
        {
            "what": "open a store that is there",
            "seconds": round(found.warm_s, 2),
            "records": records,
            "note": size,
        },
    ]


def _kill(ground: Ground) -> Row:
    """Play events at a steady rate to two workers, kill one without notice, start none in its place."""
    people = Population(Encoder(ground), "AH", RATE * 2, 0, time.time_ns() // 1_000_000)
    with worker(ground, "stays") as stays, worker(ground, "dies") as dies:
        opened(ground, people, stays)
        _settle(ground, people, stays)
        live = people.live(RATE * (BEFORE_S + AFTER_S), 0)
        ledger, watcher = Ledger(ground), Watcher(ground)
        say(f"killing a worker under {RATE} events/s")
        killed: list[float] = []

        def kill() -> None:
            killed.append(time.time() * 1000)
            dies.kill()

        timer = threading.Timer(BEFORE_S, kill)
        timer.start()
        play(ground, ledger, live, RATE)
        drain(ledger, watcher, DRAIN_S, lambda: still_runs(ground, stays))
        watcher.stop()
        dies.wait()
    if ledger.awaited:
        words = f"{ledger.awaited} events were not seen\n{said(ground)}"
        say(words)
        return {"what": "SIGKILL of one of two workers", "failed": True, "note": words.partition("\n")[0]}
    return _caught_up(ledger.shown, killed[0])


def _settle(ground: Ground, people: Population, process: psutil.Popen) -> None:
    """Play a second's events, again and again, until they are seen soon: joining stops everybody."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        ledger, watcher = Ledger(ground), Watcher(ground)
        play(ground, ledger, people.live(RATE, 0), RATE)
        began = time.monotonic()
        drain(ledger, watcher, SETTLE_S, lambda: still_runs(ground, process))
        watcher.stop()
        if time.monotonic() - began < CALM_S:
            return


def _caught_up(shown: list[Shown], killed_ms: float) -> Row:
    """The last moment at which something late was seen."""
    before = percentiles(each.seen_ms - each.appended_ms for each in shown if each.seen_ms < killed_ms)
    prompt_ms = max(PROMPT_MS, 2 * (before["p99_ms"] or 0))
    after = [each for each in shown if each.seen_ms >= killed_ms]
    late = [each.seen_ms for each in after if each.seen_ms - each.appended_ms > prompt_ms]
    end_ms = max(late, default=killed_ms)
    over = end_ms >= max(each.seen_ms for each in after) - 1000
    settings = f"session timeout {SESSION_S:.0f} s, {RATE} events/s, late is more than {prompt_ms:.0f} ms"
    return {
        "what": "SIGKILL of one of two workers",
        "seconds": round((end_ms - killed_ms) / 1000, 1),
        "before_p99_ms": before["p99_ms"],
        "worst_ms": round(max(each.seen_ms - each.appended_ms for each in after)),
        "note": f"{settings}{'; not caught up when events ended' if over else ''}",
    }
