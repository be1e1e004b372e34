"""The unified record at one moment: the fragments of one person, folded (R4-R6, I6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from processors.fragment import enrolment_key, latest, objection_key
from processors.messages import (
    Consent,
    Enrolment,
    Entry,
    Message,
    Objection,
    entries_of,
    register_parts,
)
from processors.register import current, standing
from schemas import Attribute


class PersonFragment(Message):
    """One fragment as its person's record holds it, with the move that brought it (I6)."""

    identifier: str
    move: int
    members: tuple[str, ...]
    superseded: tuple[str, ...] = ()
    restricted: bool = False
    registers: dict[str, msgspec.Raw] = {}
    """Encoded entries, by the register's name."""
    consents: tuple[Consent, ...] = ()
    objections: tuple[Objection, ...] = ()
    enrolments: tuple[Enrolment, ...] = ()
    overfull: bool = False


class Golden(NamedTuple):
    """A golden value with its lineage (R5)."""

    entry: Entry
    owner: str
    identifier: str


class GoldenValues(Mapping[str, Mapping[str, Golden]]):
    """The golden values (R5), by attribute, then by item (the empty text where it does not repeat).

    Folded when first asked for: of most changes it turns out before that nobody may see them.
    """

    __slots__ = ("_folded", "_said")

    def __init__(
        self, fragments: Iterable[PersonFragment], attributes: Mapping[str, Attribute], now_ms: int
    ) -> None:
        self._said = (fragments, attributes, now_ms)
        self._folded: dict[str, dict[str, Golden]] | None = None

    def _values(self) -> dict[str, dict[str, Golden]]:
        if self._folded is None:
            self._folded = _golden(*self._said)
        return self._folded

    def __getitem__(self, attribute: str) -> Mapping[str, Golden]:
        """Return an attribute's values by item."""
        return self._values()[attribute]

    def get(self, attribute: str, default: Any = None) -> Any:
        """Return an attribute's values by item, or the default; most are unknown, so without an exception."""
        return self._values().get(attribute, default)

    def __iter__(self) -> Iterator[str]:
        """Walk the attributes that have a value."""
        return iter(self._values())

    def __len__(self) -> int:
        """Return how many attributes have a value."""
        return len(self._values())


class Citizen(NamedTuple):
    """All that the decision asks of one person at one moment."""

    identifiers: frozenset[str]
    superseded: frozenset[str]
    restricted: bool
    complete: bool
    golden: Mapping[str, Mapping[str, Golden]]
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
    superseded: set[str] = set()
    restricted = overfull = False
    for fragment in fragments.values():
        superseded.update(fragment.superseded)
        # INVARIANT: one fragment that says protected protects all; all must say otherwise to end it (C3).
        restricted = restricted or fragment.restricted
        # INVARIANT: what could not be remembered may be a withdrawal of anything: nothing is shared (R8).
        overfull = overfull or fragment.overfull
        for consent in fragment.consents:
            consents[consent.subscriber, consent.purpose].append(consent)
        for objection in fragment.objections:
            latest(objections, objection_key(objection), objection)
        for enrolment in fragment.enrolments:
            latest(enrolments, enrolment_key(enrolment), enrolment)
    return Citizen(
        identifiers=frozenset(fragments),
        superseded=frozenset(superseded),
        restricted=restricted,
        complete=is_complete(fragments),
        golden=GoldenValues(fragments.values(), attributes, now_ms),
        consents=consents,
        objections=objections,
        enrolments=enrolments,
        overfull=overfull,
    )


def _golden(
    fragments: Iterable[PersonFragment], attributes: Mapping[str, Attribute], now_ms: int
) -> dict[str, dict[str, Golden]]:
    """The golden value of each attribute and item (R5)."""
    best: dict[str, dict[str, Golden]] = {}
    for fragment in fragments:
        for key, register in fragment.registers.items():
            entry = current(entries_of(register), now_ms)
            if entry is None:
                continue
            name, owner, item = register_parts(key)
            attribute = attributes.get(name)
            if attribute is None:
                continue
            candidate = Golden(entry, owner, fragment.identifier)
            items = best.get(name)
            if items is None:
                best[name] = {item: candidate}
                continue
            held, trust = items.get(item), attribute.trust
            if held is None or _trusted(candidate, trust) > _trusted(held, trust):
                items[item] = candidate
    return best


def _trusted(golden: Golden, trust: tuple[str, ...]) -> tuple[int, tuple[int, int, str, str], str]:
    """The order among current values: the owner's place, then the latest, then the identifier (R5)."""
    place = trust.index(golden.owner) if golden.owner in trust else len(trust)
    return (-place, standing(golden.entry), golden.identifier)


def next_moment(fragments: Iterable[PersonFragment], now_ms: int) -> int | None:
    """The next instant at which time alone may change the record or its consents (V8)."""
    moments: list[int] = []
    for fragment in fragments:
        for register in fragment.registers.values():
            moments += moments_of(entries_of(register), now_ms)
        moments += consents_moments(fragment.consents, now_ms)
    return min(moments, default=None)


def moments_of(register: Iterable[Entry], now_ms: int) -> list[int]:
    """The instants after ``now_ms`` at which a register's value may change by itself (R4, R7)."""
    moments = []
    for entry in register:
        if entry.effective_at > now_ms:
            moments.append(entry.effective_at)
        if entry.expires > now_ms:
            moments.append(entry.expires)
        if entry.until is not None and entry.until > now_ms:
            moments.append(entry.until)
    return moments


def consents_moments(consents: Iterable[Consent], now_ms: int) -> list[int]:
    """The instants after ``now_ms`` at which consents begin or end (C1)."""
    moments = []
    for consent in consents:
        if consent.time > now_ms:
            moments.append(consent.time)
        if consent.begins is not None and consent.begins > now_ms:
            moments.append(consent.begins)
        if consent.ends is not None and consent.ends > now_ms:
            moments.append(consent.ends)
    return moments
