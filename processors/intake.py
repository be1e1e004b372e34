"""Intake: accept an event or say why not (E7), and turn it into what it says about its subject (§7).

Stateless. An event is accepted whole or rejected whole; a rejection becomes a dead letter without the
payload.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import rfc8785

from processors.messages import (
    ACKNOWLEDGEMENTS_TOPIC,
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    OBLIGATIONS_TOPIC,
    Acknowledged,
    Cause,
    Consent,
    Enrolment,
    Objection,
    Restriction,
    Said,
    StatementKind,
    encode,
)
from processors.outcomes import Rejection
from processors.rules import Limits, Rules
from processors.stage import Lookup, Outcome, Outgoing, Record, Step
from schemas import (
    CloudEvent,
    Contract,
    ContractMismatch,
    IdentifierField,
    IdentifierInvalid,
    Kind,
    NotACloudEvent,
    Role,
    beginning,
    cloudevent_from_headers,
    cloudevent_from_json,
    ending,
    unframe,
)

_sorted_json = msgspec.json.Encoder(order="sorted").encode
OBLIGATION_ID = re.compile(r"o-[0-9a-f]{32}")
STRUCTURED = b"application/cloudevents+json"
STATES: Mapping[Kind, frozenset[str]] = {
    Kind.CONSENT: frozenset({"GRANTED", "PAUSED", "WITHDRAWN"}),
    Kind.OBJECTION: frozenset({"OBJECTED", "LIFTED"}),
    Kind.RESTRICTION: frozenset({"RESTRICTED", "LIFTED"}),
    Kind.ENROLMENT: frozenset({"ENROLLED", "ENDED"}),
}
"""The states that each kind of statement may give (§5)."""

ROLE_KINDS: Mapping[Role, StatementKind] = {
    Role.SAME_PERSON: "same-person",
    Role.SUPERSEDED_BY: "superseded-by",
}


class Rejected(NamedTuple):
    """An event that was not accepted; its name as far as it could be read, never its content."""

    reason: Rejection
    type: str | None = None
    source: str | None = None
    id: str | None = None


class Intake:
    """The first stage: department topics to assertions and dead letters."""

    name = "intake"
    rules_version: str | None = None

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.writers: dict[int, dict[str, Any] | None] = {}
        """Writer schemas by the registry's id; None for an id that the registry does not know."""

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return nothing: intake has no state."""
        return set()

    def unknown_schema_ids(self, batch: Sequence[Record]) -> set[int]:
        """Return the schema ids that must be looked up in :attr:`writers` before ``batch`` can be read."""
        ids = set()
        for record in batch:
            if record.value is not None and record.value[:1] == b"\0" and len(record.value) >= 5:
                ids.add(int.from_bytes(record.value[1:5], "big"))
        return ids - self.writers.keys()

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Accept or reject each record; one outgoing message for each."""
        step = Step()
        for record in batch:
            if record.topic == ACKNOWLEDGEMENTS_TOPIC:
                self._accept_acknowledgement(record, step)
                continue
            verdict = self.accept_record(record)
            if isinstance(verdict, Said):
                step.outgoing.append(Outgoing(ASSERTIONS_TOPIC, verdict.subject.encode(), encode(verdict)))
                step.outcomes.append(Outcome(verdict.type, "accepted"))
            else:
                step.outgoing.append(dead_letter(record, verdict))
                known = verdict.type is not None and verdict.type in self.rules.contracts.by_type
                type_ = verdict.type if known and verdict.type else "unknown"
                step.outcomes.append(Outcome(type_, "rejected", verdict.reason))
        return step

    def accept_record(self, record: Record) -> Said | Rejected:
        """Read one Kafka record in CloudEvents binary or structured mode (E2)."""
        if record.value is not None and len(record.value) > self.rules.limits.value_bytes:
            return Rejected(Rejection.OVERSIZED)
        headers = dict(record.headers)
        if (headers.get("content-type") or b"").startswith(STRUCTURED) and record.value is not None:
            return self.accept_json(record.value, record.timestamp_ms, topic=record.topic)
        return self._accept_binary(record)

    def _accept_acknowledgement(self, record: Record, step: Step) -> None:
        """Send a subscriber's acknowledgement to its obligation, whatever partition it came on (V4)."""
        acknowledged = read_acknowledgement(record.value, self.rules.limits.value_bytes)
        if acknowledged is None:
            step.outgoing.append(dead_letter(record, Rejected(Rejection.UNDECODABLE)))
            step.outcomes.append(Outcome(ACKNOWLEDGEMENTS_TOPIC, "rejected", Rejection.UNDECODABLE))
            return
        key = acknowledged.obligation.encode()
        step.outgoing.append(Outgoing(OBLIGATIONS_TOPIC, key, encode(acknowledged)))
        step.outcomes.append(Outcome(ACKNOWLEDGEMENTS_TOPIC, "accepted"))

    def accept_json(self, line: bytes, broker_ms: int, topic: str | None = None) -> Said | Rejected:
        """Read one CloudEvent in JSON (E3): a line of a file, or a record in structured mode."""
        if len(line) > self.rules.limits.value_bytes:
            return Rejected(Rejection.OVERSIZED)
        try:
            event = cloudevent_from_json(msgspec.json.decode(line))
        except (msgspec.DecodeError, NotACloudEvent, RecursionError, UnicodeDecodeError):
            return Rejected(Rejection.UNDECODABLE)
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
        return self._accept_data(event, contract, data, broker_ms)

    def _accept_binary(self, record: Record) -> Said | Rejected:
        try:
            event = cloudevent_from_headers(record.headers)
        except NotACloudEvent:
            return Rejected(Rejection.UNDECODABLE)
        if record.value is None:
            return _rejected(Rejection.NULL_VALUE, event)
        try:
            schema_id, body = unframe(record.value)
        except ValueError:
            return _rejected(Rejection.UNDECODABLE, event)
        writer = self.writers.get(schema_id)
        if writer is None:
            return _rejected(Rejection.UNDECODABLE, event)
        contract = self._contract(event, record.topic)
        if contract is None:
            return _rejected(Rejection.UNKNOWN_TYPE, event)
        if event.owner not in contract.owners:
            return _rejected(Rejection.NOT_THE_OWNER, event)
        try:
            data = contract.from_avro(body, writer)
        except ContractMismatch:
            return _rejected(Rejection.CONTRACT_MISMATCH, event)
        return self._accept_data(event, contract, data, record.timestamp_ms)

    def _contract(self, event: CloudEvent, topic: str | None) -> Contract | None:
        """The event's contract; none when it came on another type's topic, whose access rules are not its
        own.
        """
        return None if topic not in (None, event.type) else self.rules.contracts.by_type.get(event.type)

    def _accept_data(
        self, event: CloudEvent, contract: Contract, data: dict[str, Any], broker_ms: int
    ) -> Said | Rejected:
        """Check what only the meaning of the fields shows: identifiers, states, times (E7)."""
        try:
            statements = _statement(contract, event, data)
            effective_at, until = _validity(contract, event, data)
        except (ValueError, TypeError):
            return _rejected(Rejection.CONTRACT_MISMATCH, event)
        try:
            subject, pairs = self._normalise(contract, data)
        except IdentifierInvalid:
            return _rejected(Rejection.IDENTIFIER_INVALID, event)
        reason = _untimely(event.time, broker_ms, self.rules.limits)
        if reason is not None:
            return _rejected(reason, event)
        return Said(
            subject=subject,
            owner=event.owner,
            type=event.type,
            time=event.time,
            cause=Cause(event.source, event.id, broker_ms, event.extensions.get("traceparent", "")),
            expires=contract.retention.after(event.time),
            effective_at=effective_at,
            until=until,
            item=data[contract.item] if contract.item else "",
            values=tuple(
                (f.attribute, canonical_json(data[f.name], contract.plain_form))
                for f in contract.attributes
                if data[f.name] is not None
            ),
            form=canonical_json(data, contract.plain_form),
            annuls=annulled_by(contract, data),
            pairs=pairs,
            **statements,
        )

    def _normalise(
        self, contract: Contract, data: dict[str, Any]
    ) -> tuple[str, tuple[tuple[StatementKind, str], ...]]:
        """Put canonical values into ``data``; return the subject and what is said of its pairs (I1, I2)."""
        subject = self._identifier(contract.subject, data)
        pairs: list[tuple[StatementKind, str]] = []
        for field in contract.links:
            if data[field.name] is not None:
                pairs.append((ROLE_KINDS[field.role], self._identifier(field, data)))
        if contract.other is not None and data[contract.other.name] is not None:
            kind: StatementKind = "link" if contract.kind is Kind.LINK else "unlink"
            pairs.append((kind, self._identifier(contract.other, data)))
        # A statement about one and the same identifier says nothing.
        return subject, tuple((kind, other) for kind, other in pairs if other != subject)

    def _identifier(self, field: IdentifierField, data: dict[str, Any]) -> str:
        schemes = self.rules.contracts.schemes
        if field.scheme == "*":
            return schemes.parse(data[field.name], field.schemes)
        identifier = schemes.canonical(field.scheme, data[field.name])
        data[field.name] = identifier.partition(":")[2]
        return identifier


