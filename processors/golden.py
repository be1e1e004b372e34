"""The unified record at one moment: the fragments of one person, folded (R4-R6, I6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from processors.fragment import enrolment_key, latest, objection_key
from processors.messages import Consent, Enrolment, Entry, Message, Objection, register_parts
from processors.register import current, standing
from schemas import Attribute


class PersonFragment(Message):
    """One fragment as its person's record holds it, with the move that brought it (I6)."""

    identifier: str
    move: int
    members: tuple[str, ...]
    superseded: tuple[str, ...] = ()
    restricted: bool = False
    registers: dict[str, tuple[Entry, ...]] = {}
    consents: tuple[Consent, ...] = ()
    objections: tuple[Objection, ...] = ()
    enrolments: tuple[Enrolment, ...] = ()
    overfull: bool = False


class Golden(NamedTuple):
    """A golden value with its lineage (R5)."""

    entry: Entry
    owner: str
    identifier: str


class Citizen(NamedTuple):
    """All that the decision asks of one person at one moment."""

    identifiers: frozenset[str]
    superseded: frozenset[str]
    restricted: bool
    complete: bool
    golden: Mapping[str, Mapping[str, Golden]]
    """By attribute, then by item (the empty text where it does not repeat)."""
    consents: Mapping[tuple[str, str], list[Consent]]
    """By (subscriber, purpose)."""
    objections: Mapping[str, Objection]
    enrolments: Mapping[str, Enrolment]
    overfull: bool
    """More was taken away than could be remembered (R8)."""


def is_complete(fragments: Mapping[str, PersonFragment]) -> bool:
    """Whether all fragments name the same members and those are exactly the fragments (I6)."""
    if len(fragments) == 1:
        ((identifier, alone),) = fragments.items()
        return alone.members == (identifier,)
    present = tuple(sorted(fragments))
    return bool(present) and all(fragment.members == present for fragment in fragments.values())


def fold(
    fragments: Mapping[str, PersonFragment], attributes: Mapping[str, Attribute], now_ms: int
) -> Citizen:
    """Fold a person's fragments at ``now_ms``; the order of the fragments changes nothing (R6)."""
    consents: dict[tuple[str, str], list[Consent]] = defaultdict(list)
    objections: dict[str, Objection] = {}
    enrolments: dict[str, Enrolment] = {}
    for fragment in fragments.values():
        for consent in fragment.consents:
            consents[consent.subscriber, consent.purpose].append(consent)
        for objection in fragment.objections:
            latest(objections, objection_key(objection), objection)
        for enrolment in fragment.enrolments:
            latest(enrolments, enrolment_key(enrolment), enrolment)
    return Citizen(
        identifiers=frozenset(fragments),
        superseded=frozenset(s for fragment in fragments.values() for s in fragment.superseded),
        # INVARIANT: one fragment that says protected protects all; all must say otherwise to end it (C3).
        restricted=any(fragment.restricted for fragment in fragments.values()),
        complete=is_complete(fragments),
        golden=_golden(fragments.values(), attributes, now_ms),
        consents=consents,
        objections=objections,
        enrolments=enrolments,
        # INVARIANT: what could not be remembered may be a withdrawal of anything: nothing is shared (R8).
        overfull=any(fragment.overfull for fragment in fragments.values()),
    )


def _golden(
    fragments: Iterable[PersonFragment], attributes: Mapping[str, Attribute], now_ms: int
) -> dict[str, dict[str, Golden]]:
    """The golden value of each attribute and item (R5)."""
    best: dict[str, dict[str, Golden]] = {}
    for fragment in fragments:
        for key, register in fragment.registers.items():
            entry = current(register, now_ms)
            if entry is None:
                continue
            name, owner, item = register_parts(key)
            if name not in attributes:
                continue
            trust = attributes[name].trust
            candidate = Golden(entry, owner, fragment.identifier)
            items = best.setdefault(name, {})
            held = items.get(item)
            if held is None or _trusted(candidate, trust) > _trusted(held, trust):
                items[item] = candidate
    return best


def _trusted(golden: Golden, trust: tuple[str, ...]) -> tuple[int, tuple[int, int, str, str], str]:
    """The order among current values: the owner's place, then the latest, then the identifier (R5)."""
    place = trust.index(golden.owner) if golden.owner in trust else len(trust)
    return (-place, standing(golden.entry), golden.identifier)


def next_moment(fragments: Iterable[PersonFragment], now_ms: int) -> int | None:
    """The next instant at which time alone may change the record or its consents (V8)."""
    moments: list[int | None] = []
    for fragment in fragments:
        for register in fragment.registers.values():
            for entry in register:
                moments += (entry.effective_at, entry.expires, entry.until)
        for consent in fragment.consents:
            moments += (consent.time, consent.begins, consent.ends)
    return min([moment for moment in moments if moment is not None and moment > now_ms], default=None)
