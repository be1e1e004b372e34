"""Everything that departments said arrived once: accepted or rejected, never both or neither (E7, V6).

Intake answers each record of a department's topic with one message or one dead letter. A message names its
event and the broker's timestamp of its record, and its sender names the partition, so the two are matched
without looking at what they say. What is matched is forgotten: in order of time little is ever held.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from processors.dead_letters import Decision, Result
from processors.history.decoding import task_of
from processors.history.extent import NOTHING_LEFT_MS, Extent
from processors.history.findings import Anomaly, Findings, Place
from processors.history.older import as_read_then
from processors.intake import STRUCTURED, read_acknowledgement
from processors.messages import (
    ACKNOWLEDGEMENTS_TOPIC,
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    LETTER_DECISIONS_TOPIC,
    LETTER_REQUESTS_TOPIC,
    OBLIGATIONS_TOPIC,
    Acknowledged,
    Said,
)
from processors.stage import Record
from schemas import NotACloudEvent, cloudevent_from_headers, cloudevent_from_json, json_value

ANSWERED_MAX = 200_000
"""How many answered events are remembered, to tell one that was taken in twice from one never published."""


class Name(NamedTuple):
    """What a record and the message that answers it have in common; `stamp_ms` is the broker's.

    An acknowledgement is named by subscriber, obligation and its own time: its message has no more.
    """

    topic: str
    partition: int
    source: str
    id: str
    stamp_ms: int


class Letter(msgspec.Struct):
    """The parts of a dead letter that say which record it is about, and which event if that had a name."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    source: str | None = None
    id: str | None = None

    def about(self) -> Place:
        """Where the rejected record is."""
        return Place(self.topic, self.partition, self.offset)

    def name(self) -> Name | None:
        """How the rejected event is called."""
        if self.source is None or self.id is None:
            return None
        return Name(self.topic, self.partition, self.source, self.id, self.timestamp_ms)


