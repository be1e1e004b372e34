"""Two toy stages and a worker of them, for the engine's tests: count, then relay through one partition.

Run as a program it is one worker; ``TOY_*`` tells it everything.
"""

import asyncio
import os
import sys
import zlib
from pathlib import Path

import msgspec

from connectors.signals import Signals
from postroom.signals import metrics_in
from processors.engine import READINESS, EngineConfig, StageSpec, metrics, run_worker
from processors.engine.journal import say
from processors.stage import Outcome, Outgoing, State, Step


class Tally(msgspec.Struct):
    """What a stage knows of a key: how often, the last number, a chain over all of it, and its wake."""

    n: int = 0
    last: int = 0
    crc: int = 0
    wake: int | None = None
    rules: str = ""


def fold(tally: Tally, number: int) -> Tally:
    """Depend on every number and on their order."""
    return Tally(tally.n + 1, number, zlib.crc32(b"%d" % number, tally.crc), tally.wake, tally.rules)


class Counting:
    """Counts records by key and sends each on; a wake, and a sweep, is sent on too."""

    def __init__(self, name: str, target: str, rules: str | None, wake_after_ms: int = 0) -> None:
        self.name, self.target, self.rules_version, self.wake_after_ms = name, target, rules, wake_after_ms

    def keys(self, batch):
        return {record.key for record in batch}

    def step(self, states, batch, wakes, now_ms):
        step = Step()
        tallies = {}

        def tally(key):
            if key not in tallies:
                body = states(key)
                tallies[key] = msgspec.json.decode(body, type=Tally) if body else Tally()
            return tallies[key]

        for record in batch:
            message = msgspec.json.decode(record.value)
            found = tallies[record.key] = fold(tally(record.key), message["number"])
            found.rules = self.rules_version or ""
            if self.wake_after_ms and found.wake is None:
                found.wake = now_ms + self.wake_after_ms
            self._send(step, record.key, {**message, self.name: found.n})
        for key in wakes:
            found = tally(key)
            if found.wake is not None and found.wake <= now_ms:
                self._send(step, key, {"number": 0, "woken_for": found.wake, "at": now_ms}, "sink-wakes")
                found.wake = None
            if found.rules != (self.rules_version or ""):
                found.rules = self.rules_version or ""
                self._send(step, key, {"number": 0, "swept": found.rules}, "sink-wakes")
        for key, found in tallies.items():
            step.states[key] = State(msgspec.json.encode(found), found.wake)
        step.outcomes.append(Outcome("toy", "counted", "", len(batch)))
        return step

    def tally(self, key, body):
        return {}

    def _send(self, step, key, message, target=None):
        tag = os.environ["TOY_TAG"]
        topic = f"{tag}.{target}" if target else self.target
        step.outgoing.append(Outgoing(topic, key, msgspec.json.encode(message)))


async def gate(batch) -> None:
    """Hold every batch until the test opens the gate, as a registry that is down would."""
    while os.environ.get("TOY_GATE") and not Path(os.environ["TOY_GATE"]).exists():
        await asyncio.sleep(0.05)


def main() -> int:
    tag, rules = os.environ["TOY_TAG"], os.environ.get("TOY_RULES")
    wake = int(os.environ.get("TOY_WAKE_AFTER_MS", "0"))
    inputs = (f"{tag}.a", f"{tag}.b")
    known = inputs[:1] if os.environ.get("TOY_DISCOVER") else inputs

    async def discover() -> frozenset[str]:
        return frozenset(inputs)

    wakes_max = int(os.environ.get("TOY_WAKES_MAX", "500"))
    counting = Counting("count", f"{tag}.middle", rules, wake)
    stages = {
        "count": StageSpec(counting, known, prepare=gate, discover=discover, wakes_max=wakes_max),
        "relay": StageSpec(Counting("relay", f"{tag}.sink", None), (f"{tag}.middle",), batch_max=500),
    }
    state = os.environ.get("TOY_STATE")
    config = EngineConfig(
        bootstrap=os.environ["TOY_KAFKA"],
        state_dir=Path(state) if state else None,
        instance=os.environ["TOY_INSTANCE"],
        prefix=tag,
        internal_topics=frozenset({f"{tag}.middle"}),
        shell=os.environ["TOY_SHELL"],
        session_timeout_ms=6_000,
        static_membership=bool(os.environ.get("TOY_STATIC")),
        discover_every_s=2,
        fault=os.environ.get("POSTROOM_FAULT"),
    )
    waiting_for, is_alive = READINESS.waiting_for, READINESS.is_alive
    signals = Signals("worker", "127.0.0.1", 0, waiting_for, is_alive, metrics=metrics_in(metrics))
    say("signals", url=signals.url)
    wanted = os.environ.get("TOY_STAGES", "count,relay").split(",")
    return run_worker([stages[name] for name in wanted], config)


if __name__ == "__main__":
    sys.exit(main())
