"""The views are what the events lead to: compared with a replay of the departments' topics (§8, I5).

The one check that must hold everything, so it has a bound. It says so and checks nothing where a replay
proves nothing: events were deleted, the workers decide by other rules than these files, a sweep is under way
(V9), or there are too many events. Views of persons about whom something is still on its way, and of those
for whom a moment has passed that their task has not come to (V8), are left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from processors.disclosure import view_topic
from processors.engine.changelog import WAKE_BYTES, TaskMemory
from processors.engine.partitions import partition_of
from processors.fragment import state_bytes
from processors.history.decoding import READERS
from processors.history.extent import Extent
from processors.history.findings import Anomaly, Findings, Place
from processors.history.older import as_read_then
from processors.intake import Intake
from processors.messages import (
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    FRAGMENTS_TOPIC,
    Claims,
    Departed,
    Fragment,
    Message,
    Released,
    Said,
    Told,
    encode,
)
from processors.replay import Pipeline
from processors.rules import Rules, keyed_hex
from processors.stage import Outgoing, Record
from schemas import PlainCodec, unframe

SchemaOf = Callable[[int], dict[str, Any] | None]
"""The registry's schema of an id, None for an id that it does not know."""

Key = tuple[str, str]
"""Agreement and key."""


class _Latest(NamedTuple):
    """The last record of a key on its view topic."""

    place: Place
    value: bytes | None


class Connected:
    """Which identifiers any statement connects, whether or not it makes them one person (union-find)."""

    def __init__(self) -> None:
        self._over: dict[str, str] = {}

    def top(self, identifier: str) -> str:
        """The identifier that stands for all that are connected with this one."""
        while (over := self._over.setdefault(identifier, identifier)) != identifier:
            self._over[identifier] = self._over[over]
            identifier = over
        return identifier

    def connect(self, identifiers: Iterable[str]) -> None:
        """Say that these belong together."""
        first, *others = identifiers
        for other in others:
            self._over[self.top(other)] = self.top(first)

    def __iter__(self) -> Iterator[str]:
        return iter(self._over)


