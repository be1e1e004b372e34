"""Persons of a component: which edges join, which are skipped and why, and who names a person (I3, I4)."""

from __future__ import annotations

from itertools import permutations

from processors.graph import Formed, anchor, form_persons, superseded_values
from processors.outcomes import Dispute
from processors.pairs import Edge, Supersession
from processors.rules import Limits
from schemas import load_contracts
from tests.nasty.generate import CASES

SCHEMES = load_contracts(CASES / "contracts").schemes


def edge(a: str, b: str, time: int, explicit: bool = False, old: str = "") -> Edge:
    """An edge; ``old`` is the side that was superseded."""
    one, other = sorted((a, b))
    said = (Supersession(time, "s", "e", old, one if old == other else other),) if old else ()
    return Edge(one, other, (time, "s", "e"), explicit, said)


def formed(*edges: Edge, unlinked: tuple[tuple[str, str], ...] = (), limit: int = 32) -> Formed:
    """The persons of these edges."""
    members = {side for each in edges for side in (each.a, each.b)}
    forbidden = {m: frozenset(o for pair in unlinked if m in pair for o in pair if o != m) for m in members}
    limits = Limits(person_identifiers=limit)
    found = [form_persons(members, order, forbidden, SCHEMES, limits) for order in permutations(edges)]
    assert len({frozenset(each.persons) for each in found}) == 1
    return found[0]


def reasons(found: Formed) -> dict[tuple[str, str], Dispute]:
    """Why which edge was skipped."""
    return {(each.a, each.b): reason for each, reason in found.skipped}


def test_explicit_edges_come_first_then_the_earliest() -> None:
    """I3: so the later of two that exclude each other is disputed, unless it is explicit."""
    nhs, one, other = "nhs:1", "nino:1", "nino:2"
    assert reasons(formed(edge(nhs, one, 1), edge(nhs, other, 2))) == {(nhs, other): Dispute.EXCLUSIVE_SCHEME}
    explicit = formed(edge(nhs, one, 1), edge(nhs, other, 2, explicit=True))
    assert reasons(explicit) == {(nhs, one): Dispute.EXCLUSIVE_SCHEME}


def test_two_of_a_scheme_that_is_not_exclusive_are_one_person() -> None:
    """I1, I3: passports change, and a person may have several accounts."""
    assert not formed(edge("nhs:1", "passport:1", 1), edge("nhs:1", "passport:2", 2)).skipped


def test_a_superseded_value_may_stand_beside_its_successor() -> None:
    """I3: known from the start, whichever edge comes first."""
    found = formed(edge("nhs:1", "nino:1", 1), edge("nino:1", "nino:2", 2, old="nino:1"))
    assert not found.skipped
    assert found.superseded == {"nino:1"}


def test_no_person_has_both_sides_of_an_unlinked_pair() -> None:
    """I3: the first reason that applies, before the exclusive scheme and the size."""
    edges = (edge("nhs:1", "nino:1", 1), edge("nhs:1", "nino:2", 2))
    assert reasons(formed(*edges, unlinked=(("nino:1", "nino:2"),), limit=2)) == {
        ("nhs:1", "nino:2"): Dispute.UNLINKED
    }


def test_a_person_of_exactly_the_limit_stands_and_one_more_is_oversized() -> None:
    """I3: more than so many identifiers."""
    edges = (edge("nhs:1", "passport:1", 1), edge("nhs:1", "passport:2", 2))
    assert not formed(*edges, limit=3).skipped
    assert reasons(formed(*edges, limit=2)) == {("nhs:1", "passport:2"): Dispute.OVERSIZED}


def test_an_edge_within_a_person_is_not_disputed() -> None:
    """I3: it joins what is joined already."""
    edges = (
        edge("nhs:1", "passport:1", 1),
        edge("nhs:1", "passport:2", 2),
        edge("passport:1", "passport:2", 3),
    )
    assert not formed(*edges, limit=3).skipped


def test_the_supersession_that_closes_a_circle_is_ignored() -> None:
    """I3: the earliest stand."""
    circle = [Supersession(n, "s", "e", f"nino:{n}", f"nino:{n % 3 + 1}") for n in (1, 2, 3)]
    for order in permutations(circle):
        assert superseded_values(order) == {"nino:1", "nino:2"}


def test_the_anchor_is_of_the_first_scheme_then_live_then_smallest() -> None:
    """I4: a superseded NINO stands before a live NHS number; declared schemes stand last."""
    assert anchor(["nhs:1", "nino:2", "nino:1"], frozenset(), SCHEMES) == "nino:1"
    assert anchor(["nhs:1", "nino:2", "nino:1"], frozenset({"nino:1"}), SCHEMES) == "nino:2"
    assert anchor(["nhs:1", "nino:1"], frozenset({"nino:1"}), SCHEMES) == "nino:1"
    assert anchor(["ctax:1", "onelogin:x"], frozenset(), SCHEMES) == "onelogin:x"
