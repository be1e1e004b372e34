"""A small history, written by hand: one citizen grants, is seen, withdraws, and is not seen any more."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from processors.disclosure import obligations_topic, view_topic
from processors.engine.changelog import TASK_KEY, TaskMemory
from processors.engine.partitions import partition_of
from processors.history import Extent, History, Stretch, Verdict, topics_of
from processors.history.decoding import READERS, changelog_of
from processors.messages import (
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    FRAGMENTS_TOPIC,
    PAIRS_TOPIC,
    Cause,
    Consent,
    Fragment,
    Message,
    Said,
    encode,
)
from processors.rules import Keys, Rules
from processors.stage import Record
from schemas import format_instant, load_agreements, load_contracts
from tests.backbone import STRUCTURED, in_order

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = load_contracts(ROOT / "schemas")
AGREEMENTS = load_agreements(ROOT / "schemas" / "agreements", CONTRACTS)
RULES = Rules(CONTRACTS, AGREEMENTS, Keys(b"secret"))
RECORD_LOG = "postroom.record.changelog"
INTAKE_LOG = "postroom.intake.changelog"
IDENTITY_LOG = "postroom.identity.changelog"
DECISIONS = "uk.gov.consent.decision.v1"
SOURCE = "urn:gov:consent-service:web"
AGREEMENT = "council-leeds-housing"
SUBSCRIBER, PURPOSE = "council-leeds", "housing-support"
VIEW, OBLIGATIONS = view_topic(AGREEMENT), obligations_topic(SUBSCRIBER)
CITIZEN, PERSON, KEY = "nino:NC123456C", "p-1", "s-1"
BY_STATUTE = {"permit": "public_task", "consent": None}
STATUTE = {"attributes": {"address": BY_STATUTE, "name": BY_STATUTE}}
START_MS = 1_780_000_000_000
SECOND_MS = 1_000
PARTITIONS = 2


class ByHand:
    """Writes records one after another, a second apart; each topic's partitions have their own offsets."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.now_ms = rules, START_MS
        self.topics = topics_of(rules)
        self.records: list[Record] = []
        self.ends = {(t, p): 0 for t in self.topics for p in range(1 if t == PAIRS_TOPIC else PARTITIONS)}
        self.sent: dict[tuple[str, str, int], int] = {}
        self.task = partition_of(PERSON.encode(), PARTITIONS)
        """The task of the record stage that has the citizen, and where her disclosures are."""

    # -- one record each

    def put(self, topic: str, partition: int, value: Any, key: str = "", headers: Any = ()) -> Record:
        """Append a record; what is neither bytes nor None is written as JSON."""
        self.now_ms += SECOND_MS
        body = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        offset = self.ends[topic, partition]
        record = Record(topic, partition, offset, self.now_ms, key.encode(), body, tuple(headers))
        self.ends[topic, partition] += 1
        self.records.append(record)
        return record

    def event(self, name: str, state: str = "GRANTED") -> Record:
        """The consent service says what the citizen decided."""
        data = {"subject": CITIZEN, "subscriber": SUBSCRIBER, "purpose": PURPOSE, "state": state}
        event = {"specversion": "1.0", "id": name, "source": SOURCE, "type": DECISIONS}
        event |= {"time": format_instant(self.now_ms), "data": data}
        return self.put(DECISIONS, 0, event, headers=STRUCTURED)

    def sends(self, topic: str, sender: str, message: Message, number: int | None = None) -> Record:
        """A task sends a message, numbered unless its number is given."""
        partition = self.task if topic == FRAGMENTS_TOPIC else 0
        last = self.sent.get((topic, sender, partition), 0)
        number = last + 1 if number is None else number
        self.sent[topic, sender, partition] = max(last, number)
        headers = (("postroom_sender", sender.encode()), ("postroom_count", b"%d" % number))
        return self.put(topic, partition, encode(message), "any", headers)

    def said(self, about: Record, number: int | None = None) -> Record:
        """Intake says what an event said."""
        name, source = _name(about)
        cause = Cause(source, name, about.timestamp_ms)
        said = Said(CITIZEN, "consent-service", DECISIONS, about.timestamp_ms, cause, START_MS * 2, START_MS)
        return self.sends(ASSERTIONS_TOPIC, "intake-0", said, number)

    def fragment(self, *consents: Consent) -> Record:
        """Identity sends what the citizen said of consent to her record."""
        fragment = Fragment(PERSON, CITIZEN, 0, True, (CITIZEN,), (), False, Cause(), consents=consents)
        return self.sends(FRAGMENTS_TOPIC, "identity-0", fragment)

    def view(self, sequence: int, value: bytes | None) -> Record:
        """Record writes a view, or its end."""
        return self.put(VIEW, 1, value, KEY, (("postroom_sequence", b"%d" % sequence),))

    def entry(self, sequence: int, value: bytes | None, **changes: Any) -> Record:
        """Record logs it, resting on the consent ``grant`` or denied."""
        answer = {"permit": "consent", "gateway": None, "consent": [SOURCE, "grant"]}
        answer = {"deny": "consent-withdrawn"} if value is None else answer
        entry = {
            "kind": "retraction" if value is None else "view",
            "time": format_instant(self.now_ms),
            "agreement": AGREEMENT,
            "version": 1,
            "subscriber": SUBSCRIBER,
            "key": KEY,
            "person": PERSON,
            "sequence": sequence,
            "fields": ["address", "name"],
            "decision": {"denied": None, "attributes": {"address": answer, "name": answer}},
            "reason": "ended" if value is None else None,
            "cause": {"source": SOURCE, "id": "grant", "hash": ""},
            "commitment": commitment(self.rules, sequence, value),
        }
        return self.put(DISCLOSURES_TOPIC, self.task, entry | changes, PERSON)

    def obligation(self, sequence: int, *fields: str) -> Record:
        """The council is asked to delete."""
        owed = {"agreement": AGREEMENT, "key": KEY, "sequence": sequence, "fields": fields}
        return self.put(OBLIGATIONS, 0, owed)

    def memory(self, stage: str, partition: int = 0, **more: Any) -> Record:
        """A task commits what it has read and sent, which is all that there is so far."""
        memory = TaskMemory(now_ms=self.now_ms, swept=self.rules.version, **more)
        for topic, reader in READERS.items():
            if reader == stage and "positions" not in more:
                memory.positions[topic] = self.ends[topic, partition]
                memory.seen[topic] = {
                    sender: count
                    for (t, sender, p), count in self.sent.items()
                    if (t, p) == (topic, partition)
                }
        for (topic, sender, to), count in self.sent.items():
            if sender == f"{stage}-{partition}" and "sent" not in more:
                memory.sent.setdefault(topic, {})[to] = count
        return self.put(changelog_of(stage), partition, memory.encode(), TASK_KEY.decode())

    def letter(self, about: Record) -> Record:
        """Intake rejects an event."""
        name, source = _name(about)
        letter = {"topic": about.topic, "partition": about.partition, "offset": about.offset}
        letter |= {"timestamp_ms": about.timestamp_ms, "source": source, "id": name, "reason": "any"}
        return self.put(DEAD_LETTERS_TOPIC, 0, letter)

    # -- the verdict

    def extent(self, **changes: Stretch) -> Extent:
        """All there is, settled and processed."""
        return Extent({place: Stretch(0, end, end) for place, end in self.ends.items()}, dict(self.ends))

    def verdict(self, records: Iterable[Record] | None = None, extent: Extent | None = None) -> Verdict:
        """What the checker says of these records, or of all."""
        history = History(extent or self.extent(), self.rules, lambda _: None)
        for record in in_order(self.topics, self.records if records is None else records):
            history.take(record)
        return history.finish(self.now_ms)


