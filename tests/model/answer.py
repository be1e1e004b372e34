"""§8's `replay`, answered from the whole set of events at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.model.contracts import Rules, read_rules
from tests.model.identity import Identity, Limits, i2_statements, i3_identity
from tests.model.intake import Event, RejectedError, e7_event
from tests.model.record import r2_registers, r3_annulled, r5_golden
from tests.model.sharing import (
    Decision,
    Person,
    c3_restricted,
    c3_restricted_identifiers,
    c6_decision,
    c7_view,
    c8_key,
)

SECTION_5 = ("consent", "objection", "restriction", "enrolment")


@dataclass
class Answer:
    """What `replay` prints, the decisions behind it, and which corners of the rules were met."""

    output: dict[str, Any]
    decisions: dict[tuple[str, tuple[str, ...]], Decision] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)


def replay(
    lines: Iterable[bytes],
    *,
    contracts: Path,
    agreements: Path,
    secret: bytes,
    at_ms: int,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """The output of `postroom replay` (§8)."""
    return answer(lines, read_rules(contracts, agreements), secret, at_ms, limits or Limits()).output


def answer(lines: Iterable[bytes], rules: Rules, secret: bytes, at_ms: int, limits: Limits) -> Answer:
    """As `replay`, with reasons."""
    met: Counter[str] = Counter()

    def note(what: str) -> None:
        met[what] += 1

    events, rejected = accepted(lines, rules, at_ms)
    for _, reason in rejected:
        note(f"E7 {reason}")
    for event in events:
        note(f"kind {event.contract.kind}")
    annulled = r3_annulled(events)
    _note_annulments(events, annulled, note)
    identity = identity_of(events, annulled, rules, limits, note)
    registers = r2_registers(events, annulled, at_ms, limits, note)
    restricted = c3_restricted_identifiers(events)

    found = Answer({}, met=met)
    views: dict[str, dict[str, Any]] = {name: {} for name in rules.agreements}
    for members in identity.persons:
        person = Person(
            members=members,
            identity=identity,
            golden=r5_golden(members, registers, rules, at_ms, note),
            said=tuple(
                each for each in events if each.contract.kind in SECTION_5 and each.subject in members
            ),
            restricted=c3_restricted(members, identity, restricted, note),
        )
        for name, agreement in rules.agreements.items():
            decision = c6_decision(person, agreement, rules, at_ms, note)
            found.decisions[name, tuple(sorted(members))] = decision
            note(f"C6 {decision.reason or 'decided by attribute'}")
            for reason in decision.attributes.values() if agreement.basis == "consent" else ():
                note(f"C6 attribute {reason}")
            view = c7_view(person, agreement, decision, rules)
            if view is not None:
                note("C7 view")
                views[name][c8_key(person, agreement, rules, secret)] = view
    found.output = {
        "views": {name: dict(sorted(of_one.items())) for name, of_one in views.items()},
        "persons": sorted(sorted(members) for members in identity.persons),
        "disputed": sorted([*pair, reason] for pair, reason in identity.disputed.items()),
        "rejected": [[line, reason] for line, reason in rejected],
    }
    return found


def accepted(lines: Iterable[bytes], rules: Rules, at_ms: int) -> tuple[list[Event], list[tuple[int, str]]]:
    """The events, and the lines that are none (counted from 1) with their reasons."""
    events: list[Event] = []
    rejected: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            events.append(e7_event(line.rstrip(b"\r\n"), rules, at_ms))
        except RejectedError as reason:
            rejected.append((number, str(reason)))
    return events, rejected


def identity_of(
    events: Sequence[Event], annulled: set[tuple[str, str, str]], rules: Rules, limits: Limits, note: Any
) -> Identity:
    """Persons of all identifiers that any accepted event names."""
    identifiers = {identifier for event in events for identifier in event.identifiers.values()}
    return i3_identity(identifiers, i2_statements(events, annulled), rules.schemes, limits, note)


def _note_annulments(events: Sequence[Event], annulled: set[tuple[str, str, str]], note: Any) -> None:
    """For the count of what was met only."""
    named = {(event.source, event.id, event.subject) for event in events}
    for event in events:
        if (event.source, event.id, event.subject) in annulled:
            note(f"R3 annulled {event.contract.kind}")
            if event.prior is not None:
                note("R3 a correction annulled")
    for each in annulled - named:
        note("R3 found nothing")
        if any((each[0], each[1]) == (event.source, event.id) for event in events):
            note("R3 another subject")
        elif any(each[1:] == (event.id, event.subject) for event in events):
            note("R3 another source")