class Replayed:
    """Gathers the accepted events and the views, and compares at the end."""

    def __init__(
        self, extent: Extent, findings: Findings, rules: Rules, schema_of: SchemaOf, events_max: int
    ) -> None:
        self.extent, self.findings, self.rules = extent, findings, rules
        self.schema_of, self.events_max = schema_of, events_max
        self.compared = self.on_their_way = 0
        """Views that were compared, and views that were left out."""
        self.events = 0
        self._intake = Intake(rules)
        self._letters_since_ms = extent.since_ms((DEAD_LETTERS_TOPIC,))
        self._said: dict[Place, Said] = {}
        self._rejected: set[Place] = set()
        self._refused: dict[Place, Record] = {}
        """What these rules reject, kept for the case that somebody had it replayed."""
        self._again: dict[Place, int] = {}
        """What was rejected and replayed, with the time of the replay."""
        self._connected = Connected()
        self._touched: set[str] = set()
        """Identifiers about whom something is on its way."""
        self._telling: set[str] = set()
        """Identifiers whose neighbours have not all been told of their protection (C3, adr/0013)."""
        self._latest: dict[Key, _Latest] = {}
        self._memories: dict[tuple[str, int], TaskMemory] = {}
        self._codecs: dict[int, PlainCodec] = {}

    # -- what there is

    def event(self, record: Record) -> None:
        """Take a record of a department's topic."""
        self.events += 1
        if self.events > self.events_max:
            self._said.clear()
            self._refused.clear()
            return
        place = Place(record.topic, record.partition, record.offset)
        verdict, answered = self._accept(record), self.extent.has_processed(place)
        if not isinstance(verdict, Said):
            value = as_read_then(record.value)
            verdict = verdict if value is None else self._accept(record._replace(value=value))
            # Whether it was taken in by the rules of its time is known while a dead letter would be there.
            answered = answered and record.timestamp_ms > self._letters_since_ms
        if not isinstance(verdict, Said):
            self._refused[place] = record
            return
        named = (verdict.subject, *(other for _, other in verdict.pairs))
        self._connected.connect(named)
        if answered:
            self._said[place] = verdict
        else:
            self._touched.update(named)

    def _accept(self, record: Record) -> object:
        for schema_id in self._intake.unknown_schema_ids((record,)):
            self._intake.writers[schema_id] = self.schema_of(schema_id)
        return self._intake.accept_record(record)

    def letter(self, about: Place) -> None:
        """Take a dead letter: what intake rejected then is no input, whatever these files say of it now."""
        self._rejected.add(about)

    def again(self, about: Place, at_ms: int) -> None:
        """Take the decision that a rejected record was accepted at a later time, which makes it input."""
        self._again.setdefault(about, at_ms)

    def _input(self) -> list[Said]:
        """What intake has accepted, at once or when it was asked again."""
        found = [
            said for place, said in self._said.items() if place not in self._rejected or place in self._again
        ]
        for place, at_ms in self._again.items():
            record = self._refused.get(place)
            verdict = None if record is None else self._accept(record._replace(timestamp_ms=at_ms))
            if isinstance(verdict, Said):
                self._connected.connect((verdict.subject, *(other for _, other in verdict.pairs)))
                found.append(verdict)
        return found

    def message(self, place: Place, message: Message) -> None:
        """Take a message between stages; one that was not read yet makes its persons uncertain."""
        if place.topic in READERS and not self.extent.has_processed(place):
            self._touched.update(_named(message))

    def persons_state(self, record: Record) -> None:
        """Take a state of persons, in order; what it asks to be woken for is still to be told."""
        waits = any((record.value or b"")[:WAKE_BYTES])
        (self._telling.add if waits else self._telling.discard)((record.key or b"").decode())

    def memory(self, stage: str, partition: int, memory: TaskMemory) -> None:
        """Take what a task committed of itself, in order."""
        self._memories[stage, partition] = memory

    def view(self, record: Record) -> None:
        """Take a record of a view topic, in order."""
        place = Place(record.topic, record.partition, record.offset)
        agreement = record.topic.removeprefix(view_topic(""))
        if self.events <= self.events_max:
            key = (record.key or b"").decode("utf-8", "replace")
            self._latest[agreement, key] = _Latest(place, record.value)

    # -- the comparison

    def finish(self, at_ms: int) -> str | None:
        """Compare with a replay at the moment ``at_ms``; say why, if that would prove nothing."""
        unproven = self._unproven()
        if unproven is not None:
            return unproven
        at_ms = max(at_ms, *(memory.now_ms for memory in self._memories.values()), 0)
        replaying = _Replaying(self.rules, self._clocks(at_ms), at_ms)
        accepted = self._input()
        expected = replaying.run(accepted)
        uncertain = self._uncertain(replaying, accepted)
        found = {name: self._plain(*name, latest.value) for name, latest in self._latest.items()}
        for name in sorted(expected.keys() | {n for n, view in found.items() if view is not None}):
            if found.get(name) == expected.get(name):
                self.compared += 1
            elif name in uncertain or name[1] in uncertain:
                self.on_their_way += 1
            else:
                self.compared += 1
                self._report(name, expected.get(name), found.get(name))
        return None

    def _unproven(self) -> str | None:
        topics = [*self.rules.contracts.by_type, *(view_topic(name) for name in self.rules.agreements)]
        gone = self.extent.shortened(topics)
        if gone:
            return f"the early part of {', '.join(gone[:3])}{' …' if len(gone) > 3 else ''} is gone"
        if self.events > self.events_max:
            return f"more than {self.events_max} events"
        for (stage, _), memory in self._memories.items():
            if stage == "record" and memory.sweep is not None:
                return "a sweep is under way"
            if stage == "record" and memory.swept != self.rules.version:
                return "the workers decide by other agreements or attributes than these files"
        return None

    def _clocks(self, at_ms: int) -> Mapping[tuple[str, int], int]:
        """How far in time each task has come; one that never stepped has nothing to be late with."""
        clocks = {
            (stage, partition): at_ms
            for stage, topic in (("identity", ASSERTIONS_TOPIC), ("record", FRAGMENTS_TOPIC))
            for partition in range(self.extent.partitions(topic))
        }
        return clocks | {
            task: memory.now_ms for task, memory in self._memories.items() if task in clocks and memory.now_ms
        }

    def _uncertain(self, replaying: _Replaying, accepted: list[Said]) -> set[Any]:
        """Keys of views that prove nothing: a name (agreement, key), or a key of any agreement."""
        tops = {
            self._connected.top(i)
            for i in self._touched | self._telling | replaying.late | self._bounded(accepted)
        }
        members = [
            identifier for identifier in list(self._connected) if self._connected.top(identifier) in tops
        ]
        keys: set[Any] = set(members) | replaying.late_names
        for person in {self.rules.keys.person_id(member) for member in members}:
            keys.update((name, self._pairwise(name, person)) for name in self.rules.agreements)
        return keys

    def _bounded(self, accepted: list[Said]) -> set[str]:
        """The identifiers of whom a bound may be met: there the order of arrival may show (R2, R8)."""
        depths: Counter[tuple[str, ...]] = Counter()
        sizes: Counter[tuple[str, ...]] = Counter()
        fragments: Counter[str] = Counter()
        for said in accepted:
            fragments[said.subject] += state_bytes(said, len(encode(said)))
            for attribute, value in said.values:
                register = (said.subject, said.owner, said.item, attribute)
                depths[register] += 1
                sizes[register] += len(value)
        limits = self.rules.limits
        return {
            *(subject for (subject, *_), count in depths.items() if count > limits.register_depth),
            *(subject for (subject, *_), size in sizes.items() if size > limits.register_bytes),
            *(subject for subject, size in fragments.items() if size > limits.fragment_bytes),
        }

    def _pairwise(self, agreement: str, person: str) -> str:
        """The pairwise key of a person, whether or not the agreement uses one (C8)."""
        return "s-" + keyed_hex(self.rules.pairwise_keys[agreement], person)

    def _plain(self, agreement: str, key: str, value: bytes | None) -> dict[str, Any] | None:
        """A view as plain data of the agreement in force, read by the schema that it was written by."""
        if value is None or agreement not in self.rules.agreements:
            return None
        schema_id, body = unframe(value)
        if schema_id not in self._codecs:
            schema = self.schema_of(schema_id)
            if schema is None:
                return {}  # equal to no view
            self._codecs[schema_id] = PlainCodec(schema)
        view = self._codecs[schema_id].decode(body)
        return {g.attribute: view.get(g.attribute) for g in self.rules.agreements[agreement].attributes}

    def _report(self, name: Key, expected: dict[str, Any] | None, found: dict[str, Any] | None) -> None:
        latest = self._latest.get(name)
        place = latest.place if latest is not None else Place(view_topic(name[0]), -1, -1)
        if found is None:
            text = "the events lead to a view that is not there"
        elif expected is None:
            text = "there is a view to which no events lead"
        else:
            differ = sorted(a for a in expected if expected[a] != found.get(a))
            text = f"the events lead to another {', '.join(differ)}"
        self.findings.add(Anomaly.VIEW_DIFFERS, place, text)


