"""Takes a backbone's history record by record, and says which of its promises were broken (V1-V7).

The records of each partition come in their order. Across partitions any order gives the same findings about
loss, repetition and order; in order of the brokers' time (:attr:`History.topics` breaking ties) least is
held, and a stale consent is noticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from processors.dead_letters import Result, read_decision
from processors.disclosure import obligations_topic, view_topic
from processors.history.arrivals import Arrivals, Letter
from processors.history.counts import Counts
from processors.history.decoding import READERS, STAGES, changelog_of, read_memory, read_sent
from processors.history.disclosures import read_entry
from processors.history.extent import Extent
from processors.history.findings import Anomaly, Finding, Findings, Place
from processors.history.obligations import OWED, Debts
from processors.history.replayed import Replayed, SchemaOf
from processors.history.withdrawals import Withdrawals
from processors.history.writes import VIEWS, Writes
from processors.messages import (
    ACKNOWLEDGEMENTS_TOPIC,
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    FRAGMENTS_TOPIC,
    LETTER_DECISIONS_TOPIC,
    LETTER_REQUESTS_TOPIC,
    OBLIGATIONS_TOPIC,
)
from processors.rules import Rules
from processors.stage import Record
from schemas import Kind, NotACloudEvent, cloudevent_from_headers


def topics_of(rules: Rules) -> tuple[str, ...]:
    """Name all that must be read, causes before effects: at one moment they come in this order."""
    subscribers = sorted({agreement.subscriber for agreement in rules.agreements.values()})
    return (
        *sorted(rules.contracts.by_type),
        ACKNOWLEDGEMENTS_TOPIC,
        DEAD_LETTERS_TOPIC,
        LETTER_REQUESTS_TOPIC,
        LETTER_DECISIONS_TOPIC,
        *READERS,
        *(view_topic(name) for name in sorted(rules.agreements)),
        DISCLOSURES_TOPIC,
        *(obligations_topic(subscriber) for subscriber in subscribers),
        *map(changelog_of, STAGES),
    )


def groups_of(rules: Rules) -> dict[str, tuple[str, ...]]:
    """Name each stage's consumer group and what it reads (DESIGN §7)."""
    outside = (*sorted(rules.contracts.by_type), ACKNOWLEDGEMENTS_TOPIC, LETTER_REQUESTS_TOPIC)
    groups = {"postroom.intake": outside}
    return groups | {f"postroom.{stage}": (topic,) for topic, stage in READERS.items()}


@dataclass(frozen=True)
class Verdict:
    """What was found, what it rests on, and what could not be checked; nobody's data."""

    findings: list[Finding]
    counts: Counter[Anomaly]
    """All findings by kind; of very many only the first are among the findings."""
    checked: dict[str, int] = field(default_factory=dict)
    """How much was looked at, by what it is."""
    unchecked: list[str] = field(default_factory=list)
    """What this history no longer shows, or cannot show yet, and why."""

    @property
    def clean(self) -> bool:
        """Whether every promise held, as far as it could be checked."""
        return not self.counts


