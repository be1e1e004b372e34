"""Intake: accept an event or say why not (E7), and turn it into what it says about its subject (§7).

Stateless. An event is accepted whole or rejected whole; a rejection becomes a dead letter without the
payload.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from processors.meaning import Data, Meaning
from processors.messages import (
    ACKNOWLEDGEMENTS_TOPIC,
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    LETTER_REQUESTS_TOPIC,
    OBLIGATIONS_TOPIC,
    Acknowledged,
    Said,
    encode,
)
from processors.outcomes import Rejection
from processors.rules import Rules
from processors.second_look import Judged, answer
from processors.stage import NOTHING, Lookup, Notice, Outcome, Outgoing, Record, Step, Tally, Trace
from schemas import (
    Addressees,
    CloudEvent,
    Contract,
    ContractMismatch,
    Kind,
    NotACloudEvent,
    cloudevent_from_headers,
    cloudevent_from_json,
    json_value,
    unframe,
)

OBLIGATION_ID = re.compile(r"o-[0-9a-f]{32}")
STRUCTURED = b"application/cloudevents+json"


class Rejected(NamedTuple):
    """An event that was not accepted; its name as far as it could be read, never its content."""

    reason: Rejection
    type: str | None = None
    source: str | None = None
    id: str | None = None
    traceparent: str = ""


class _Reading(NamedTuple):
    """How the events of one type, owner and writer's schema are read: the first showed that they may be."""

    decode: Callable[[bytes], Data]
    meaning: Meaning


