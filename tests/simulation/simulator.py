"""Delivers between the stages in any order that Kafka may, from one seed (DESIGN §7, I5, I6).

Every (stage, partition) is a task with states of its own; every sender reaches a topic partition in order,
and senders meet there in any order. Tasks step at random, with batches cut anywhere; between steps a task may
be killed, so that nothing but its states survives.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from zlib import crc32

from processors.citizen_state import RecordState, decode_record
from processors.fragment import IdentityState
from processors.fragment import decode_state as decode_identity
from processors.identity import Identity
from processors.intake import Intake
from processors.messages import ASSERTIONS_TOPIC, FRAGMENTS_TOPIC, PAIRS_TOPIC, Said, decode_for_identity
from processors.persons import Persons
from processors.record import Records
from processors.rules import Rules
from processors.stage import Outgoing, Record, Stage
from tests.simulation.ledger import Ledger

INPUT = "department"
READS = {"intake": INPUT, "identity": ASSERTIONS_TOPIC, "persons": PAIRS_TOPIC, "record": FRAGMENTS_TOPIC}
Stages = {"intake": Intake, "identity": Identity, "persons": Persons, "record": Records}
Place = tuple[str, int]
"""(topic, partition), or (stage, partition) of a task."""


@dataclass(frozen=True)
class Chaos:
    """How a run is disturbed; ``causal`` writes to a log at once, as a transaction does before it commits."""

    partitions: int = 3
    causal: bool = False
    duplicates: float = 0.1
    kills: float = 0.05
    since_ms: int = 0
    """How long before T the clock starts; 0: it stands still at T."""
    portion: int = 2
    """How many keys a sweep delivers at a time."""


@dataclass
class Task:
    """One task: its states, its place in its input and its wakes."""

    stage: str
    partition: int
    rules: Rules
    live: Stage | None = None
    states: dict[bytes, bytes] = field(default_factory=dict)
    wakes: dict[bytes, int] = field(default_factory=dict)
    offset: int = 0
    sweep: list[bytes] = field(default_factory=list)
    weight: float = 1.0
    tallies: Counter[str] = field(default_factory=Counter)
    """What its steps said of its states (docs/adr/0040)."""

    @property
    def place(self) -> Place:
        """Who this is as a sender."""
        return (self.stage, self.partition)


class Simulation:
    """One run over lines: build it, then :meth:`run`; what left the backbone is in :attr:`ledger`."""

    def __init__(
        self,
        lines: Sequence[bytes],
        rules: Rules,
        at_ms: int,
        seed: object,
        chaos: Chaos,
        before: Rules | None = None,
    ) -> None:
        self.rng, self.chaos, self.rules, self.at_ms = Random(f"simulation {seed}"), chaos, rules, at_ms
        self.now_ms = at_ms - chaos.since_ms
        self.begun_with, self.lines = before or rules, lines
        self.ledger = Ledger()
        self.logs: dict[Place, list[Record]] = {}
        self.channels: dict[tuple[Place, Place], deque[Outgoing]] = {}
        self.channel_weights: dict[tuple[Place, Place], float] = {}
        self.heard: list[tuple[int, Said]] = []
        """What identity consumed, in the order of its steps, with the moment."""
        self.tasks = [
            Task(stage, partition, self.begun_with, weight=self._weight())
            for stage in Stages
            for partition in range(1 if stage == "persons" else chaos.partitions)
        ]
        for line in self._published():
            log = self.logs.setdefault((INPUT, self.rng.randrange(chaos.partitions)), [])
            headers = (("content-type", b"application/cloudevents+json"),)
            log.append(Record(_topic_of(line), 0, len(log), at_ms, None, line, headers))

    def _weight(self) -> float:
        return self.rng.choice((0.02, 0.3, 1.0, 1.0))

    def _published(self) -> Iterator[bytes]:
        """The lines that are not blank, some of them published again later."""
        again = []
        for line in self.lines:
            if line.strip():
                yield line
                if self.rng.random() < self.chaos.duplicates:
                    again.append(line)
        yield from again

    # -- delivery

    def run(self) -> None:
        """Deliver until all is at rest at T, under the last rules."""
        while True:
            moves = self._moves()
            if self.now_ms < self.at_ms and (not moves or self.rng.random() < 0.02):
                self._pass_time(everything=not moves and self.rng.random() < 0.3)
            elif any(task.rules is not self.rules for task in self.tasks) and (
                not moves or self.rng.random() < 0.01
            ):
                self._change_rules()
            elif not moves:
                return
            else:
                weights = [weight for weight, _ in moves]
                self._make(self.rng.choices([move for _, move in moves], weights)[0])

    def _moves(self) -> list[tuple[float, Task | tuple[Place, Place]]]:
        """All that may happen next, and how readily."""
        moves: list[tuple[float, Task | tuple[Place, Place]]] = [
            (self.channel_weights[channel], channel) for channel, waiting in self.channels.items() if waiting
        ]
        moves += [(task.weight, task) for task in self.tasks if self._waiting(task)]
        return moves

    def _waiting(self, task: Task) -> bool:
        unread = len(self.logs.get((READS[task.stage], task.partition), ())) > task.offset
        return unread or bool(task.sweep) or any(wake <= self.now_ms for wake in task.wakes.values())

    def _make(self, move: Task | tuple[Place, Place]) -> None:
        if isinstance(move, Task):
            self._step(move)
        else:
            self._append(move[1], self.channels[move].popleft())

    def _append(self, place: Place, out: Outgoing) -> None:
        log = self.logs.setdefault(place, [])
        log.append(Record(place[0], place[1], len(log), self.now_ms, out.key, out.value, out.headers))

    def _pass_time(self, everything: bool) -> None:
        self.now_ms = self.at_ms if everything else self.rng.randint(self.now_ms + 1, self.at_ms)

    def _change_rules(self) -> None:
        """One task begins to decide by the new rules, and to sweep its keys (V9)."""
        task = self.rng.choice([task for task in self.tasks if task.rules is not self.rules])
        task.rules, task.live = self.rules, None
        if Stages[task.stage](self.rules).rules_version is not None:  # type: ignore[abstract]
            task.sweep = sorted(task.states)

    def _step(self, task: Task) -> None:
        """One step of one task, over a batch cut anywhere."""
        rng = self.rng
        log = self.logs.get((READS[task.stage], task.partition), [])
        unread = len(log) - task.offset
        count = rng.choice((0, 1, 1, rng.randint(0, unread), unread))
        batch = log[task.offset : task.offset + min(count, unread)]
        due = sorted(key for key, wake in task.wakes.items() if wake <= self.now_ms)
        due = due if rng.random() < 0.7 else due[: rng.randint(0, len(due))]
        portion, task.sweep = task.sweep[: self.chaos.portion], task.sweep[self.chaos.portion :]
        if task.live is None or rng.random() < self.chaos.kills:
            task.live = Stages[task.stage](task.rules)  # type: ignore[abstract]
        stage = task.live
        assert stage is not None
        if task.stage == "identity":
            self._note(batch)
        step = stage.step(task.states.get, batch, list(dict.fromkeys((*due, *portion))), self.now_ms)
        task.offset += len(batch)
        task.tallies.update(step.tallies)
        for key in due:
            task.wakes.pop(key, None)
        for key, state in step.states.items():
            task.wakes.pop(key, None)
            if state is None:
                task.states.pop(key, None)
                continue
            task.states[key] = state.body
            if state.wake_ms is not None:
                # The engine makes a wake that is past a millisecond late; here persons would stop half done.
                task.wakes[key] = max(state.wake_ms, self.now_ms + (task.stage != "persons"))
        departing = any(b"departed" in (record.value or b"") for record in batch)
        self._send(task, step.outgoing, departing)

    def _note(self, batch: Sequence[Record]) -> None:
        for record in batch:
            message = decode_for_identity(record.value or b"")
            if isinstance(message, Said):
                self.heard.append((self.now_ms, message))

    def _send(self, task: Task, outgoing: Sequence[Outgoing], departing: bool) -> None:
        leaving = []
        for out in outgoing:
            if out.topic not in READS.values():
                leaving.append(out)
                continue
            count = 1 if out.topic == PAIRS_TOPIC else self.chaos.partitions
            place = (out.topic, crc32(out.key) % count)
            if self.chaos.causal:
                self._append(place, out)
                continue
            channel = (task.place, place)
            if channel not in self.channels:
                self.channels[channel], self.channel_weights[channel] = deque(), self._weight()
            self.channels[channel].append(out)
        if leaving:
            when = (len(self.heard), self.now_ms)
            self.ledger.take(leaving, task.rules, when, task.states, departing)

    # -- at rest

    def of(self, stage: str) -> Iterator[tuple[str, bytes]]:
        """The states of all tasks of a stage, by key."""
        for task in self.tasks:
            if task.stage == stage:
                yield from ((key.decode(), body) for key, body in task.states.items())

    def records(self) -> dict[str, RecordState]:
        """What the record stage keeps of each person."""
        return {key: decode_record(body) for key, body in self.of("record")}

    def identities(self) -> dict[str, IdentityState]:
        """What identity keeps of each identifier."""
        return {key: decode_identity(body) for key, body in self.of("identity")}

    def answer(self) -> dict[str, Any]:
        """What `replay` would answer: views, persons and disputes."""
        named = {said.subject for _, said in self.heard}
        named |= {other for _, said in self.heard for _, other in said.pairs}
        identities = self.identities()
        persons = {identities[name].members if name in identities else (name,) for name in named}
        return {
            "views": self.ledger.views(self.rules),
            "persons": sorted(list(members) for members in persons),
            "disputed": sorted(self.ledger.disputes.values()),
        }


def _topic_of(line: bytes) -> str:
    """The topic that a line's type names; a line without one lands on some topic all the same."""
    try:
        named = json.loads(line)["type"]
    except (ValueError, TypeError, KeyError, UnicodeDecodeError, RecursionError):
        return INPUT
    return named if isinstance(named, str) else INPUT