class History:
    """The checker: :meth:`take` every record, then :meth:`finish`."""

    def __init__(self, extent: Extent, rules: Rules, schema_of: SchemaOf, replay_max: int = 0) -> None:
        """``replay_max`` is how many events may be replayed; 0 leaves that check out."""
        self.extent, self.rules = extent, rules
        self.topics = topics_of(rules)
        self._findings = Findings()
        self._arrivals = Arrivals(extent, self._findings, rules.limits.value_bytes)
        self._counts = Counts(extent, self._findings)
        self._writes = Writes(extent, self._findings, rules.keys.commitment)
        self._debts = Debts(extent, self._findings)
        self._withdrawals = Withdrawals(extent, self._findings, rules)
        self._replayed = (
            Replayed(extent, self._findings, rules, schema_of, replay_max) if replay_max else None
        )
        self._foreign = 0
        self._grants = {name for name, each in rules.contracts.by_type.items() if each.kind is Kind.CONSENT}
        self._takers = self._plan()

    def _plan(self) -> dict[str, Callable[[Record, Place], None]]:
        """Say which method takes the records of a topic."""
        takers: dict[str, Callable[[Record, Place], None]] = {}
        for topic in self.topics:
            if topic in self.rules.contracts.by_type:
                takers[topic] = self._event
            elif topic in READERS:
                takers[topic] = self._message
            elif topic.startswith(VIEWS):
                takers[topic] = self._view
            elif topic.startswith(OWED):
                takers[topic] = self._obligation
        takers |= {changelog_of(stage): self._memory for stage in STAGES}
        takers[ACKNOWLEDGEMENTS_TOPIC] = self._acknowledgement
        takers[DEAD_LETTERS_TOPIC] = self._letter
        takers[LETTER_REQUESTS_TOPIC] = self._request
        takers[LETTER_DECISIONS_TOPIC] = self._decision
        takers[DISCLOSURES_TOPIC] = self._disclosure
        return takers

    def take(self, record: Record) -> None:
        """Take the next record of its partition."""
        place = Place(record.topic, record.partition, record.offset)
        try:
            self._takers[record.topic](record, place)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._findings.add(Anomaly.UNREADABLE_MESSAGE, place, "not what this topic holds")

    # -- by topic

    def _event(self, record: Record, place: Place) -> None:
        self._arrivals.event(record)
        if record.topic in self._grants:
            self._note_grant(record)
        if self._replayed is not None:
            self._replayed.event(record)

    def _note_grant(self, record: Record) -> None:
        """Remember when a consent was stated, by its headers alone; others are known from the fragments."""
        try:
            event = cloudevent_from_headers(record.headers)
        except NotACloudEvent:
            return
        self._withdrawals.granted(event.source, event.id, event.time)

    def _acknowledgement(self, record: Record, place: Place) -> None:
        self._arrivals.acknowledgement(record)

    def _letter(self, record: Record, place: Place) -> None:
        letter = msgspec.json.decode(record.value or b"", type=Letter)
        self._arrivals.letter(place, letter)
        if self._replayed is not None:
            self._replayed.letter(letter.about())

    def _request(self, record: Record, place: Place) -> None:
        self._arrivals.request(record)

    def _decision(self, record: Record, place: Place) -> None:
        decision = read_decision(record.value)
        self._arrivals.decision(place, decision)
        if self._replayed is not None and decision.result is Result.REPLAYED:
            about = Place(decision.topic, decision.partition, decision.offset)
            self._replayed.again(about, decision.at_ms)

    def _message(self, record: Record, place: Place) -> None:
        sent = read_sent(record)
        if sent is None:
            self._foreign += 1
            return
        self._counts.message(place, sent)
        if sent.messages is None:
            self._findings.add(Anomaly.UNREADABLE_MESSAGE, place, f"number {sent.number} of {sent.sender}")
        for message in sent.messages or ():
            if record.topic in (ASSERTIONS_TOPIC, OBLIGATIONS_TOPIC):
                self._arrivals.message(place, sent.sender, message)
            elif record.topic == FRAGMENTS_TOPIC:
                self._withdrawals.message(place, message)
            if self._replayed is not None:
                self._replayed.message(place, message)

    def _view(self, record: Record, place: Place) -> None:
        self._writes.view(record)
        if self._replayed is not None:
            self._replayed.view(record)

    def _disclosure(self, record: Record, place: Place) -> None:
        entry = read_entry(record.value or b"")
        self._debts.ended(place, entry, self._writes.logged.get((entry.agreement, entry.key)))
        self._writes.disclosure(place, entry)
        self._withdrawals.disclosure(place, entry)

    def _obligation(self, record: Record, place: Place) -> None:
        self._debts.obligation(record)

    def _memory(self, record: Record, place: Place) -> None:
        memory = read_memory(record)
        stage = record.topic.split(".")[1]
        if memory is None:
            if stage == "persons" and self._replayed is not None:
                self._replayed.persons_state(record)
            return
        self._counts.memory(stage, place, memory)
        if stage == "record":
            self._withdrawals.memory(record.partition, memory)
        if self._replayed is not None:
            self._replayed.memory(stage, record.partition, memory)

    # -- at the end

    def finish(self, at_ms: int) -> Verdict:
        """Judge; ``at_ms`` is a moment after the ends were taken, UTC ms."""
        for part in (self._arrivals, self._counts, self._writes, self._debts, self._withdrawals):
            part.finish()
        unchecked = list(self._gone())
        if self._replayed is None:
            unchecked.append("views against a replay of the events: not asked for")
        else:
            unproven = self._replayed.finish(at_ms)
            if unproven is not None:
                unchecked.append(f"views against a replay of the events: {unproven}")
        counts = {anomaly: count for anomaly in Anomaly if (count := self._findings.counts[anomaly])}
        return Verdict(self._findings.in_order(), Counter(counts), self._checked(), unchecked)

    def _gone(self) -> list[str]:
        """What is no longer there, and which checks begin later for it."""
        said = []
        for topics, what in (
            (sorted(self.rules.contracts.by_type), "events that departments' topics no longer hold"),
            ((ASSERTIONS_TOPIC, DEAD_LETTERS_TOPIC), "the arrival of events before what is left of {}"),
            ((DISCLOSURES_TOPIC,), "the disclosure of views before what is left of {}"),
            (tuple(topic for topic in READERS if topic != ASSERTIONS_TOPIC), "messages no longer in {}"),
        ):
            gone = self.extent.shortened(topics)
            if gone:
                said.append(what.format(" and ".join(gone)))
        if taken := self._arrivals.taken_in_then():
            said.append(
                f"what was meant by records that say a key twice: {taken}, taken in with the last value "
                "before E3 refused such (ADR 0071)"
            )
        if self._foreign:
            said.append(
                f"records between stages that no task of ours wrote, and no stage reads: {self._foreign}"
            )
        return said

    def _checked(self) -> dict[str, int]:
        counted = {
            "events": self._arrivals.checked,
            "events not yet processed": self._arrivals.pending,
            "messages between stages": self._counts.checked,
            "view records": self._writes.views,
            "disclosures": self._writes.disclosures,
            "disclosures that rest on consent": self._withdrawals.checked,
            "ended views": self._debts.checked,
        }
        if self._replayed is not None:
            counted["views compared with a replay"] = self._replayed.compared
            counted["views on their way"] = self._replayed.on_their_way
        return counted
