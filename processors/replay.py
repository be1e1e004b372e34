"""The whole pipeline in one process without Kafka (§7, §8): the same stages, one step after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from processors.disclosure import view_topic
from processors.identity import Identity
from processors.intake import Intake
from processors.messages import (
    ASSERTIONS_TOPIC,
    DISPUTES_TOPIC,
    FRAGMENTS_TOPIC,
    PAIRS_TOPIC,
    Said,
    Told,
    decode_for_identity,
    encode,
)
from processors.node import read_dispute
from processors.persons import Persons
from processors.record import Records
from processors.rules import Keys, Limits, Rules
from processors.stage import Outgoing, Record, Stage
from schemas import Agreement, Contracts, unframe

DEFAULT_LIMITS = Limits()


class Pipeline:
    """The three stages with state, and the topics between them, in memory.

    Delivers everything on one topic at once, in order; what is written to a topic that no stage reads is
    kept in :attr:`written`.
    """

    def __init__(self, rules: Rules) -> None:
        self.load(rules)
        self.wakes: dict[str, dict[bytes, int]] = {topic: {} for topic in self.stages}
        self.states: dict[str, dict[bytes, bytes]] = {topic: {} for topic in self.stages}
        self.queues: dict[str, deque[Outgoing]] = {topic: deque() for topic in self.stages}
        self.written: list[Outgoing] = []
        self._latest: dict[str, dict[str, dict[str, Any] | None]] = {}
        self.answers: dict[str, Told] = {}
        """What persons last told each identifier."""

    def load(self, rules: Rules) -> None:
        """Take these rules from now on, with new stages, as after a restart; their states stay."""
        self.rules = rules
        self.records = Records(rules)
        self.stages: dict[str, Stage] = {
            ASSERTIONS_TOPIC: Identity(rules),
            PAIRS_TOPIC: Persons(rules),
            FRAGMENTS_TOPIC: self.records,
        }

    def send(self, outgoing: Iterable[Outgoing]) -> None:
        """Put records on their topics."""
        for record in outgoing:
            queue = self.queues.get(record.topic)
            if queue is None:
                self.written.append(record)
                self._note_view(record)
            else:
                queue.append(record)

    def run(self, now_ms: int) -> None:
        """Step the stages until nothing is left to deliver."""
        while any(self.queues.values()) or self._go_on(now_ms):
            for topic, queue in self.queues.items():
                batch = [
                    Record(topic, 0, n, now_ms, out.key, out.value, out.headers)
                    for n, out in enumerate(queue)
                ]
                queue.clear()
                if batch:
                    self._step(topic, batch, (), now_ms)

    def _go_on(self, now_ms: int) -> bool:
        """Let persons go on with what was too much for one step; return whether there was something."""
        due = sorted(key for key, moment in self.wakes[PAIRS_TOPIC].items() if moment <= now_ms)
        if due:
            self._step(PAIRS_TOPIC, (), due, now_ms)
        return bool(due)

    def wake(self, now_ms: int) -> None:
        """Deliver every wake that is due at ``now_ms``, and what follows from it (V8)."""
        for topic, wakes in self.wakes.items():
            due = sorted(key for key, moment in wakes.items() if moment <= now_ms)
            if due:
                self._step(topic, (), due, now_ms)
        self.run(now_ms)

    def sweep(self, now_ms: int) -> None:
        """Decide anew on every person (V9)."""
        self._step(FRAGMENTS_TOPIC, (), sorted(self.states[FRAGMENTS_TOPIC]), now_ms)
        self.run(now_ms)

    def _step(self, topic: str, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> None:
        states, moments = self.states[topic], self.wakes[topic]
        step = self.stages[topic].step(states.get, batch, wakes, now_ms)
        for key, state in step.states.items():
            states.pop(key, None)
            moments.pop(key, None)
            if state is not None:
                states[key] = state.body
                if state.wake_ms is not None:
                    moments[key] = state.wake_ms
        if topic == PAIRS_TOPIC:
            self._note_answers(step.outgoing)
        self.send(step.outgoing)

    def _note_answers(self, outgoing: Iterable[Outgoing]) -> None:
        for out in outgoing:
            if out.topic == ASSERTIONS_TOPIC and out.value is not None:
                message = decode_for_identity(out.value)
                if isinstance(message, Told):
                    self.answers[message.identifier] = message

    def _note_view(self, out: Outgoing) -> None:
        """Keep the latest view of each key, read by the schema under which it was written."""
        for name, codec in self.records.codecs.items():
            if out.topic == view_topic(name):
                plain = None if out.value is None else codec.decode(unframe(out.value)[1])
                self._latest.setdefault(name, {})[out.key.decode()] = plain

    def views(self) -> dict[str, dict[str, Any]]:
        """The latest view under each key of every agreement, as plain data of the agreement in force."""
        found: dict[str, dict[str, Any]] = {}
        for name, agreement in sorted(self.rules.agreements.items()):
            latest = sorted(self._latest.get(name, {}).items())
            names = [grant.attribute for grant in agreement.attributes]
            found[name] = {key: {n: view.get(n) for n in names} for key, view in latest if view is not None}
        return found


class Replayed(NamedTuple):
    """A pipeline after all lines of a file, what was named in them, and what was rejected."""

    pipeline: Pipeline
    named: set[str]
    rejected: list[list[Any]]

    def person_of(self, identifier: str) -> str:
        """The person id of an identifier, by itself if nothing links it (I4)."""
        answer = self.pipeline.answers.get(identifier)
        return self.pipeline.rules.keys.person_id(identifier) if answer is None else answer.person


def run_lines(lines: Iterable[bytes], rules: Rules, at_ms: int) -> Replayed:
    """Run event lines through the stages at the moment ``at_ms``; lines count from 1, blank ones too."""
    intake, pipeline = Intake(rules), Pipeline(rules)
    rejected: list[list[Any]] = []
    named: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        verdict = intake.accept_json(line.rstrip(b"\r\n"), at_ms)
        if not isinstance(verdict, Said):
            rejected.append([number, verdict.reason.value])
            continue
        named.add(verdict.subject)
        named.update(other for _, other in verdict.pairs)
        pipeline.send([Outgoing(ASSERTIONS_TOPIC, verdict.subject.encode(), encode(verdict))])
    pipeline.run(at_ms)
    return Replayed(pipeline, named, rejected)


def replay(
    lines: Iterable[bytes],
    contracts: Contracts,
    agreements: Mapping[str, Agreement],
    secret: bytes,
    at_ms: int,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """Run event lines through the pipeline at the moment ``at_ms`` and return what came out (§8).

    Everything is sorted, so equal input gives equal bytes.
    """
    replayed = run_lines(lines, Rules(contracts, agreements, Keys(secret), limits), at_ms)
    answers = replayed.pipeline.answers
    return {
        "views": replayed.pipeline.views(),
        "persons": _persons(replayed.named, answers),
        "disputed": _disputed(replayed.pipeline.written),
        "rejected": replayed.rejected,
    }


def _persons(named: set[str], answers: Mapping[str, Told]) -> list[list[str]]:
    """Every identifier that an accepted event names, in exactly one person, alone if need be."""
    persons = {answers[i].members if i in answers else (i,) for i in named}
    return sorted(list(members) for members in persons)


def _disputed(written: Iterable[Outgoing]) -> list[list[str]]:
    """Each pair that is disputed in the end, the smaller identifier first (I3)."""
    latest = {out.key: out.value for out in written if out.topic == DISPUTES_TOPIC}
    return sorted(list(read_dispute(body)) for body in latest.values() if body is not None)
