"""Postroom's stages on W1 by themselves: no Kafka, no store, no wire between them.

The rest of a stage's CPU in a worker is the engine's and Kafka's. The steadiest figure on a busy machine.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from typing import Any

from postroom.composition import load_rules_files
from processors import ASSERTIONS_TOPIC, FRAGMENTS_TOPIC, Identity, Intake, Keys, Records, Rules
from processors.stage import Record, Stage
from tests.bench.w1.preload import framed
from tests.bench.w1.terms import AGREEMENTS_DIR, CONTRACTS, TOPICS
from tests.bench.w1.workload import events

BATCH = 500


def alone(count: int) -> list[dict[str, Any]]:
    """A row for each stage that has work in W1, fed by the one before it."""
    contracts, agreements = load_rules_files(CONTRACTS, AGREEMENTS_DIR)
    rules = Rules(contracts, agreements, Keys(b"bench"))
    ids = {kind: number for number, kind in enumerate(TOPICS, start=1)}
    value_of, now_ms = framed(ids), time.time_ns() // 1_000_000
    records = [
        Record(TOPICS[each.kind], 0, 0, now_ms, each.key, value_of(each), tuple(each.headers()))
        for each in events(count)
    ]
    intake = Intake(rules)
    intake.writers.update({ids[kind]: contracts.by_type[topic].schema for kind, topic in TOPICS.items()})
    chain: list[tuple[Stage, str]] = [
        (intake, ASSERTIONS_TOPIC),
        (Identity(rules), FRAGMENTS_TOPIC),
        (Records(rules), ""),
    ]
    rows = []
    for stage, onward in chain:
        cpu_s, records = _drive(stage, records, onward, now_ms)
        per_million = round(cpu_s / count * 1_000_000, 1)
        rows.append({"program": f"  {stage.name}", "events": count, "cpu_s_per_million": per_million})
    return rows


def _drive(stage: Stage, records: Sequence[Record], onward: str, now_ms: int) -> tuple[float, list[Record]]:
    """CPU of all its steps, and the records that go on to the next stage."""
    states: dict[bytes, bytes] = {}
    sent: list[Record] = []
    gc.collect()
    gc.freeze()  # as the worker does
    cpu_s = 0.0
    for first in range(0, len(records), BATCH):
        batch = records[first : first + BATCH]
        began = time.thread_time()
        stage.keys(batch)
        step = stage.step(states.get, batch, (), now_ms)
        cpu_s += time.thread_time() - began
        for key, state in step.states.items():
            states.pop(key, None)
            if state is not None:
                states[key] = state.body
        for out in step.outgoing:
            if out.topic == onward:
                sent.append(Record(onward, 0, 0, now_ms, out.key, out.value, tuple(out.headers)))
    gc.unfreeze()
    return cpu_s, sent
