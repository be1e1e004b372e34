"""Faults to put into a history that the stages wrote: what the checker must be able to see.

Each takes a backbone and a generator of chances and returns all its records, with one thing wrong.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec

from processors.disclosure import obligations_topic, view_topic
from processors.engine.changelog import TASK_KEY, TaskMemory, decode_memory
from processors.history import Anomaly
from processors.history.decoding import changelog_of, read_sent
from processors.messages import (
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    FRAGMENTS_TOPIC,
    PAIRS_TOPIC,
    Said,
)
from processors.stage import Record
from schemas import ViewCodec, format_instant, frame, unframe
from tests.backbone import Backbone, in_order

Records = list[Record]
Inject = Callable[[Backbone, Random], Records]

# -- ways to change a history


def kept(backbone: Backbone, *gone: Record) -> Records:
    """All records but these."""
    away = {record[:3] for record in gone}
    return [record for record in backbone.records() if record[:3] not in away]


def changed(backbone: Backbone, *new: Record) -> Records:
    """All records, with others in the places of some."""
    instead = {record[:3]: record for record in new}
    return [instead.get(record[:3], record) for record in backbone.records()]


def added(backbone: Backbone, *new: Record) -> Records:
    """All records, and others after them."""
    ends, more = dict(backbone.ends), []
    for number, record in enumerate(new):
        where = (record.topic, record.partition)
        more.append(record._replace(offset=ends[where], timestamp_ms=backbone.now_ms + number))
        ends[where] += 1
    return in_order(backbone.topics, [*backbone.records(), *more])


# -- what is in it


def of(backbone: Backbone, topic: str) -> Records:
    """The records of a topic, in order of time."""
    return [record for record in backbone.records() if record.topic == topic]


def views(backbone: Backbone) -> Records:
    """The records of all view topics."""
    return [record for record in backbone.records() if record.topic.startswith(view_topic(""))]


def standing(backbone: Backbone) -> Records:
    """The views that stand."""
    latest = {(record.topic, record.key): record for record in views(backbone)}
    return [record for record in latest.values() if record.value is not None]


def neighbours(backbone: Backbone) -> Iterator[tuple[Record, Record]]:
    """A view and the next record under its key."""
    before: dict[tuple[str, bytes | None], Record] = {}
    for record in views(backbone):
        last = before.get((record.topic, record.key))
        if last is not None and last.value is not None:
            yield last, record
        before[record.topic, record.key] = record


def answers(backbone: Backbone) -> Records:
    """Intake's messages about events."""
    sent = ((record, read_sent(record)) for record in of(backbone, ASSERTIONS_TOPIC))
    return [record for record, s in sent if s and s.messages and isinstance(s.messages[0], Said)]


def entries(backbone: Backbone) -> Iterator[tuple[Record, dict[str, Any]]]:
    """The disclosure log."""
    return ((record, document(record)) for record in of(backbone, DISCLOSURES_TOPIC))


def entry_of(backbone: Backbone, view: Record) -> Record:
    """What the log says of a view record."""
    name = (view.topic, view.key, sequence(view))
    found = (
        r
        for r, e in entries(backbone)
        if (view_topic(e["agreement"]), e["key"].encode(), e["sequence"]) == name
    )
    return next(found)


def memories(backbone: Backbone, stage: str) -> Records:
    """What the tasks of a stage committed of themselves."""
    return [record for record in of(backbone, changelog_of(stage)) if record.key == TASK_KEY]


def document(record: Record) -> dict[str, Any]:
    """A record of JSON."""
    found: dict[str, Any] = msgspec.json.decode(record.value or b"")
    return found


def sequence(view: Record) -> int:
    """The sequence of a view record."""
    return int(dict(view.headers)["postroom_sequence"])


# -- ways to change a record


def edited(record: Record, **changes: Any) -> Record:
    """A record of JSON, some members changed."""
    return record._replace(value=msgspec.json.encode(document(record) | changes))


def remembered(record: Record, change: Callable[[TaskMemory], None]) -> Record:
    """A memory, changed."""
    memory = decode_memory(record.value or b"")
    change(memory)
    return record._replace(value=memory.encode())


def numbered(view: Record, number: int) -> Record:
    """A view record with another sequence."""
    headers = (
        (name, b"%d" % number if name == "postroom_sequence" else value) for name, value in view.headers
    )
    return view._replace(headers=tuple(headers))


def logged(backbone: Backbone, entry: Record, view: Record, **changes: Any) -> Record:
    """The log's entry, committed to this view record."""
    name = f"{view.topic.removeprefix(view_topic(''))}|{(view.key or b'').decode()}|{sequence(view)}"
    salt = hmac.digest(backbone.rules.keys.commitment, name.encode(), hashlib.sha256)
    commitment = hashlib.sha256(salt + (view.value or b"")).hexdigest()
    return edited(entry, sequence=sequence(view), commitment=commitment, **changes)