class Intake:
    """The first stage: department topics to assertions and dead letters."""

    name = "intake"
    rules_version: str | None = None

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.addressees = Addressees(rules.agreements, rules.contracts)
        self.writers: dict[int, dict[str, Any] | None] = {}
        """Writer schemas by the registry's id; None for an id that the registry does not know."""
        self._meanings: dict[str, Meaning] = {}
        self._readings: dict[tuple[str, str, str, int], _Reading] = {}
        self.fetched: dict[tuple[int, int], Record | None] = {}
        """Rejected records read again, by partition and offset of the request; None for one that is gone."""

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return nothing: intake has no state."""
        return set()

    def tally(self, key: bytes, body: bytes) -> Tally:
        """Return nothing: intake has no state."""
        return NOTHING

    def unknown_schema_ids(self, batch: Sequence[Record]) -> set[int]:
        """Return the schema ids that must be looked up in :attr:`writers` before ``batch`` can be read."""
        ids = set()
        for record in batch:
            if record.value is not None and record.value[:1] == b"\0" and len(record.value) >= 5:
                ids.add(int.from_bytes(record.value[1:5], "big"))
        return ids - self.writers.keys()

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Accept or reject each record; one outgoing message for each, and one more for a replay."""
        step = Step()
        accepted: Counter[tuple[str, str]] = Counter()
        for record in batch:
            if record.topic == LETTER_REQUESTS_TOPIC:
                answer(record, self.fetched, self.rules.contracts.by_type, self._judge_again, step)
                continue
            verdict = self._verdict(record)
            if isinstance(verdict, Said):
                step.outgoing.append(Outgoing(ASSERTIONS_TOPIC, verdict.subject.encode(), encode(verdict)))
                accepted[verdict.type, self._unheard(verdict)] += 1
                if verdict.cause.traceparent:
                    trace = Trace(verdict.cause.traceparent, "accepted", verdict.type, record.timestamp_ms)
                    step.traces.append(trace)
            elif isinstance(verdict, Rejected):
                step.outgoing.append(dead_letter(record, verdict))
                step.outcomes.append(Outcome(self._kind(record, verdict), "rejected", verdict.reason))
                step.notices.append(_notice(verdict))
                if verdict.traceparent:
                    kind = self._kind(record, verdict)
                    step.traces.append(Trace(verdict.traceparent, "rejected", kind, record.timestamp_ms))
            else:
                step.outgoing.append(_onward(verdict))
                step.outcomes.append(Outcome(ACKNOWLEDGEMENTS_TOPIC, "accepted"))
        step.outcomes += [
            Outcome(type_, "accepted", reason, times) for (type_, reason), times in accepted.items()
        ]
        return step

    def _unheard(self, said: Said) -> str:
        """Which name in a statement no agreement knows, the first: it is accepted and does nothing yet."""
        if said.values or said.pairs:  # a fact or a link, which nearly all events are
            return ""
        for kind, stated in (
            (Kind.CONSENT, said.consent),
            (Kind.OBJECTION, said.objection),
            (Kind.ENROLMENT, said.enrolment),
        ):
            if stated is not None:
                first = next(self.addressees.unknown(kind, msgspec.structs.asdict(stated)), None)
                return "" if first is None else f"unknown-{first.term}"
        return ""

    def _verdict(self, record: Record) -> Said | Acknowledged | Rejected:
        """Judge what a department or a subscriber wrote."""
        if record.topic == ACKNOWLEDGEMENTS_TOPIC:
            acknowledged = read_acknowledgement(record.value, self.rules.limits.value_bytes)
            return acknowledged or Rejected(Rejection.UNDECODABLE)
        return self.accept_record(record)

    def _kind(self, record: Record, verdict: Said | Acknowledged | Rejected) -> str:
        """What an outcome is counted as: a contract's type, never a name that somebody sent."""
        if record.topic == ACKNOWLEDGEMENTS_TOPIC:
            return ACKNOWLEDGEMENTS_TOPIC
        named = verdict.type if isinstance(verdict, Said | Rejected) else None
        return named if named is not None and named in self.rules.contracts.by_type else "unknown"

    def _judge_again(self, record: Record) -> Judged:
        """Judge a record that was rejected, as :mod:`processors.second_look` wants to hear it."""
        verdict = self._verdict(record)
        kind = self._kind(record, verdict)
        if isinstance(verdict, Rejected):
            return Judged(kind, verdict.reason.value)
        return Judged(kind, "", _onward(verdict), _name_of(verdict))

    def accept_record(self, record: Record) -> Said | Rejected:
        """Read one Kafka record in CloudEvents binary or structured mode (E2)."""
        value = record.value
        if value is not None:
            if len(value) > self.rules.limits.value_bytes:
                return Rejected(Rejection.OVERSIZED)
            content_type = dict(record.headers).get("content-type")
            if content_type is not None and content_type.startswith(STRUCTURED):
                return self.accept_json(value, record.timestamp_ms, topic=record.topic)
        return self._accept_binary(record)

    def accept_json(self, line: bytes, broker_ms: int, topic: str | None = None) -> Said | Rejected:
        """Read one CloudEvent in JSON (E3): a line of a file, or a record in structured mode."""
        if len(line) > self.rules.limits.value_bytes:
            return Rejected(Rejection.OVERSIZED)
        try:
            event = cloudevent_from_json(json_value(line))
        except (msgspec.DecodeError, NotACloudEvent, RecursionError, UnicodeDecodeError):
            return Rejected(Rejection.UNDECODABLE)
        if event.attributes_bytes > self.rules.limits.attributes_bytes:
            return Rejected(Rejection.OVERSIZED)
        if event.data is None:
            return _rejected(Rejection.NULL_VALUE, event)
        contract = self._contract(event, topic)
        if contract is None:
            return _rejected(Rejection.UNKNOWN_TYPE, event)
        if event.owner not in contract.owners:
            return _rejected(Rejection.NOT_THE_OWNER, event)
        try:
            data = contract.from_json(event.data)
        except ContractMismatch:
            return _rejected(Rejection.CONTRACT_MISMATCH, event)
        said = self._meaning(contract).of(event, data, broker_ms)
        return said if isinstance(said, Said) else _rejected(said, event)

    def _accept_binary(self, record: Record) -> Said | Rejected:
        try:
            event = cloudevent_from_headers(record.headers)
        except NotACloudEvent:
            return Rejected(Rejection.UNDECODABLE)
        # INVARIANT: nobody names a rejected event that is too long a name, not even its dead letter.
        if event.attributes_bytes > self.rules.limits.attributes_bytes:
            return Rejected(Rejection.OVERSIZED)
        if record.value is None:
            return _rejected(Rejection.NULL_VALUE, event)
        try:
            schema_id, body = unframe(record.value)
        except ValueError:
            return _rejected(Rejection.UNDECODABLE, event)
        # INVARIANT: by owner, of whom there are few. A source names a system, and its writer chooses that.
        name = (record.topic, event.owner, event.type, schema_id)
        reading = self._readings.get(name)
        if reading is None:
            found = self._reading(event, record.topic, schema_id)
            if not isinstance(found, _Reading):
                return _rejected(found, event)
            reading = self._readings[name] = found
        try:
            data = reading.decode(body)
        except ContractMismatch:
            return _rejected(Rejection.CONTRACT_MISMATCH, event)
        said = reading.meaning.of(event, data, record.timestamp_ms)
        return said if isinstance(said, Said) else _rejected(said, event)

    def _reading(self, event: CloudEvent, topic: str, schema_id: int) -> _Reading | Rejection:
        """How to read what this source writes of this type, or why it may not be (E7)."""
        writer = self.writers.get(schema_id)
        if writer is None:
            return Rejection.UNDECODABLE
        contract = self._contract(event, topic)
        if contract is None:
            return Rejection.UNKNOWN_TYPE
        if event.owner not in contract.owners:
            return Rejection.NOT_THE_OWNER
        return _Reading(contract.reader(writer), self._meaning(contract))

    def _contract(self, event: CloudEvent, topic: str | None) -> Contract | None:
        """The event's contract; none when it came on another type's topic, whose access rules are not its
        own.
        """
        return None if topic not in (None, event.type) else self.rules.contracts.by_type.get(event.type)

    def _meaning(self, contract: Contract) -> Meaning:
        known = self._meanings.get(contract.type)
        if known is None:
            known = Meaning(contract, self.rules.contracts.schemes, self.rules.limits)
            self._meanings[contract.type] = known
        return known


