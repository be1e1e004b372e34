"""Concern: which agreements a change of a record can show in, so that the others are not asked again (V1).

A subscriber's view is a function of the attributes that its agreement names or asks about, of the consents to
its purpose, and of what concerns everybody: members, protection, objections, enrolments, death, time, rules.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set

from schemas import DEATH, Agreement, Basis

Matter = str | tuple[str, str]
"""What a change is about: an attribute, or a (subscriber, purpose) that is consented or objected to."""


class Concern:
    """Which agreements to ask about a person, in their order."""

    def __init__(self, agreements: Mapping[str, Agreement]) -> None:
        self._places = {name: place for place, name in enumerate(agreements)}
        self._matters = {name: frozenset(_matters(a)) for name, a in agreements.items()}
        self._on_consent: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name, agreement in agreements.items():
            if agreement.basis is Basis.CONSENT:
                self._on_consent[agreement.subscriber, agreement.purpose].append(name)
        self._ends = sorted({end for a in agreements.values() for end in (a.valid_from, a.valid_until)})
        self._always = self._places.keys() - {name for names in self._on_consent.values() for name in names}
        self._only_shown = {name: frozenset(_only_shown(a)) for name, a in agreements.items()}
        self._deciding = {
            name: (self._matters[name] - self._only_shown[name])
            | {(a.subscriber, a.purpose), enrolled_in(name)}
            for name, a in agreements.items()
        }

    def next_end(self, now_ms: int) -> int | None:
        """The next instant at which an agreement comes into force or ends (C5, V8)."""
        place = bisect_right(self._ends, now_ms)
        return self._ends[place] if place < len(self._ends) else None

    def asked(
        self,
        touched: Set[Matter] | None,
        consents: Iterable[tuple[str, str]],
        known: Iterable[Iterable[str]],
    ) -> list[str]:
        """Return the agreements whose view may change when what is ``touched`` does; None is everything.

        ``consents`` are those that anything was said of, ``known`` the agreements that something was sent by.
        """
        # INVARIANT: an agreement on consent has no view where nothing was ever said of that consent (C6).
        found = set(self._always)
        for said in consents:
            found.update(self._on_consent.get(said, ()))
        for names in known:
            found.update(names)
        places, matters = self._places, self._matters
        return sorted(
            [
                name
                for name in found
                if name in places and (touched is None or not matters[name].isdisjoint(touched))
            ],
            key=places.__getitem__,
        )

    def deciding(self, name: str) -> frozenset[Matter]:
        """What an agreement decides by, beside what concerns everybody; not what it only shows."""
        return self._deciding[name]

    def only_shown(self, name: str, touched: Set[Matter]) -> frozenset[str] | None:
        """Return those that an agreement shows of the ``touched``, if it decides by none of them; else None.

        Such a change alters neither who may be seen nor what is permitted, only the values of these.
        """
        shown = self._only_shown[name].intersection(touched)
        return shown if len(shown) == len(self._matters[name].intersection(touched)) else None


def enrolled_in(agreement: str) -> Matter:
    """Name the matter of whom an agreement's subscriber has enrolled (C4)."""
    return ("", agreement)


def _only_shown(agreement: Agreement) -> Iterator[str]:
    deciding = {DEATH, agreement.scope_attribute}
    yield from (grant.attribute for grant in agreement.attributes if grant.attribute not in deciding)


def _matters(agreement: Agreement) -> Iterator[Matter]:
    yield DEATH
    yield from (grant.attribute for grant in agreement.attributes)
    if agreement.scope_attribute is not None:
        yield agreement.scope_attribute
    if agreement.basis is Basis.CONSENT:
        yield (agreement.subscriber, agreement.purpose)