class _Replaying:
    """One replay that lets time pass as it passed for each task of the backbone."""

    def __init__(self, rules: Rules, clocks: Mapping[tuple[str, int], int], at_ms: int) -> None:
        self.rules, self.clocks, self.at_ms = rules, clocks, at_ms
        self.pipeline = Pipeline(rules)
        self.late: set[str] = set()
        """Identifiers for whom a moment has passed that identity has not come to."""
        self.late_names: set[Key] = set()
        """Views for which a moment has passed that record has not come to."""
        self._partitions = {stage: 0 for stage, _ in clocks}
        for stage, _ in clocks:
            self._partitions[stage] += 1

    def run(self, said: Iterable[Said]) -> dict[Key, dict[str, Any]]:
        """Replay, moment after moment, and return the views that there must be."""
        outgoing = (Outgoing(ASSERTIONS_TOPIC, each.subject.encode(), encode(each)) for each in said)
        self.pipeline.send(outgoing)
        for moment in sorted({*self.clocks.values(), self.at_ms}):
            self._note_late_identifiers(moment)
            before = len(self.pipeline.written)
            self.pipeline.run(moment)
            self.pipeline.wake(moment)
            self._note_late_views(before, moment)
        views = self.pipeline.views()
        return {(name, key): view for name, each in views.items() for key, view in each.items()}

    def _clock(self, stage: str, key: bytes) -> int:
        return self.clocks[stage, partition_of(key, self._partitions[stage])]

    def _note_late_identifiers(self, moment: int) -> None:
        for key, wake in self.pipeline.wakes[ASSERTIONS_TOPIC].items():
            if wake <= moment and self._clock("identity", key) < wake:
                self.late.add(key.decode())

    def _note_late_views(self, before: int, moment: int) -> None:
        """Remember what was written at a moment to which its person's task has not come."""
        for out in self.pipeline.written[before:]:
            if out.topic == DISCLOSURES_TOPIC and self._clock("record", out.key) < moment:
                entry = msgspec.json.decode(out.value or b"")
                self.late_names.add((entry["agreement"], entry["key"]))


def _named(message: Message) -> Iterator[str]:
    """The identifiers that a message is about."""
    if isinstance(message, Said):
        yield message.subject
        yield from (other for _, other in message.pairs)
    elif isinstance(message, Told | Fragment):
        yield message.identifier
        yield from message.members
    elif isinstance(message, Claims):
        yield message.identifier
        yield from message.pairs
    elif isinstance(message, Departed | Released):
        yield message.identifier