def _onward(verdict: Said | Acknowledged) -> Outgoing:
    """What is accepted, to whoever has the state: by its subject, or by its obligation (V4)."""
    if isinstance(verdict, Said):
        return Outgoing(ASSERTIONS_TOPIC, verdict.subject.encode(), encode(verdict))
    return Outgoing(OBLIGATIONS_TOPIC, verdict.obligation.encode(), encode(verdict))


def _name_of(verdict: Said | Acknowledged) -> dict[str, Any]:
    """Name what a replay led to, so that whoever looks back finds it (V6)."""
    if isinstance(verdict, Said):
        cause = verdict.cause
        return {"type": verdict.type, "source": cause.source, "id": cause.id, "stamp_ms": cause.published_ms}
    name = {"source": verdict.subscriber, "id": verdict.obligation, "stamp_ms": verdict.time_ms}
    return {"type": ACKNOWLEDGEMENTS_TOPIC, **name}


def _rejected(reason: Rejection, event: CloudEvent) -> Rejected:
    return Rejected(reason, event.type, event.source, event.id, event.traceparent)


def _notice(rejected: Rejected) -> Notice:
    """Name a rejected event for the log, as far as it could be read (E7)."""
    return Notice("rejected", rejected.reason, rejected.source or "", rejected.id or "", rejected.traceparent)


def read_acknowledgement(value: bytes | None, bytes_max: int) -> Acknowledged | None:
    """Read a CloudEvent in JSON whose source is the subscriber and whose data names the obligation."""
    if value is None or len(value) > bytes_max:
        return None
    try:
        event = cloudevent_from_json(json_value(value))
    except (msgspec.DecodeError, NotACloudEvent, RecursionError, UnicodeDecodeError):
        return None
    obligation = event.data.get("obligation") if isinstance(event.data, dict) else None
    if not isinstance(obligation, str) or OBLIGATION_ID.fullmatch(obligation) is None:
        return None
    return Acknowledged(obligation, event.owner, event.time)


def dead_letter(record: Record, rejected: Rejected) -> Outgoing:
    """Say where a rejected event is and why, never what it holds (E7)."""
    where = f"{record.topic}/{record.partition}/{record.offset}"
    letter = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "reason": rejected.reason.value,
        "type": rejected.type,
        "source": rejected.source,
        "id": rejected.id,
        "timestamp_ms": record.timestamp_ms,
    }
    return Outgoing(DEAD_LETTERS_TOPIC, where.encode(), msgspec.json.encode(letter))
