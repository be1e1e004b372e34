"""Persons at an identifier that a crowd hangs at: an obvious recomputation's answers, at no crowd's cost.

A form that writes a placeholder for every number it does not know makes a hub of a hundred thousand edges.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from processors.messages import Cause, encode
from processors.node import (
    Answer,
    Node,
    is_page,
    page_key,
    page_of,
    parent_of,
)
from tests.crowd_kit import CROWD, HUB, World, lived
from tests.persons_kit import SOURCE, Graph, claims, linked, same


def asking(examples: int) -> settings:
    """As many examples as a quick test affords; slow ones are not a fault, and a seed cannot be shrunk."""
    return settings(
        max_examples=examples,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@asking(100)
@given(st.integers(0, 1 << 30))
def test_what_is_kept_is_what_a_recomputation_finds_whatever_was_said(seed: int) -> None:
    """I3, I5, C3: edges, counts, pages, answers and disputes, after any claims in any batches."""
    lived(seed)


@asking(100)
@given(st.integers(0, 1 << 30))
def test_nodes_of_yesterday_count_their_edges_when_they_are_touched(seed: int) -> None:
    """I3, C3: any of them, at any time, beside nodes of today; nothing is told or published again."""
    lived(seed, ageing=0.5)


# What it costs: states read and written, which do not depend on the machine.


def crowded(number: int, **limits: int) -> Graph:
    """A number that so many accounts have, as one sloppy form makes it."""
    return Graph(*(same(f"ctax:{n}", HUB, n) for n in range(number)), **limits)


def size_written(graph: Graph, before: dict[bytes, bytes]) -> int:
    """How many bytes of state the last step changed."""
    return sum(len(body) for key, body in graph.bodies.items() if before.get(key) != body)


@pytest.mark.parametrize("number", [100, 3_000])
def test_a_newcomer_at_a_hub_costs_the_same_however_many_there_are(number: int) -> None:
    """§7, V7: itself, the hub and a page are read; only it is told; the dispute is published once."""
    graph = crowded(number)
    for n in range(number, number + 130):
        before = dict(graph.bodies)
        told = graph.once(same(f"ctax:{n}", HUB, n))
        assert told.keys() == {f"ctax:{n}"}
        assert graph.disputes == {f"ctax:{n}|{HUB}": (f"ctax:{n}", HUB, "hub")}
        assert len(graph.read) <= 4  # the newcomer, the hub, a page, and the one that is split for room
        assert size_written(graph, before) < 12_000
        assert sum(len(encode(each)) for each in told.values()) < 500
    assert len(graph.bodies[HUB.encode()]) < 500


@pytest.mark.parametrize("kind", ["", "unlink"])
def test_whoever_leaves_a_hub_costs_as_little(kind: str) -> None:
    """§7: by annulment or by an unlink, of which the hub keeps no list either."""
    graph = crowded(2_000)
    for n in range(0, 1_900, 19):
        graph.once(claims(f"ctax:{n}", 2, (kind, HUB, n)))
        assert len(graph.read) <= 5
        assert graph.disputes == {f"ctax:{n}|{HUB}": None}
    assert graph.node(HUB).edges == 1_900
    assert len(graph.bodies[HUB.encode()]) < 500


def test_a_hub_of_yesterday_is_counted_once() -> None:
    """§7: the first claim that comes near it reads its neighbours, those after it do not."""
    world = World()
    world.graph.step(*(world.claim(f"ctax:{n}", ("same-person", HUB, n)) for n in range(200)))
    world.graph.bodies = {key: body for key, body in world.graph.bodies.items() if not is_page(key)}
    speakers = {f"ctax:{n}": True for n in range(200)}
    told = Answer(
        world.nodes()[HUB].told.person, (HUB,), disputes=tuple((s, "hub") for s in sorted(speakers))
    )  # type: ignore[union-attr]
    world.graph.bodies[HUB.encode()] = encode(Node(HUB, {}, speakers, hub=True, told=told))
    world.graph.once(world.claim("ctax:200", ("same-person", HUB, 200)))
    assert len(world.graph.read) > 200
    assert world.graph.disputes == {f"ctax:200|{HUB}": ("ctax:200", HUB, "hub")}
    world.graph.once(world.claim("ctax:201", ("same-person", HUB, 201)))
    assert len(world.graph.read) <= 4
    assert world.graph.node(HUB).edges == 202
    assert world.graph.node(HUB).spoken_of_by == {}


def test_a_hub_that_shrinks_keeps_no_page() -> None:
    """I3: once it is none any more, its edges lie in its node, and its pages are deleted."""
    graph = crowded(300)
    graph.step(*(claims(f"ctax:{n}", 2, ("", HUB, n)) for n in range(236)))
    assert graph.node(HUB).implicit.keys() == {f"ctax:{n}" for n in range(236, 300)}
    assert not any(is_page(key) for key in graph.bodies)
    assert graph.published.keys() <= {f"ctax:{n}|{HUB}" for n in range(236, 300)}


def test_two_hubs_report_what_is_between_them_once_and_both_are_cut() -> None:
    """I3: it begins and ends as one dispute, though either end would do."""
    crowds = [same(each, hub) for hub in (HUB, "utr:1") for each in CROWD[:3]]
    graph = Graph(*crowds, hub_edges=2)
    graph.step(claims("utr:1", 1, ("same-person", HUB, 1)))
    assert graph.disputes == {f"{HUB}|utr:1": (HUB, "utr:1", "hub")}
    graph.step(claims(CROWD[0], 2, ("", HUB, 0)), claims(CROWD[1], 2, ("", HUB, 0)))
    assert (HUB, "utr:1", "hub") in graph.disputed()
    graph.step(claims("utr:1", 2, ("", HUB, 0)))
    assert graph.disputes == {f"{HUB}|utr:1": None}


def test_a_claim_that_changes_no_edge_reads_no_component() -> None:
    """§7: a link that is stated again is answered from what was told."""
    graph = Graph(*(linked(one, other) for one, other in pairwise(CROWD)))
    told = graph.once(claims(CROWD[0], 2, ("link", CROWD[1], 1), ("link", CROWD[1], 8)))
    assert told[CROWD[0]].members == tuple(CROWD)
    assert told[CROWD[0]].answered == 2
    assert set(graph.read) == {CROWD[0].encode(), CROWD[1].encode()}


# Telling a crowd of a protection takes several steps (C3).


def test_a_crowd_is_told_of_a_protection_in_steps_that_stay_small() -> None:
    """C3, V7: everybody in the end, each step so many and at most a page more, all for the same cause."""
    graph = crowded(500, told_a_step=20, page_edges=8)
    told = graph.once(claims(HUB, 1, restricted=True))
    assert told[HUB].restricted
    assert len(told) > 20  # the first of the crowd in the step that protects it
    everybody = dict(told)
    steps = 0
    while graph.wakes:
        assert 0 < len(told) <= 20 + 2 * 8 + 1
        told = graph.once()
        assert not told.keys() & everybody.keys()
        assert {each.cause for each in told.values()} == {Cause(SOURCE, f"{HUB}/1")}
        everybody |= told
        steps += 1
    assert steps >= 500 // 36
    assert everybody.keys() == {HUB, *(f"ctax:{n}" for n in range(500))}
    assert graph.protected() == everybody.keys()
    graph.step(claims(HUB, 2))
    assert graph.protected() == set()


def test_two_crowds_share_a_step() -> None:
    """V7: what one step tells is bounded whatever the number of hubs that wait."""
    crowds = [same(f"ctax:{n}", hub, n) for hub in (HUB, "utr:1") for n in range(40)]
    graph = Graph(*crowds, told_a_step=4, page_edges=2, hub_edges=2)
    told = graph.once(claims(HUB, 1, restricted=True), claims("utr:1", 1, restricted=True))
    while graph.wakes:
        assert len(told) <= 14
        told = graph.once()
    assert len(graph.protected()) == 42


def test_what_was_told_of_a_crowd_and_lies_elsewhere_now_is_told_again_if_it_must() -> None:
    """C3, I5: pages merge while a crowd is being told, and nobody falls between them."""
    graph = crowded(40, told_a_step=1, page_edges=2, hub_edges=2)
    graph.once(claims(HUB, 1, restricted=True))
    for n in range(0, 36, 2):
        graph.once(claims(f"ctax:{n}", 2, ("", HUB, n)), claims(f"ctax:{n + 1}", 2, ("", HUB, n)))
    graph.step()
    assert graph.protected() == {HUB, *(f"ctax:{n}" for n in range(36, 40))}


def test_whoever_comes_while_a_crowd_is_told_is_told_at_once() -> None:
    """C3: a newcomer does not wait for the others."""
    graph = crowded(60, told_a_step=1, page_edges=2, hub_edges=2)
    graph.once(claims(HUB, 1, restricted=True))
    assert graph.once(same("ctax:99", HUB))["ctax:99"].restricted


def test_a_wake_that_nothing_waits_for_changes_nothing() -> None:
    """V8: of an identifier that has told everybody, and of one that is not known."""
    graph = crowded(3)
    graph.wakes = {HUB.encode(), b"nhs:1"}
    assert graph.once() == {}
    assert graph.written == set()


# Where a neighbour lies.


@pytest.mark.parametrize("pages", range(1, 40))
def test_a_page_more_moves_neighbours_from_its_parent_to_itself_and_nobody_else(pages: int) -> None:
    """Linear hashing: so growing by one page reads one page."""
    for n in range(200):
        before, after = page_of(f"ctax:{n}", pages), page_of(f"ctax:{n}", pages + 1)
        assert 0 <= before < pages
        assert after == before or (before, after) == (parent_of(pages), pages)


def test_no_page_has_the_key_of_an_identifier() -> None:
    """I1: a scheme begins with a letter."""
    assert is_page(page_key(HUB, 0))
    assert not is_page(HUB.encode())
    assert not page_key(HUB, 0)[:1].isalpha()
    assert len({page_key(one, n) for one in (HUB, "1 " + HUB) for n in range(40)}) == 80