# -- the faults


def lose_a_message(backbone: Backbone, chance: Random) -> Records:
    return kept(backbone, chance.choice(answers(backbone)))


def lose_a_message_between_stages(backbone: Backbone, chance: Random) -> Records:
    return kept(backbone, chance.choice(of(backbone, chance.choice((PAIRS_TOPIC, FRAGMENTS_TOPIC)))))


def lose_the_end_of_a_partition(backbone: Backbone, chance: Random) -> Records:
    return kept(backbone, *of(backbone, FRAGMENTS_TOPIC)[-3:])


def lose_a_dead_letter(backbone: Backbone, chance: Random) -> Records:
    return kept(backbone, chance.choice(of(backbone, DEAD_LETTERS_TOPIC)))


def take_an_event_in_twice(backbone: Backbone, chance: Random) -> Records:
    return added(backbone, chance.choice(answers(backbone)))


def take_an_event_in_twice_and_count_on(backbone: Backbone, chance: Random) -> Records:
    again = chance.choice(answers(backbone))
    where, sender = (again.topic, again.partition), dict(again.headers)["postroom_sender"]
    sent = [dict(record.headers) for record in backbone.log[where]]
    number = max(int(headers["postroom_count"]) for headers in sent if headers["postroom_sender"] == sender)
    headers = dict(again.headers) | {"postroom_count": b"%d" % (number + 1)}
    return added(backbone, again._replace(headers=tuple(headers.items())))


def abort_an_event(backbone: Backbone, chance: Random) -> Records:
    rejected = {
        (e["topic"], e["partition"], e["offset"]) for e in map(document, of(backbone, DEAD_LETTERS_TOPIC))
    }
    events = [record for record in backbone.records() if record.topic in backbone.rules.contracts.by_type]
    accepted = [event for event in events if event[:3] not in rejected]
    names = Counter(document(event)["id"] for event in accepted)
    return kept(backbone, chance.choice([event for event in accepted if names[document(event)["id"]] == 1]))


def read_an_aborted_message(backbone: Backbone, chance: Random) -> Records:
    def read_one_more(memory: TaskMemory) -> None:
        seen = memory.seen.setdefault(ASSERTIONS_TOPIC, {})
        seen["intake-0"] = seen.get("intake-0", 0) + 1
        memory.positions.setdefault(ASSERTIONS_TOPIC, 0)

    return changed(backbone, remembered(chance.choice(memories(backbone, "identity")), read_one_more))


def skip_a_message(backbone: Backbone, chance: Random) -> Records:
    def read_one_less(memory: TaskMemory) -> None:
        seen = memory.seen[FRAGMENTS_TOPIC]
        seen[chance.choice(sorted(seen))] -= 1

    return changed(backbone, remembered(memories(backbone, "record")[-1], read_one_less))


def poison_a_topic(backbone: Backbone, chance: Random) -> Records:
    topic = chance.choice((PAIRS_TOPIC, FRAGMENTS_TOPIC))
    return changed(backbone, chance.choice(of(backbone, topic))._replace(value=b"\xc1garbage"))


def swap_two_views(backbone: Backbone, chance: Random) -> Records:
    first, second = chance.choice(list(neighbours(backbone)))
    swapped = (
        second._replace(offset=first.offset, timestamp_ms=first.timestamp_ms),
        first._replace(offset=second.offset, timestamp_ms=second.timestamp_ms),
    )
    return changed(backbone, *swapped)


def write_a_view_twice(backbone: Backbone, chance: Random) -> Records:
    return added(backbone, chance.choice(standing(backbone)))


def write_a_view_without_a_change(backbone: Backbone, chance: Random) -> Records:
    view = chance.choice(standing(backbone))
    again = numbered(view, sequence(view) + 1)
    return added(backbone, again, logged(backbone, entry_of(backbone, view), again))


def lose_a_view(backbone: Backbone, chance: Random) -> Records:
    return kept(backbone, chance.choice(standing(backbone)))


def write_for_another_person(backbone: Backbone, chance: Random) -> Records:
    _, second = chance.choice(list(neighbours(backbone)))
    return changed(backbone, edited(entry_of(backbone, second), person="p-other"))


def forget_to_log(backbone: Backbone, chance: Random) -> Records:
    return kept(backbone, entry_of(backbone, chance.choice(views(backbone))))