def _rejected(reason: Rejection, event: CloudEvent) -> Rejected:
    return Rejected(reason, event.type, event.source, event.id)


def _untimely(time_ms: int, broker_ms: int, limits: Limits) -> Rejection | None:
    if time_ms < limits.earliest_ms:
        return Rejection.TIME_TOO_OLD
    if time_ms > broker_ms + limits.future_ms:
        return Rejection.TIME_IN_FUTURE
    return None


def _validity(contract: Contract, event: CloudEvent, data: Mapping[str, Any]) -> tuple[int, int | None]:
    """When what the event says begins (else its time) and ends (R1); days are London days (§1)."""
    effective, until = (data.get(contract.terms.get(term, "")) for term in ("effective", "until"))
    return (
        event.time if effective is None else beginning(effective),
        None if until is None else ending(until),
    )


def _statement(contract: Contract, event: CloudEvent, data: Mapping[str, Any]) -> dict[str, Any]:
    """What the event states under §5, as the field of :class:`Said` that its kind names; ValueError if it
    cannot.
    """
    if contract.kind not in STATES:
        return {}
    said = {term: data[name] for term, name in contract.terms.items()}
    if said["state"] not in STATES[contract.kind]:
        raise ValueError("state")
    name = (event.time, event.source, event.id)
    match contract.kind:
        case Kind.CONSENT:
            begins, ends = said.get("valid_from"), said.get("valid_until")
            return {
                "consent": Consent(
                    *name,
                    subscriber=said["subscriber"],
                    purpose=said["purpose"],
                    categories=tuple(sorted(set(said["categories"] or ()))),
                    state=said["state"],
                    begins=None if begins is None else beginning(begins),
                    ends=None if ends is None else ending(ends),
                )
            }
        case Kind.OBJECTION:
            return {"objection": Objection(*name, said["subscriber"], said["purpose"], said["state"])}
        case Kind.RESTRICTION:
            return {"restriction": Restriction(*name, event.owner, said["state"])}
        case _:
            return {"enrolment": Enrolment(*name, event.owner, said["agreement"], said["state"])}