def consent(name: str, about: Record, state: str = "GRANTED") -> Consent:
    """What identity makes of a decision."""
    return Consent(about.timestamp_ms, SOURCE, name, SUBSCRIBER, PURPOSE, (), state)  # type: ignore[arg-type]


def commitment(rules: Rules, sequence: int, value: bytes | None) -> str:
    """What the log must be committed to (V5)."""
    salt = hmac.digest(rules.keys.commitment, f"{AGREEMENT}|{KEY}|{sequence}".encode(), hashlib.sha256)
    return hashlib.sha256(salt + (value or b"")).hexdigest()


def whole_story(rules: Rules) -> ByHand:
    """The history as it must be."""
    hand = ByHand(rules)
    granted = hand.event("grant")
    hand.said(granted)
    grant = consent("grant", granted)
    hand.fragment(grant)
    hand.memory("identity", sent={FRAGMENTS_TOPIC: {hand.task: 1}})
    hand.view(1, b"first")
    hand.entry(1, b"first")
    hand.memory("record", hand.task)
    withdrawn = hand.event("withdrawal", "WITHDRAWN")
    hand.said(withdrawn)
    hand.fragment(grant, consent("withdrawal", withdrawn, "WITHDRAWN"))
    hand.obligation(1, "address", "name")
    hand.view(2, None)
    hand.entry(2, None)
    hand.memory("record", hand.task)
    hand.memory("intake")
    return hand


def without(records: Iterable[Record], topic: str, nth: int) -> list[Record]:
    """All but the nth record of a topic."""
    kept = list(records)
    kept.remove([record for record in kept if record.topic == topic][nth])
    return kept


def shortened(extent: Extent, topic: str, partition: int, begin: int, since_ms: int) -> Extent:
    """The same when the front of a partition was deleted."""
    stretch = replace(extent.stretches[topic, partition], begin=begin, since_ms=since_ms)
    return replace(extent, stretches={**extent.stretches, (topic, partition): stretch})


def _name(about: Record) -> tuple[str, str]:
    event = msgspec.json.decode(about.value or b"")
    return event["id"], event["source"]


def replace_record(record: Record, **changes: Any) -> Record:
    return record._replace(**changes)


def first(hand: ByHand, topic: str) -> Record:
    return next(record for record in hand.records if record.topic == topic)
