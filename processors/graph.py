"""How the edges of one component make persons (I3), and which identifier names a person (I4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from processors.outcomes import Dispute
from processors.pairs import Edge, Supersession
from processors.rules import Limits
from schemas import Schemes, scheme_of


class Formed(NamedTuple):
    """The persons of a component, its superseded identifiers, and the edges that join nothing."""

    persons: list[frozenset[str]]
    superseded: frozenset[str]
    skipped: list[tuple[Edge, Dispute]]


def form_persons(
    members: Iterable[str],
    edges: Iterable[Edge],
    unlinked: Mapping[str, Set[str]],
    schemes: Schemes,
    limits: Limits,
) -> Formed:
    """Add a component's edges one by one in their order, skipping those that would join wrongly (I3).

    ``unlinked`` names, for a member, the identifiers that it must not share a person with. The result is a
    function of the sets given, whatever their order.
    """
    edges = sorted(edges, key=lambda e: (not e.explicit, *e.order, e.a, e.b))
    superseded = superseded_values(s for edge in edges for s in edge.supersessions)
    person_of: dict[str, set[str]] = {member: {member} for member in members}
    skipped: list[tuple[Edge, Dispute]] = []
    for edge in edges:
        left, right = person_of[edge.a], person_of[edge.b]
        if left is right:
            continue
        reason = _why_not(left, right, unlinked, superseded, schemes, limits)
        if reason is not None:
            skipped.append((edge, reason))
            continue
        left |= right
        for member in right:
            person_of[member] = left
    persons = {id(group): frozenset(group) for group in person_of.values()}
    return Formed(list(persons.values()), superseded, skipped)


def _why_not(
    left: set[str],
    right: set[str],
    unlinked: Mapping[str, Set[str]],
    superseded: frozenset[str],
    schemes: Schemes,
    limits: Limits,
) -> Dispute | None:
    """The first reason of I3 for which two groups must not become one person, or None."""
    smaller, larger = (left, right) if len(left) <= len(right) else (right, left)
    if any(not larger.isdisjoint(unlinked.get(member, ())) for member in smaller):
        return Dispute.UNLINKED
    live = [scheme_of(m) for m in (*left, *right) if m not in superseded]
    exclusive = [scheme for scheme in live if scheme in schemes.exclusive]
    if len(exclusive) != len(set(exclusive)):
        return Dispute.EXCLUSIVE_SCHEME
    if len(left) + len(right) > limits.person_identifiers:
        return Dispute.OVERSIZED
    return None


def superseded_values(supersessions: Iterable[Supersession]) -> frozenset[str]:
    """The identifiers that were replaced, the earliest statements first, ignoring what closes a circle
    (I3).
    """
    replaced_by: dict[str, set[str]] = defaultdict(set)
    for supersession in sorted(supersessions):
        if not _leads_to(replaced_by, supersession.new, supersession.old):
            replaced_by[supersession.old].add(supersession.new)
    return frozenset(replaced_by)


def _leads_to(replaced_by: Mapping[str, set[str]], start: str, goal: str) -> bool:
    """Whether following replacements from ``start`` comes to ``goal``."""
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        if here == goal:
            return True
        for there in replaced_by.get(here, ()):
            if there not in seen:
                seen.add(there)
                waiting.append(there)
    return False


def anchor(members: Iterable[str], superseded: frozenset[str], schemes: Schemes) -> str:
    """The member that names the person: the first scheme, not superseded, the smallest (I4)."""
    return min(members, key=lambda m: (schemes.rank(scheme_of(m)), m in superseded, m))
