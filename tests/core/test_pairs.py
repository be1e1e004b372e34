"""Pairs: which is an edge, by which statement, and what persons must be told of it (I2, §7)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from processors.messages import PairStatement
from processors.pairs import Pair, Supersession, exposed, judge

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


def test_after_an_unlink_a_supersession_counts_only_if_the_link_was_not_later() -> None:
    """I2, I3: what was said before the link that undid the unlink does not come back with it."""
    unlink, link = stated("unlink", 5_000), stated("link", 7_000, "l")
    replaced = [stated("superseded-by", time) for time in (4_000, 6_999, 7_000, 8_000)]
    edge = judge(A, B, (unlink, link, *replaced), ()).edge
    assert edge is not None
    assert edge.supersessions == (Supersession(7_000, "s", "e", A, B),)
    later = judge(A, B, (unlink, link, *replaced[:2], replaced[3]), ()).edge
    assert later is not None
    assert later.supersessions == (Supersession(8_000, "s", "e", A, B),)


def test_both_sides_of_an_unlinked_pair_must_tell_all_they_said() -> None:
    """§7: contested while unlinked and after, so that what counts after a later link is known by then."""
    assert judged(stated("unlink", 5)).contested
    assert judged(stated("unlink", 5), stated("link", 6)).contested
    assert not judged(stated("link", 6)).contested


def test_repetitions_are_not_told() -> None:
    """§7: every link, and of each other kind the earliest, whichever kind came first; each once."""
    links = (stated("link", 0, "l"), stated("link", 5, "m"))
    replaced = (stated("superseded-by", 1), stated("superseded-by", 2))
    same = (stated("same-person", 3), stated("same-person", 4))
    told = (links[0], replaced[0], same[0], links[1])
    assert exposed((*same, *links, *replaced), contested=False) == told
    assert exposed((*reversed(replaced), *reversed(links), *reversed(same)), contested=False) == told
    assert exposed(same, contested=False) == same[:1]


def test_all_is_told_once_an_unlink_is_known() -> None:
    """§7: whether this side stated it or persons said so; what counts then need not be the earliest."""
    repeated = (stated("same-person", 1), stated("same-person", 2, "f"))
    assert exposed(repeated, contested=True) == repeated
    assert exposed((stated("unlink", 9), *repeated), contested=False) == (*repeated, stated("unlink", 9))