def log_twice(backbone: Backbone, chance: Random) -> Records:
    return added(backbone, chance.choice(of(backbone, DISCLOSURES_TOPIC)))


def log_another_view(backbone: Backbone, chance: Random) -> Records:
    return changed(backbone, edited(chance.choice(of(backbone, DISCLOSURES_TOPIC)), commitment="0" * 64))


def forget_to_ask_for_deletion(backbone: Backbone, chance: Random) -> Records:
    ended = chance.choice([e for _, e in entries(backbone) if e["reason"] == "ended"])
    asked = [
        record
        for record in of(backbone, obligations_topic(ended["subscriber"]))
        if (owed := document(record))["key"] == ended["key"]
        and owed["agreement"] == ended["agreement"]
        and owed["sequence"] in (ended["sequence"] - 1, ended["sequence"])
    ]
    return kept(backbone, *asked)


def share_on_a_withdrawn_consent(backbone: Backbone, chance: Random) -> Records:
    """A stage that has forgotten a withdrawal writes a view once more, in good order."""
    ended = {
        (view_topic(entry["agreement"]), entry["key"].encode())
        for _, entry in entries(backbone)
        if entry["reason"] == "ended" and entry["cause"]["id"].startswith("withdrawn-")
    }
    one = chance.choice([a for a, b in neighbours(backbone) if (a.topic, a.key) in ended and b.value is None])
    last = max(sequence(r) for r in views(backbone) if (r.topic, r.key) == (one.topic, one.key))
    again = numbered(one, last + 1)
    later = format_instant(backbone.now_ms + 1)
    return added(backbone, again, logged(backbone, entry_of(backbone, one), again, time=later))


def change_a_view(backbone: Backbone, chance: Random) -> Records:
    """Written, logged and committed to: only the events know better."""
    view = chance.choice(standing(backbone))
    agreement = backbone.rules.agreements[view.topic.removeprefix(view_topic(""))]
    codec = ViewCodec(agreement, backbone.rules.contracts)
    schema_id, body = unframe(view.value or b"")
    plain = codec.decode(body)
    taken = next(name for name, value in plain.items() if value is not None)
    other = view._replace(value=frame(schema_id, codec.encode(plain | {taken: None})))
    return changed(backbone, other, logged(backbone, entry_of(backbone, view), other))


FAULTS: dict[Inject, tuple[Anomaly, frozenset[Anomaly]]] = {
    lose_a_message: (Anomaly.LOST_EVENT, frozenset({Anomaly.ABORTED_READ})),
    lose_a_message_between_stages: (Anomaly.LOST_EVENT, frozenset({Anomaly.ABORTED_READ})),
    lose_the_end_of_a_partition: (Anomaly.LOST_EVENT, frozenset({Anomaly.ABORTED_READ})),
    lose_a_dead_letter: (Anomaly.LOST_EVENT, frozenset()),
    take_an_event_in_twice: (Anomaly.DUPLICATE_EVENT, frozenset()),
    take_an_event_in_twice_and_count_on: (Anomaly.DUPLICATE_EVENT, frozenset()),
    abort_an_event: (Anomaly.ABORTED_READ, frozenset()),
    read_an_aborted_message: (Anomaly.ABORTED_READ, frozenset()),
    skip_a_message: (Anomaly.LOST_EVENT, frozenset()),
    poison_a_topic: (Anomaly.UNREADABLE_MESSAGE, frozenset()),
    swap_two_views: (
        Anomaly.OUT_OF_ORDER_SEQUENCE,
        frozenset({Anomaly.DUPLICATE_VIEW_WRITE}),
    ),
    write_a_view_twice: (Anomaly.DUPLICATE_VIEW_WRITE, frozenset()),
    write_a_view_without_a_change: (Anomaly.DUPLICATE_VIEW_WRITE, frozenset()),
    lose_a_view: (Anomaly.LOST_VIEW_WRITE, frozenset()),
    write_for_another_person: (Anomaly.TWO_WRITERS, frozenset({Anomaly.MISSING_OBLIGATION})),
    forget_to_log: (Anomaly.MISSING_DISCLOSURE, frozenset()),
    log_twice: (Anomaly.DUPLICATE_DISCLOSURE, frozenset()),
    log_another_view: (Anomaly.WRONG_DISCLOSURE, frozenset()),
    forget_to_ask_for_deletion: (Anomaly.MISSING_OBLIGATION, frozenset()),
    share_on_a_withdrawn_consent: (Anomaly.STALE_CONSENT, frozenset()),
    change_a_view: (Anomaly.VIEW_DIFFERS, frozenset({Anomaly.DUPLICATE_VIEW_WRITE})),
}
"""Each fault, what it must be called, and what else may follow from it."""
