"""A digest of every record that the stages write of some histories, a line for each history."""

from __future__ import annotations

import hashlib
import json

from processors import Keys, Rules
from processors.engine.changelog import TASK_KEY
from producers import disordered, lives, to_lines
from tests.backbone import Backbone
from tests.compiled.kit import ROOT
from tests.nasty import nasty
from tests.nasty.stages import limits_of, loaded

AT_MS = 1_780_000_000_000
DAY_MS = 24 * 3600 * 1000
SEEDS = 40
EVENTS = 120
"""Of a nasty set."""
CITIZENS = 40


def digest(backbone: Backbone) -> str:
    """Of all topics and changelogs, in order: keys, values, headers, moments.

    But of no task's own memory, which names the log by a number drawn by lot.
    """
    found, count = hashlib.sha256(), 0
    for record in backbone.records():
        if record.key != TASK_KEY:
            found.update(repr(tuple(record)).encode())
            count += 1
    return f"{count} {found.hexdigest()}"


def told(backbone: Backbone, lines: list[bytes]) -> str:
    """Live through it all; then let a day and then two years pass."""
    backbone.live_through(lines)
    backbone.pass_time(DAY_MS)
    backbone.pass_time(2 * 365 * DAY_MS)
    return digest(backbone)


def main() -> None:
    """Print the trail: synthetic departments under our contracts, nasty sets, and what is no event."""
    ours = Rules(*loaded(ROOT / "schemas", ROOT / "schemas" / "agreements"), Keys(b"trail"))
    lines = [line.rstrip(b"\n") for line in to_lines(disordered(lives(5, CITIZENS, AT_MS), seed=5))]
    print("lives", told(Backbone(ours, AT_MS), lines))
    for seed in range(SEEDS):
        question = nasty(seed, EVENTS)
        found = loaded(question.contracts, question.agreements)
        rules = Rules(*found, Keys(question.secret), limits_of(question))
        backbone = Backbone(rules, question.at_ms, seed=seed)
        print(f"nasty-{seed}", told(backbone, [line for line in question.lines if line.strip()]))
    deep = b"[" * 100_000 + b"]" * 100_000
    strange = [b"", b"\xff", deep, b'{"a":' + deep + b"}", json.dumps({"specversion": "1.0"}).encode()]
    print("strange", told(Backbone(ours, AT_MS), [*strange, *lines[:20]]))
