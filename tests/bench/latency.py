"""Latency: from an event on a department's topic to the committed view, and from a withdrawal to the
committed retraction (V7), at three rates, one production worker for all of them.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from tests.bench.ground import POSTROOM, Ground, prepared, say
from tests.bench.latency_events import Encoder, Population
from tests.bench.latency_live import Ledger, Shown, Watcher, drain, percentiles, play
from tests.bench.w1.terms import AGREEMENTS_DIR, CONTRACTS

PARTITIONS = 2
"""As many as the bench's machine has cores: each is a transaction of each stage on the way, and those of one
process wait for one another."""

COLUMNS = (
    "rate",
    "what",
    "events",
    "p50_ms",
    "p99_ms",
    "p99.9_ms",
    "written_p50_ms",
    "written_p99_ms",
    "worker_cores",
    "others_cores",
    "note",
)
RATES = (100, 1_000, 5_000)
SECONDS = 20
WITHDRAWALS_LEAST = 10
"""A second: a hundredth of few is nothing to speak of."""
WITHDRAWALS_SHARE = 20
"""One event in so many is a withdrawal, where that is more."""
WARM_RATE, WARM_S = 500, 30
"""Played before anything is measured: a broker that has just started compiles itself meanwhile."""
STABLE_PER_RATE = 2
"""Stable citizens per event a second: each is in the news every other second or so."""
OPEN_S, DRAIN_S, STOP_S = 180, 60, 20
KEPT_UP_S = 2.0
"""A rate was kept up with if the last event was seen no later than this after it was appended."""
Row = dict[str, Any]


def measure(events: int | None, only: str | None) -> list[Row]:
    """Two rows a rate; after a rate that was not kept up with, higher ones are not tried.

    ``events`` caps those of a rate, ``only`` names a rate.
    """
    rows: list[Row] = []
    rates = [rate for rate in RATES if only is None or only == str(rate)]
    with prepared(CONTRACTS, AGREEMENTS_DIR, PARTITIONS) as ground:
        ground.create()
        encoder = Encoder(ground)
        with worker(ground, "one") as process:
            say("what follows warms broker and worker, and is not counted")
            _trial(ground, encoder, process, "AH", WARM_RATE, WARM_RATE * WARM_S)
            for number, rate in enumerate(rates):
                count = min(events or rate * SECONDS, rate * SECONDS)
                rows += _trial(ground, encoder, process, f"A{'ABCEG'[number]}", rate, count)
                if rows[-1].get("note"):
                    rows += [{"rate": each, "note": "not tried: see above"} for each in rates[number + 1 :]]
                    break
    return rows


@contextmanager
def worker(ground: Ground, name: str) -> Iterator[psutil.Popen]:
    """A worker of all stages, as an operator starts it."""
    with (ground.place / f"{name}.log").open("ab") as log:
        process = psutil.Popen(
            [*POSTROOM, "run", "all", "--instance", name],
            env=ground.environment(),
            cwd=ground.place,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
                process.kill()
                process.wait()


def _trial(
    ground: Ground, encoder: Encoder, process: psutil.Popen, prefix: str, rate: int, count: int
) -> list[Row]:
    every = min(WITHDRAWALS_SHARE, rate // WITHDRAWALS_LEAST)
    people = Population(
        encoder, prefix, rate * STABLE_PER_RATE, count // every + 1, time.time_ns() // 1_000_000
    )
    opened(ground, people, process)
    live = people.live(count, every)
    ledger, watcher = Ledger(ground), Watcher(ground)
    say(f"latency at {rate} events/s")
    before, since = _cpu(process), time.perf_counter()
    took_s = play(ground, ledger, live, rate)
    after, seconds = _cpu(process), time.perf_counter() - since
    drain(ledger, watcher, DRAIN_S, lambda: still_runs(ground, process))
    watcher.stop()
    row = {"worker_cores": round((after[0] - before[0]) / seconds, 2)}
    row["others_cores"] = round((after[1] - before[1]) / seconds - row["worker_cores"], 2)
    note = _note(ledger, rate, count / took_s)
    return [
        {"rate": rate, **_figures(ledger.shown, withdrawal), **row, **note} for withdrawal in (False, True)
    ]


def opened(ground: Ground, people: Population, process: psutil.Popen) -> None:
    """Bring everybody's first view about, as fast as may be: afterwards the worker is warm."""
    ledger, watcher = Ledger(ground), Watcher(ground)
    opening = people.opening()
    say(f"opening with {len(opening)} events")
    play(ground, ledger, opening, None)
    drain(ledger, watcher, OPEN_S, lambda: still_runs(ground, process))
    watcher.stop()
    if ledger.awaited:
        raise SystemExit(f"bench: {ledger.awaited} first views did not come\n{said(ground)}")


def still_runs(ground: Ground, process: psutil.Popen) -> None:
    """SystemExit when the worker has ended by itself."""
    if process.poll() is not None:
        raise SystemExit(f"bench: the worker ended by itself\n{said(ground)}")


def said(ground: Ground, lines: int = 10) -> str:
    """The last words of every worker."""
    logs = sorted(ground.place.glob("*.log"))
    return "\n".join("\n".join(log.read_text(errors="replace").splitlines()[-lines:]) for log in logs)


def _figures(shown: list[Shown], withdrawal: bool) -> Row:
    these = [each for each in shown if each.withdrawal == withdrawal]
    written = percentiles(each.written_ms - each.appended_ms for each in these)
    return {
        "what": "withdrawal to committed retraction" if withdrawal else "event to committed view",
        "events": len(these),
        **percentiles(each.seen_ms - each.appended_ms for each in these),
        **{f"written_{name}": value for name, value in written.items()},
    }


def _note(ledger: Ledger, rate: int, played: float) -> Row:
    if ledger.awaited:
        return {"failed": True, "note": f"{ledger.awaited} events were not seen within {DRAIN_S} s"}
    behind_s = (max(s.seen_ms for s in ledger.shown) - max(s.appended_ms for s in ledger.shown)) / 1000
    if behind_s > KEPT_UP_S:
        return {"note": f"not kept up: {behind_s:.1f} s behind at the end"}
    if played < rate * 0.95:
        return {"note": f"only {played:.0f} events/s could be published"}
    return {}


def _cpu(process: psutil.Popen) -> tuple[float, float]:
    """CPU seconds of the worker, and of the whole machine."""
    own, machine = process.cpu_times(), psutil.cpu_times()
    return own.user + own.system, machine.user + machine.system + machine.nice
