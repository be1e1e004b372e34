"""`make bench`: how fast Postroom is, as ratios against the peers that run beside it in the same run.

Numbers of different runs or machines are comparable only as ratios. What each part measures and by which
rules stands in README.md and docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the repository's tests are not installed

from postroom.config import load_settings
from postroom.output import Form, write_json, write_rows
from tests.bench import gateway, latency, recovery, w2
from tests.bench.ground import ROOT, say
from tests.bench.w1 import part as w1
from tests.flow.spine import installed

Measure = Callable[[int | None, str | None], list[dict[str, Any]]]
GATEWAY_EVENTS = 2_000


class Part(NamedTuple):
    """One table: how it is measured, its columns, and how at full scale, where there is more to see."""

    title: str
    measure: Measure
    columns: Sequence[str]
    scale: Measure | None = None


def _gateway(events: int | None, _: str | None) -> list[dict[str, Any]]:
    cache = load_settings(os.environ, ROOT).cache_dir
    with installed(cache, ROOT / "schemas", ROOT / "schemas" / "agreements") as own:
        return gateway.gateway_rows(own, events or GATEWAY_EVENTS)


PARTS: Mapping[str, Part] = {
    "w1": Part("W1: the citizen record with consent, beside the peers", w1.measure, w1.COLUMNS),
    "w2": Part(
        "W2: the full backbone",
        w2.measure,
        w2.COLUMNS,
        partial(w2.measure, points=w2.SCALE_POINTS),
    ),
    "latency": Part("Latency: to the committed view and retraction (V7)", latency.measure, latency.COLUMNS),
    "recovery": Part(
        "Recovery: a killed worker, a lost store",
        recovery.measure,
        recovery.COLUMNS,
        partial(recovery.measure, records=recovery.RECORDS_SCALE),
    ),
    "gateway": Part("The gateway beside the publisher", _gateway, gateway.COLUMNS),
}


def main() -> int:
    """Measure the parts that are asked for and print a table for each; 1 if a program was not done."""
    options = _options()
    signal.signal(signal.SIGTERM, _end)
    form = Form(options.output)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": sys.version.split()[0]}
    found = {}
    for name in options.part or [each for each in PARTS if PARTS[each].scale or not options.scale]:
        part, started = PARTS[name], time.monotonic()
        measure = (part.scale or part.measure) if options.scale else part.measure
        found[name] = measure(options.events, "|".join(options.only) if options.only else None)
        say(f"{name} took {time.monotonic() - started:.0f} s; the machine's load is {os.getloadavg()[0]:.1f}")
        if form is not Form.JSON:
            if form is Form.TABLE:
                print(f"\n== {part.title} ==", flush=True)
            write_rows(found[name], form, part.columns)
    if form is Form.JSON:
        write_json({"machine": machine, "parts": found})
    return int(any(row.get("failed") for rows in found.values() for row in rows))


def _end(*_: object) -> None:
    """Let `kill` end the run as Ctrl-C does, once: the stack is stopped on the way out."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.raise_signal(signal.SIGINT)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="one part; all unless given")
    parser.add_argument("--scale", action="store_true", help="the large sizes of those parts that have them")
    parser.add_argument("--events", type=int, help="how many for every program; else what suits each")
    parser.add_argument(
        "--only",
        metavar="NAME",
        type=lambda names: names.split("|"),
        action="extend",
        help="programs whose name holds this; may be given again, or as NAME|NAME",
    )
    parser.add_argument("-o", "--output", choices=[form.value for form in Form], default="table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