def canonical_json(value: Any, plain: bool = False) -> bytes:
    """Return the RFC 8785 form of plain data (R2).

    Sorted compact JSON is that form already where there are only texts, integers, booleans and nulls under
    ASCII names, which ``plain`` asserts; the reference implementation, slower, does the rest.
    """
    return _sorted_json(value) if plain or _is_plain(value) else _reference_form(value)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return True
    if kind is dict:
        return all(key.isascii() and _is_plain(item) for key, item in value.items())
    return kind is list and all(map(_is_plain, value))


def _reference_form(value: Any) -> bytes:
    """RFC 8785, leaf by leaf; an integer beyond 2^53, for which it has no form, keeps all its digits."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        written = (rfc8785.dumps(name) + b":" + _reference_form(item) for name, item in members)
        return b"{" + b",".join(written) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(_reference_form, value)) + b"]"
    if type(value) is int:
        return str(value).encode()
    return rfc8785.dumps(value)


def read_acknowledgement(value: bytes | None, bytes_max: int) -> Acknowledged | None:
    """Read a CloudEvent in JSON whose source is the subscriber and whose data names the obligation."""
    if value is None or len(value) > bytes_max:
        return None
    try:
        event = cloudevent_from_json(msgspec.json.decode(value))
    except (msgspec.DecodeError, NotACloudEvent, RecursionError, UnicodeDecodeError):
        return None
    obligation = event.data.get("obligation") if isinstance(event.data, dict) else None
    if not isinstance(obligation, str) or OBLIGATION_ID.fullmatch(obligation) is None:
        return None
    return Acknowledged(obligation, event.owner, event.time)


def annulled_by(contract: Contract, data: Mapping[str, Any]) -> str | None:
    """The id of the event that this one annuls; a `prior` of other kinds than these says nothing (R3)."""
    if contract.prior is None or contract.kind not in (Kind.FACT, Kind.ANNULMENT):
        return None
    annulled: str | None = data[contract.prior]
    return annulled


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
