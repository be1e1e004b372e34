"""Whether a statement of §5 names what agreements know: a withdrawal with a typing error withdraws nothing.

Such an event is accepted all the same (E7), because the agreement may come later. Whoever publishes is told,
in words that hold no value of the event: only names that agreements have are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .agreement import Agreement
from .catalogue import Contracts
from .contract import Contract, Kind
from .problem import few_of, near_hint

ANY = "*"
NAMING = frozenset({Kind.CONSENT, Kind.OBJECTION, Kind.ENROLMENT})
"""The kinds that name an agreement, or its subscriber and purpose."""


class Unknown(NamedTuple):
    """One name in a statement that no agreement knows: which term, and what to say of it."""

    term: str
    problem: str


class Warned(NamedTuple):
    """What whoever publishes is told of an event that is accepted: where, and what is odd there."""

    path: str
    problem: str


class Addressees:
    """What the agreements in force can be named by."""

    def __init__(self, agreements: Mapping[str, Agreement], contracts: Contracts) -> None:
        self._agreements = frozenset(agreements)
        self._pairs = frozenset((each.subscriber, each.purpose) for each in agreements.values())
        self._subscribers = frozenset(subscriber for subscriber, _ in self._pairs)
        names = {grant.attribute for each in agreements.values() for grant in each.attributes}
        known = (contracts.attributes.get(name) for name in names)
        self._categories = frozenset(each.category for each in known if each is not None)

    def unknown(self, kind: Kind, said: Mapping[str, object]) -> Iterator[Unknown]:
        """Every name among the terms of a statement that no agreement knows; none where there are none.

        Without a single agreement nothing can be said: a department may have contracts only.
        """
        if not self._agreements or kind not in NAMING:
            return
        if kind is Kind.ENROLMENT:
            yield from _unknown("agreement", said.get("agreement"), self._agreements, "")
            return
        subscriber = said.get("subscriber")
        theirs = frozenset(purpose for owner, purpose in self._pairs if subscriber in (ANY, owner))
        yield from _unknown("subscriber", subscriber, self._subscribers)
        whose = " of this subscriber" if theirs else ""
        purposes = theirs or frozenset(purpose for _, purpose in self._pairs)
        yield from _unknown("purpose", said.get("purpose"), purposes, whose)
        categories = said.get("categories")
        for category in categories if isinstance(categories, list | tuple) else ():
            yield from _unknown("category", category, self._categories)

    def warnings(self, contract: Contract, plain: Mapping[str, object]) -> tuple[Warned, ...]:
        """What to tell whoever publishes plain data of a contract, by JSON path."""
        if contract.kind not in NAMING:
            return ()
        said = {term: plain.get(field) for term, field in contract.terms.items()}
        found = []
        for term, problem in self.unknown(contract.kind, said):
            field = contract.terms["categories" if term == "category" else term]
            found.append(Warned(f"$.data.{field}", problem))
        return tuple(dict.fromkeys(found))


def _unknown(term: str, name: object, known: frozenset[str], whose: str = "") -> Iterator[Unknown]:
    if name == ANY or name in known:
        return
    near = near_hint(name, known) or few_of(known)
    yield Unknown(term, f"no agreement{whose} knows this {term}, so it does nothing yet{near}")
