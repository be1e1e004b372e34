"""Pairs and persons: which pair is an edge, and which edges make a person (I2, I3, I4)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from processors.graph import Formed, anchor, form_persons, superseded_values
from processors.messages import PairStatement
from processors.outcomes import Dispute
from processors.pairs import Edge, Pair, Supersession, exposed, judge
from processors.rules import Limits
from schemas import load_contracts
from tests.nasty.generate import CASES

SCHEMES = load_contracts(CASES / "contracts").schemes
A, B = "nhs:1", "nino:1"


def stated(kind: Any, time: int, id: str = "e", source: str = "s") -> PairStatement:  # noqa: A002
    """One statement."""
    return PairStatement(time, source, id, kind)


def judged(*statements: PairStatement) -> Pair:
    """What A's statements make of the pair, which is the same in every order and from either side."""
    pairs = {
        judge(A, B, order[:cut], order[cut:])[:2] for order in permutations(statements) for cut in (0, 1)
    }
    relations = {(edge and edge[:4], unlinked) for edge, unlinked in pairs}
    assert len(relations) == 1
    return judge(A, B, statements, ())


def test_nothing_said_is_no_edge() -> None:
    """I2: what is annulled is no longer among the statements, and then there is nothing."""
    assert judged() == Pair(None, unlinked=False, contested=False)


def test_an_edge_bears_the_name_of_the_earliest_statement() -> None:
    """I2: by (time, source, id)."""
    early, late = stated("same-person", 1, "z"), stated("same-person", 1, "z", source="t")
    edge = judged(late, early, stated("same-person", 2, "a")).edge
    assert edge is not None
    assert edge.order == (1, "s", "z")
    assert not edge.explicit


def test_a_link_makes_an_edge_explicit() -> None:
    """I2: whenever a link counts, even if it is not the earliest."""
    edge = judged(stated("same-person", 1), stated("link", 5, "l")).edge
    assert edge is not None
    assert edge.explicit
    assert edge.order[0] == 1


@pytest.mark.parametrize("kind", ["same-person", "superseded-by"])
def test_no_field_undoes_an_unlink(kind: str) -> None:
    """I2: a same-person or superseded-by field never does, however late."""
    assert judged(stated("unlink", 1), stated(kind, 9)).unlinked


def test_only_a_later_link_undoes_an_unlink() -> None:
    """I2: at equal times unlinked."""
    assert judged(stated("unlink", 5), stated("link", 5, "l")).unlinked
    assert judged(stated("unlink", 5), stated("link", 4, "l")).unlinked
    again = judged(stated("unlink", 5), stated("link", 6, "l"))
    assert again.edge is not None
    assert not again.unlinked
    assert again.contested


def test_after_an_unlink_only_what_is_not_earlier_than_the_first_later_link_counts() -> None:
    """I2: the first link after the latest unlink; a statement at its very time counts too."""
    unlinks = (stated("unlink", 3, "u"), stated("unlink", 5, "v"))
    before = (stated("same-person", 1), stated("link", 4, "l"), stated("same-person", 6, "x"))
    edge = judge(A, B, (*unlinks, *before, stated("link", 7, "m"), stated("link", 9, "n")), ()).edge
    assert edge is not None
    assert edge.order == (7, "s", "m")
    at_once = judge(A, B, (*unlinks, stated("link", 7, "m")), (stated("same-person", 7, "a"),)).edge
    assert at_once is not None
    assert at_once.order == (7, "s", "a")


def test_a_supersession_has_a_direction_and_is_the_earliest_that_counts() -> None:
    """I3: per direction the earliest."""
    said_by_a = (stated("superseded-by", 3, "y"), stated("superseded-by", 2, "x"))
    edge = judge(A, B, said_by_a, (stated("superseded-by", 1, "w"),)).edge
    assert edge is not None
    assert edge.supersessions == (Supersession(2, "s", "x", A, B), Supersession(1, "s", "w", B, A))


def test_repetitions_are_not_told_until_an_unlink_is_known() -> None:
    """§7: the earliest of each kind and every link; all of it once the pair is contested."""
    links = (stated("link", 5, "l"), stated("link", 6, "m"))
    repeated = (stated("same-person", 1), stated("same-person", 2, "f"), stated("superseded-by", 3))
    told = exposed((*repeated, *links), contested=False)
    assert set(told) == {repeated[0], repeated[2], *links}
    assert set(exposed((*repeated, *links), contested=True)) == {*repeated, *links}
    assert set(exposed((*repeated, stated("unlink", 9)), contested=False)) == {*repeated, stated("unlink", 9)}


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