class Arrivals:
    """Matches what departments published with what intake made of it."""

    def __init__(self, extent: Extent, findings: Findings, value_bytes_max: int) -> None:
        self.extent, self.findings, self.value_bytes_max = extent, findings, value_bytes_max
        self.checked = 0
        """Events that were processed and are judged."""
        self.pending = 0
        """Events that intake has not processed yet."""
        self._answers_since_ms = extent.since_ms((ASSERTIONS_TOPIC, DEAD_LETTERS_TOPIC))
        self._debts_since_ms = extent.since_ms((OBLIGATIONS_TOPIC, DEAD_LETTERS_TOPIC))
        self._decisions_since_ms = extent.since_ms((LETTER_REQUESTS_TOPIC, LETTER_DECISIONS_TOPIC))
        self._requests: set[Place] = set()
        """Requests about dead letters that nothing was decided about yet."""
        self._decided: dict[Place, Place] = {}
        """Where each request is, and where the decision about it."""
        self._unanswered: dict[Place, Name | None] = {}
        self._places: dict[Name, dict[Place, None]] = {}
        """The same by name, for messages, which know no offset."""
        self._early: dict[Name, list[Place]] = {}
        """Messages that came before their record, or never had one."""
        self._early_letters: set[Place] = set()
        self._lettered: set[Place] = set()
        self._read_then: dict[Place, Name] = {}
        """What today's rules refuse, with its name by those of its time (`older.py`)."""
        self._pending: Counter[Name] = Counter()
        self._answered: OrderedDict[Name, None] = OrderedDict()

    # -- what departments published

    def event(self, record: Record) -> None:
        """Take a record of a department's topic."""
        if record.timestamp_ms > self._since_ms(record.topic, record.partition):
            self._expect(record, self._named(record, self._name_of_event))

    def acknowledgement(self, record: Record) -> None:
        """Take a record of a subscriber's."""
        if record.timestamp_ms <= self._since_ms(record.topic, record.partition):
            return
        self._expect(record, self._named(record, self._name_of_acknowledgement))

    def _since_ms(self, topic: str, partition: int) -> int:
        """From when on both the records of a partition and their answers are there."""
        stretch = self.extent.stretches.get((topic, partition))
        if stretch is None:
            return NOTHING_LEFT_MS
        answers = self._debts_since_ms if topic == ACKNOWLEDGEMENTS_TOPIC else self._answers_since_ms
        return max(answers, stretch.since_ms)

    def _named(self, record: Record, name_of: Callable[[Record], Name | None]) -> Name | None:
        """The name by today's rules, else by those of its time; None: only a letter can answer it."""
        name = name_of(record)
        if name is None and len(record.value or b"") <= self.value_bytes_max:
            value = as_read_then(record.value)
            name = None if value is None else name_of(record._replace(value=value))
            if name is not None:
                self._read_then[Place(record.topic, record.partition, record.offset)] = name
        return name

    def _name_of_acknowledgement(self, record: Record) -> Name | None:
        word = read_acknowledgement(record.value, self.value_bytes_max)
        if word is None:
            return None
        return Name(record.topic, record.partition, word.subscriber, word.obligation, word.time_ms)

    def _name_of_event(self, record: Record) -> Name | None:
        """Name the event as intake would; None if it has no name."""
        value = record.value
        if value is not None and len(value) > self.value_bytes_max:
            return None
        try:
            if value is not None and (dict(record.headers).get("content-type") or b"").startswith(STRUCTURED):
                event = cloudevent_from_json(json_value(value))
            else:
                event = cloudevent_from_headers(record.headers)
        except (msgspec.DecodeError, NotACloudEvent, RecursionError, UnicodeDecodeError):
            return None
        return Name(record.topic, record.partition, event.source, event.id, record.timestamp_ms)

    def _expect(self, record: Record, name: Name | None) -> None:
        place = Place(record.topic, record.partition, record.offset)
        if not self.extent.has_processed(place):
            self.pending += 1
            if name is not None:
                self._pending[name] += 1
            return
        self.checked += 1
        if place in self._early_letters:
            self._early_letters.discard(place)
        elif name is not None and name in self._early:
            self._answer_early(name)
        else:
            self._unanswered[place] = name
            if name is not None:
                self._places.setdefault(name, {})[place] = None

    def _answer_early(self, name: Name) -> None:
        places = self._early[name]
        places.pop()
        if not places:
            del self._early[name]
        self._remember(name)

    # -- what intake made of it

    def message(self, place: Place, sender: str, message: object) -> None:
        """Take a message of intake's; those of other stages are not answers."""
        task = task_of(sender)
        if task is None or task[0] != "intake":
            return
        if isinstance(message, Said):
            cause = message.cause
            name = Name(message.type, task[1], cause.source, cause.id, cause.published_ms)
            if cause.published_ms > self._since_ms(message.type, task[1]):
                self._answered_by(name, place)
        elif isinstance(message, Acknowledged):
            topic = ACKNOWLEDGEMENTS_TOPIC
            name = Name(topic, task[1], message.subscriber, message.obligation, message.time_ms)
            # It does not say when its record came: a word without one is only strange if none are gone.
            if name in self._places or not self._since_ms(topic, task[1]):
                self._answered_by(name, place)

    def _answered_by(self, name: Name, place: Place) -> None:
        waiting = self._places.get(name)
        if waiting:
            self._settle(next(iter(waiting)))
        else:
            self._early.setdefault(name, []).append(place)

    def letter(self, here: Place, letter: Letter) -> None:
        """Take a dead letter: the answer to the record that it names."""
        about = letter.about()
        name = letter.name() or self._read_then.get(about)
        if letter.timestamp_ms <= self._since_ms(letter.topic, letter.partition):
            return
        event = None if letter.source is None or letter.id is None else (letter.source, letter.id)
        if about in self._lettered:
            self.findings.add(Anomaly.DUPLICATE_EVENT, here, "a second dead letter about one record", event)
            return
        self._lettered.add(about)
        if about in self._unanswered:
            self._settle(about)
        elif name is None or not self.extent.has_processed(about):
            self._early_letters.add(about)
        elif name in self._places:
            # Of two records of one name and moment, the message was taken for the answer to the rejected one.
            self._settle(next(iter(self._places[name])))
        elif name in self._answered:
            self.findings.add(Anomaly.DUPLICATE_EVENT, here, "rejected, and accepted too", event)
        else:
            self._early_letters.add(about)

    # -- what was asked about dead letters

    def request(self, record: Record) -> None:
        """Take a request about a dead letter: intake answers it with one decision."""
        place = Place(record.topic, record.partition, record.offset)
        if record.timestamp_ms <= self._decisions_since_ms:
            return
        if not self.extent.has_processed(place):
            self.pending += 1
            return
        self.checked += 1
        self._requests.add(place)

    def decision(self, here: Place, decision: Decision) -> None:
        """Take a decision; a replayed event is one more arrival, under the time of the replay."""
        about = Place(LETTER_REQUESTS_TOPIC, decision.request_partition, decision.request_offset)
        if decision.at_ms <= self._decisions_since_ms:
            return
        if about in self._decided:
            self.findings.add(Anomaly.DUPLICATE_EVENT, here, "a second decision about one request")
            return
        self._decided[about] = here
        if decision.result is not Result.REPLAYED or None in (decision.type, decision.source, decision.id):
            return
        type_, source, id_ = str(decision.type), str(decision.source), str(decision.id)
        name = Name(type_, decision.request_partition, source, id_, decision.stamp_ms)
        if decision.at_ms <= self._since_ms(type_, decision.request_partition):
            return
        if not self.extent.has_processed(about):
            self._pending[name] += 1
        elif name in self._early:
            self._answer_early(name)
        else:
            self._unanswered[about] = name
            self._places.setdefault(name, {})[about] = None

    def _settle(self, place: Place) -> None:
        name = self._unanswered.pop(place)
        if name is not None:
            places = self._places[name]
            del places[place]
            if not places:
                del self._places[name]
            self._remember(name)

    def _remember(self, name: Name) -> None:
        self._answered[name] = None
        if len(self._answered) > ANSWERED_MAX:
            self._answered.popitem(last=False)

    # -- at the end

    def taken_in_then(self) -> int:
        """Records that were taken in, and would be refused today."""
        taken = self._read_then.keys() - self._lettered - self._unanswered.keys()
        return sum(map(self.extent.has_processed, taken))

    def finish(self) -> None:
        """Report what was never answered, and answers to nothing."""
        for place, name in self._unanswered.items():
            text = "it was processed, but there is neither a message nor a dead letter about it"
            self.findings.add(Anomaly.LOST_EVENT, place, text, _event(name))
        for place in sorted(self._requests - self._decided.keys()):
            text = "a request about a dead letter was processed, and nothing was decided"
            self.findings.add(Anomaly.LOST_EVENT, place, text)
        for place, here in self._decided.items():
            if self.extent.has_processed(place) and place not in self._requests:
                text = f"a decision on a request that {place.topic}-{place.partition} does not hold"
                self.findings.add(Anomaly.ABORTED_READ, here, text)
        for name, places in self._early.items():
            for place in places[self._pending[name] :]:
                self._unfounded(name, place)

    def _unfounded(self, name: Name, place: Place) -> None:
        if name in self._answered:
            text = f"a second message about a record of {name.topic}-{name.partition}"
            self.findings.add(Anomaly.DUPLICATE_EVENT, place, text, _event(name))
        else:
            text = f"a message about an event that no committed record of {name.topic}-{name.partition} holds"
            self.findings.add(Anomaly.ABORTED_READ, place, text, _event(name))


def _event(name: Name | None) -> tuple[str, str] | None:
    """Name the event for a finding; an acknowledgement's id is not kept."""
    return None if name is None or name.topic == ACKNOWLEDGEMENTS_TOPIC else (name.source, name.id)
