"""R1 to R7: what is said about a person, folded."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import rfc8785

from tests.model import times
from tests.model.contracts import Rules
from tests.model.identity import Limits, Note, note_if
from tests.model.intake import Event

SAFE_INTEGER = (1 << 53) - 1


@dataclass(frozen=True)
class Assertion:
    """R1, with the content that R2 compares and the end of its retention."""

    source: str
    id: str
    owner: str
    identifier: str
    attribute: str
    item: str | None
    value: Any
    effective_ms: int
    until_ms: int
    asserted_ms: int
    expires_ms: int
    content: bytes

    @property
    def register(self) -> tuple[str, str | None, str, str]:
        return (self.attribute, self.item, self.owner, self.identifier)

    @property
    def rank(self) -> tuple[int, int, str, str, str]:
        """R2, R4 and R5 compare by these; within a register the identifier is the same."""
        return (self.effective_ms, self.asserted_ms, self.source, self.id, self.identifier)


def r1_assertions(event: Event) -> list[Assertion]:
    """Every attribute of a fact that is not null."""
    contract, data = event.contract, event.data
    if contract.kind != "fact":
        return []
    effective, until = event.term("effective"), event.term("until")
    item = contract.field_marked("item")
    return [
        Assertion(
            source=event.source,
            id=event.id,
            owner=event.owner,
            identifier=event.subject,
            attribute=contract.annotations[name]["attribute"],
            item=None if item is None else data[item],
            value=data[name],
            effective_ms=event.time_ms if effective is None else times.beginning(effective),
            until_ms=times.NEVER_MS if until is None else times.end(until),
            asserted_ms=event.time_ms,
            expires_ms=times.after(contract.retention, event.time_ms),
            content=sha256(contract.type.encode() + b"\0" + canonical_json(data)).digest()[:16],
        )
        for name in contract.attribute_fields
        if data[name] is not None
    ]


def canonical_json(value: Any) -> bytes:
    """RFC 8785, but an integer beyond a double's keeps all its digits (the RFC has none such)."""
    if isinstance(value, dict):
        inner = sorted((key.encode("utf-16-be"), key, each) for key, each in value.items())
        return (
            b"{"
            + b",".join(rfc8785.dumps(key) + b":" + canonical_json(each) for _, key, each in inner)
            + b"}"
        )
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical_json, value)) + b"]"
    if type(value) is int and abs(value) > SAFE_INTEGER:
        return str(value).encode()
    return rfc8785.dumps(value)


def r3_annulled(events: Iterable[Event]) -> set[tuple[str, str, str]]:
    """(source, id, subject) of all that an annulment, or a fact with a prior, removes for good."""
    return {
        (event.source, event.prior, event.subject)
        for event in events
        if event.contract.kind in ("annulment", "fact") and event.prior is not None
    }


def r2_registers(
    events: Iterable[Event], annulled: Set[tuple[str, str, str]], at_ms: int, limits: Limits, note: Note
) -> dict[tuple[str, str | None, str, str], list[Assertion]]:
    """What each register keeps at T: not annulled (R3), not expired (R7), one content an event, bounded."""
    registers: dict[tuple[str, str | None, str, str], dict[tuple[str, str], Assertion]] = {}
    for event in events:
        for assertion in r1_assertions(event):
            if (assertion.source, assertion.id, assertion.identifier) in annulled:
                note("R3 assertion annulled")
                continue
            if assertion.expires_ms <= at_ms:
                note("R7 expired")
                continue
            register = registers.setdefault(assertion.register, {})
            known = register.get((assertion.source, assertion.id))
            register[assertion.source, assertion.id] = (
                assertion if known is None else r2_winner(known, assertion, note)
            )
    return {key: r2_bounded(register.values(), at_ms, limits, note) for key, register in registers.items()}


def r2_winner(one: Assertion, other: Assertion, note: Note) -> Assertion:
    """One event with two contents: the one with the greater digest, then with the later time."""
    if one.content != other.content:
        note("R2 two contents")
    elif one.asserted_ms != other.asserted_ms:
        note("R2 two times")
    else:
        note("R2 duplicate")
    return max(one, other, key=lambda each: (each.content, each.asserted_ms))


def r2_bounded(register: Iterable[Assertion], at_ms: int, limits: Limits, note: Note) -> list[Assertion]:
    """What is not yet effective, and the greatest of the rest: so many, and so many bytes of values."""
    register = list(register)
    waiting = [each for each in register if each.effective_ms > at_ms]
    effective = sorted((each for each in register if each.effective_ms <= at_ms), key=lambda each: each.rank)
    kept: list[Assertion] = []
    size_bytes = 0
    for assertion in reversed(effective[-limits.register :]):
        size_bytes += len(canonical_json(assertion.value))
        if kept and size_bytes > limits.register_bytes:
            note("R2 register bounded by bytes")
            break
        kept.append(assertion)
    return waiting + kept


def r4_current(register: Iterable[Assertion], at_ms: int, note: Note) -> Assertion | None:
    """The greatest that is effective, unless it has ended."""
    register = list(register)
    effective = [assertion for assertion in register if assertion.effective_ms <= at_ms]
    note_if(note, len(effective) < len(register), "R4 not yet effective")
    if not effective:
        return None
    greatest = max(effective, key=lambda assertion: assertion.rank)
    note_if(note, greatest.until_ms <= at_ms, "R4 ended")
    note_if(
        note, greatest.until_ms <= at_ms and len(effective) > 1, "R4 ended, an older one does not come back"
    )
    note_if(note, greatest.until_ms == at_ms, "R4 ends at T")
    note_if(note, greatest.effective_ms == at_ms, "R4 begins at T")
    return None if greatest.until_ms <= at_ms else greatest


def r5_golden(
    person: frozenset[str],
    registers: dict[tuple[str, str | None, str, str], list[Assertion]],
    rules: Rules,
    at_ms: int,
    note: Note,
) -> dict[str, dict[str | None, Assertion]]:
    """The golden assertion of every attribute and item of a person."""
    current: dict[tuple[str, str | None], list[Assertion]] = {}
    for (attribute, item, _, identifier), register in registers.items():
        if identifier in person:
            value = r4_current(register, at_ms, note)
            if value is not None:
                current.setdefault((attribute, item), []).append(value)
    golden: dict[str, dict[str | None, Assertion]] = {}
    for (attribute, item), values in current.items():
        trust = rules.attributes[attribute].trust
        golden.setdefault(attribute, {})[item] = max(
            values, key=lambda each: (-_distrust(each, trust), each.rank)
        )
        note_if(note, len({_distrust(each, trust) for each in values}) > 1, "R5 decided by trust")
        note_if(note, len({_distrust(each, trust) for each in values}) < len(values), "R5 decided by time")
        note_if(note, len({each.rank[:4] for each in values}) < len(values), "R5 decided by identifier")
    return golden


def _distrust(assertion: Assertion, trust: tuple[str, ...]) -> int:
    """The owner's place in the order of trust; all that are not listed share the last."""
    return trust.index(assertion.owner) if assertion.owner in trust else len(trust)
