"""A digest of every record that the stages write of some histories, a line for each history."""

from __future__ import annotations

import hashlib
import json

from postroom.composition import load_rules_files
from processors import Keys, Limits, Rules
from processors.engine.changelog import TASK_KEY
from producers import disordered, lives, to_lines
from tests.backbone import Backbone
from tests.compiled.kit import ROOT
from tests.nasty import nasty

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
    """Publish in pieces, work a little after each, to the end; then let a day and then two years pass."""
    for start in range(0, len(lines), 10):
        backbone.publish(lines[start : start + 10])
        backbone.run(5)
    backbone.run()
    backbone.pass_time(DAY_MS)
    backbone.pass_time(2 * 365 * DAY_MS)
    return digest(backbone)


def main() -> None:
    """Print the trail: synthetic departments under our contracts, nasty sets, and what is no event."""
    loaded = load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")
    ours = Rules(*loaded, Keys(b"trail"))
    lines = [line.rstrip(b"\n") for line in to_lines(disordered(lives(5, CITIZENS, AT_MS), seed=5))]
    print("lives", told(Backbone(ours, AT_MS), lines))
    for seed in range(SEEDS):
        question = nasty(seed, EVENTS)
        small = question.limits
        limits = Limits(
            hub_edges=small.hub,
            component_edges=small.overgrown,
            person_identifiers=small.person,
            page_edges=2,
            told_a_step=3,
            register_depth=small.register,
        )
        found = load_rules_files(question.contracts, question.agreements)
        rules = Rules(*found, Keys(question.secret), limits)
        backbone = Backbone(rules, question.at_ms, seed=seed)
        print(f"nasty-{seed}", told(backbone, [line for line in question.lines if line.strip()]))
    deep = b"[" * 100_000 + b"]" * 100_000
    strange = [b"", b"\xff", deep, b'{"a":' + deep + b"}", json.dumps({"specversion": "1.0"}).encode()]
    print("strange", told(Backbone(ours, AT_MS), [*strange, *lines[:20]]))
