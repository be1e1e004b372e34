"""What an event's fields mean: from a contract's data to what the event says of its subject (R1, I2, §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.canonical_json import canonical_json, sorted_json
from processors.messages import Cause, Consent, Enrolment, Objection, Restriction, Said, StatementKind
from processors.outcomes import Rejection
from processors.register import content_digest
from processors.rules import Limits
from schemas import (
    ANY_SCHEME,
    STATES,
    CloudEvent,
    Contract,
    IdentifierField,
    IdentifierInvalid,
    Kind,
    Role,
    Schemes,
    beginning,
    ending,
)

ROLE_KINDS: Mapping[Role, StatementKind] = {
    Role.SAME_PERSON: "same-person",
    Role.SUPERSEDED_BY: "superseded-by",
}

Data = dict[str, Any]
"""An event's data as plain JSON of its contract."""

Pairs = tuple[tuple[StatementKind, str], ...]


class Meaning:
    """One contract's fields, looked up once for all of its events."""

    def __init__(self, contract: Contract, schemes: Schemes, limits: Limits) -> None:
        self._contract, self._schemes, self._limits = contract, schemes, limits
        self._effective, self._until = contract.terms.get("effective"), contract.terms.get("until")
        self._states = STATES.get(contract.kind)
        self._links = bool(contract.linking)
        self._attributes = tuple((field.name, field.attribute) for field in contract.attributes)
        self._form = sorted_json if contract.plain_form else canonical_json

    def of(self, event: CloudEvent, data: Data, broker_ms: int) -> Said | Rejection:
        """What the event says; else the first reason of E7 that only the meaning of its fields shows."""
        said = data.get
        try:
            statement = {} if self._states is None else self._statement(event, data)
            effective = None if self._effective is None else said(self._effective)
            effective_at = event.time if effective is None else beginning(effective)
            until = None if self._until is None else said(self._until)
            ends = None if until is None else ending(until)
        except (ValueError, TypeError):
            return Rejection.CONTRACT_MISMATCH
        try:
            subject = self._identifier(self._contract.subject, data)
            pairs = self._pairs(subject, data) if self._links else ()
        except IdentifierInvalid:
            return Rejection.IDENTIFIER_INVALID
        if event.time < self._limits.earliest_ms:
            return Rejection.TIME_TOO_OLD
        if event.time > broker_ms + self._limits.future_ms:
            return Rejection.TIME_IN_FUTURE
        form, contract = self._form, self._contract
        return Said(
            subject,
            event.owner,
            event.type,
            event.time,
            Cause(event.source, event.id, broker_ms, event.traceparent),
            contract.retention.after(event.time),
            effective_at,
            ends,
            "" if contract.item is None else data[contract.item],
            tuple([(name, form(data[field])) for field, name in self._attributes if data[field] is not None]),
            annuls=annulled_by(contract, data),
            pairs=pairs,
            content=content_digest(contract.type, form(data)),
            **statement,
        )

    def _pairs(self, subject: str, data: Data) -> Pairs:
        """What is said of the subject's pairs (I2); of one and the same identifier it says nothing."""
        contract = self._contract
        pairs: list[tuple[StatementKind, str]] = []
        for field in contract.links:
            if data[field.name] is not None:
                pairs.append((ROLE_KINDS[field.role], self._identifier(field, data)))
        if contract.other is not None and data[contract.other.name] is not None:
            kind: StatementKind = "link" if contract.kind is Kind.LINK else "unlink"
            pairs.append((kind, self._identifier(contract.other, data)))
        return tuple((kind, other) for kind, other in pairs if other != subject)

    def _identifier(self, field: IdentifierField, data: Data) -> str:
        """The identifier in a field, whose value in ``data`` becomes the canonical one (I1)."""
        identifier = field.canonical(data[field.name], self._schemes)
        if field.scheme != ANY_SCHEME:
            data[field.name] = identifier.partition(":")[2]
        return identifier

    def _statement(self, event: CloudEvent, data: Data) -> dict[str, Any]:
        """What it states under §5, as the field of :class:`Said` that its kind names; ValueError."""
        contract = self._contract
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


def annulled_by(contract: Contract, data: Mapping[str, Any]) -> str | None:
    """The id of the event that this one annuls; a `prior` of other kinds than these says nothing (R3)."""
    if contract.prior is None or contract.kind not in (Kind.FACT, Kind.ANNULMENT):
        return None
    annulled: str | None = data[contract.prior]
    return annulled
