"""A backbone in memory that remembers every record as Kafka would: a history to be judged, or to be broken.

The stages, the counts and the memories are production's; only Kafka and the worker are missing. Each step of
a task is one transaction: what it writes stands on its topics at one moment, followed by a marker, so offsets
have the gaps that they have on a real topic.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from random import Random

from processors.dead_letters import Request, encode_json
from processors.engine.changelog import TASK_KEY, TaskMemory, pack_state
from processors.engine.counts import check, counted, origin_of
from processors.engine.frames import pack, unpack
from processors.engine.partitions import partition_of
from processors.history import Extent, Stretch, topics_of
from processors.history.decoding import READERS, changelog_of
from processors.identity import Identity
from processors.intake import Intake
from processors.messages import (
    ACKNOWLEDGEMENTS_TOPIC,
    DISPUTES_TOPIC,
    LETTER_REQUESTS_TOPIC,
    PAIRS_TOPIC,
    REPORTS_TOPIC,
)
from processors.obligations import Obligations
from processors.persons import Persons
from processors.record import Records
from processors.rules import Rules
from processors.second_look import wanted_again
from processors.stage import Headers, Outgoing, Record, Stage, State

STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
BESIDE = frozenset({DISPUTES_TOPIC, REPORTS_TOPIC})
"""Topics that no check reads."""

Log = dict[tuple[str, int], list[Record]]


class Task:
    """One task: its stage, its states, and what it must not forget."""

    def __init__(self, stage: Stage, partition: int, inputs: Sequence[str]) -> None:
        self.stage, self.partition, self.inputs = stage, partition, inputs
        self.memory = TaskMemory(swept=stage.rules_version)
        self.states: dict[bytes, bytes] = {}
        self.wakes: dict[bytes, int] = {}
        self.sender = f"{stage.name}-{partition}"


class Backbone:
    """All tasks and all topics; ``now_ms`` moves on with every step."""

    def __init__(self, rules: Rules, now_ms: int, partitions: int = 2, seed: int = 0) -> None:
        self.rules, self.now_ms, self.partitions, self.chance = rules, now_ms, partitions, Random(seed)
        self.topics = topics_of(rules)
        self.log: Log = {(t, p): [] for t in self.topics for p in range(self.count(t))}
        self.ends = dict.fromkeys(self.log, 0)
        outside = (*sorted(rules.contracts.by_type), ACKNOWLEDGEMENTS_TOPIC, LETTER_REQUESTS_TOPIC)
        inputs = {"intake": outside} | {stage: (topic,) for topic, stage in READERS.items()}
        self.tasks = [
            Task(stage, partition, inputs[stage.name])
            for stage in (Intake(rules), Identity(rules), Persons(rules), Records(rules), Obligations())
            for partition in range(self.count(inputs[stage.name][0]))
        ]

    def count(self, topic: str) -> int:
        """How many partitions a topic has."""
        return 1 if topic in (PAIRS_TOPIC, changelog_of("persons")) else self.partitions

    # -- what happens

    def live_through(self, lines: Sequence[bytes], at_once: int = 10) -> None:
        """Publish events in pieces, work a little after each, and in the end until nothing is left to do."""
        for start in range(0, len(lines), at_once):
            self.publish(lines[start : start + at_once])
            self.run(at_once // 2)
        self.run()

    def publish(self, lines: Iterable[bytes]) -> None:
        """Put events on their types' topics, in structured mode, in any partition."""
        some = sorted(self.rules.contracts.by_type)
        for line in lines:
            type_ = _type_of(line)
            topic = type_ if type_ in self.rules.contracts.by_type else self.chance.choice(some)
            self.now_ms += 1
            partition = self.chance.randrange(self.partitions)
            self._append(topic, partition, None, line, STRUCTURED)

    def ask(self, request: Request) -> None:
        """Ask about a dead letter, as `postroom dlq` does."""
        self.now_ms += 1
        key = request.place.encode()
        partition = partition_of(key, self.partitions)
        self._append(LETTER_REQUESTS_TOPIC, partition, key, encode_json(request), ())

    def forget(self, topic: str, partition: int, offset: int) -> None:
        """Let a record be gone, as retention would."""
        log = self.log[topic, partition]
        log[:] = [record for record in log if record.offset != offset]

    def run(self, steps_max: int = 1 << 30, half_done: bool = False) -> None:
        """Let tasks step in any order until nothing is left to do, or only what is half done."""
        while steps_max and (
            ready := [t for t in self.tasks if self._fetch(t) or (self._half_done(t) and not half_done)]
        ):
            self.step(self.chance.choice(ready), half_done)
            steps_max -= 1

    def pass_time(self, ms: int) -> None:
        """Move the clock and let every wake act that has come due."""
        self.now_ms += ms
        for task in self.tasks:
            if due := sorted(key for key, wake in task.wakes.items() if wake <= self.now_ms):
                self._transact(task, [], due)
        self.run()

    def step(self, task: Task, half_done: bool = False) -> None:
        """One step of one task, over a batch of any size."""
        waiting = self._fetch(task)
        woken = [] if half_done else self._half_done(task)
        self._transact(task, waiting[: self.chance.randint(1, 8)], woken)

    def _half_done(self, task: Task) -> list[bytes]:
        """Whose neighbours persons has not all told, at whatever moment."""
        return sorted(task.wakes) if task.stage.name == "persons" else []

    def _fetch(self, task: Task) -> list[Record]:
        found = []
        for topic in task.inputs:
            position = task.memory.positions.get(topic, 0)
            found += [r for r in self.log[topic, task.partition] if r.offset >= position]
        return found

    def _transact(self, task: Task, batch: list[Record], due: list[bytes]) -> None:
        self.now_ms += self.chance.randint(2, 20)
        touched = set()
        memory = task.memory
        messages = []
        for record in batch:
            memory.positions[record.topic] = record.offset + 1
            messages += self._messages(record, memory)
        self._look_up(task.stage, messages)
        step = task.stage.step(task.states.get, messages, due, self.now_ms)
        for out in step.outgoing:
            if out.topic not in BESIDE:
                touched.add(self._send(task, out))
        log = (changelog_of(task.stage.name), task.partition)
        for key, state in step.states.items():
            self._keep(task, key, state)
            self._append(*log, key, None if state is None else pack_state(state), ())
        memory.now_ms = self.now_ms
        self._append(*log, TASK_KEY, memory.encode(), ())
        for where in (*touched, log):
            self.ends[where] += 1  # the transaction's marker

    def _look_up(self, stage: Stage, messages: Sequence[Record]) -> None:
        """Read again what requests ask for, as a worker does before intake's step."""
        if isinstance(stage, Intake):
            for place, request in wanted_again(messages, self.rules.contracts.by_type).items():
                log = self.log[request.topic, request.partition]
                stage.fetched[place] = next((r for r in log if r.offset == request.offset), None)

    def _messages(self, record: Record, memory: TaskMemory) -> list[Record]:
        origin = origin_of(record.headers) if record.topic in READERS else None
        if origin is None:
            return [record]
        check(record.topic, record.partition, memory.seen.setdefault(record.topic, {}), origin)
        framed = unpack(record.value, origin.messages, record.topic)
        return [record._replace(key=each.key, value=each.value) for each in framed]

    def _send(self, task: Task, out: Outgoing) -> tuple[str, int]:
        partition = partition_of(out.key, self.count(out.topic))
        if out.topic in READERS:
            sent = task.memory.sent.setdefault(out.topic, {})
            for count, frame in pack([out[1:]]):
                headers = counted(task.sender.encode(), sent, partition, count, self.now_ms)
                self._append(out.topic, partition, None, frame, headers)
        else:
            self._append(out.topic, partition, out.key, out.value, out.headers)
        return (out.topic, partition)

    def _keep(self, task: Task, key: bytes, state: State | None) -> None:
        task.states.pop(key, None)
        task.wakes.pop(key, None)
        if state is not None:
            task.states[key] = state.body
            if state.wake_ms is not None:
                task.wakes[key] = max(state.wake_ms, self.now_ms + 1)

    def _append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        offset = self.ends[topic, partition]
        record = Record(topic, partition, offset, self.now_ms, key, value, headers)
        self.log[topic, partition].append(record)
        self.ends[topic, partition] = offset + 1

    # -- what is left of it

    def extent(self) -> Extent:
        """How much there is, all of it settled, as after :meth:`run`."""
        stretches = {place: Stretch(0, end, end) for place, end in self.ends.items()}
        committed = {
            (topic, task.partition): task.memory.positions.get(topic, 0)
            for task in self.tasks
            for topic in task.inputs
        }
        return Extent(stretches, committed)

    def records(self) -> list[Record]:
        """Everything, in order of time."""
        return in_order(self.topics, (record for records in self.log.values() for record in records))


def in_order(topics: Sequence[str], records: Iterable[Record]) -> list[Record]:
    """Sort records as the reader of a history does: by time, causes first, each partition's in order."""
    rank = {topic: number for number, topic in enumerate(topics)}
    return sorted(records, key=lambda r: (r.timestamp_ms, rank[r.topic], r.partition, r.offset))


def _type_of(line: bytes) -> str | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    type_ = found.get("type") if isinstance(found, dict) else None
    return type_ if isinstance(type_, str) else None
