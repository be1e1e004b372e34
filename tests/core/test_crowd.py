"""Persons at an identifier that a crowd hangs at: an obvious recomputation's answers, at no crowd's cost.

A form that writes a placeholder for every number it does not know makes a hub of a hundred thousand edges.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from processors.graph import form_persons
from processors.messages import Cause, Claims, PairStatement, encode
from processors.node import (
    Answer,
    Node,
    is_page,
    page_key,
    page_of,
    pages_for,
    parent_of,
    read_node,
    read_page,
)
from processors.pairs import Pair, judge
from tests.persons_kit import SOURCE, Graph, Statement, claims, linked, same

HUB = "nino:1"
CROWD = [f"passport:{n}" for n in range(9)]
EVERYONE = [HUB, "nino:2", *CROWD]
KINDS = ["same-person"] * 6 + ["superseded-by", "link", "unlink", "", ""]


class World:
    """What was said, and all that DESIGN says of it, each time from the beginning."""

    def __init__(self, **limits: int) -> None:
        self.graph = Graph(**limits)
        self.limits = self.graph.stage.rules.limits
        self.said: dict[str, dict[str, tuple[PairStatement, ...]]] = defaultdict(dict)
        self.restricted: set[str] = set()
        self.asked: Counter[str] = Counter()
        self._pairs: dict[tuple[str, str], Pair] = {}

    def claim(self, identifier: str, *statements: Statement, protect: bool | None = None) -> Claims:
        """What an identifier says from now on of the pairs named, and of its protection."""
        self.asked[identifier] += 1
        if protect is not None:
            (self.restricted.add if protect else self.restricted.discard)(identifier)
        made = claims(
            identifier, self.asked[identifier], *statements, restricted=identifier in self.restricted
        )
        self.said[identifier] |= made.pairs
        self._pairs.clear()
        return made

    # -- I2, I3, C3, obviously

    def pairs(self) -> dict[tuple[str, str], Pair]:
        """Every pair of which anything is said, judged once for each claim."""
        if not self._pairs:
            named = {tuple(sorted((one, other))) for one, of in self.said.items() for other in of}
            for a, b in sorted(named):
                self._pairs[a, b] = judge(a, b, self.said[a].get(b, ()), self.said[b].get(a, ()))
        return self._pairs

    def implicit(self) -> dict[str, set[str]]:
        """The other ends of each one's edges that are not explicit."""
        found: dict[str, set[str]] = defaultdict(set)
        for (a, b), pair in self.pairs().items():
            if pair.edge is not None and not pair.edge.explicit:
                found[a].add(b)
                found[b].add(a)
        return found

    def hubs(self) -> set[str]:
        """Whoever has too many of them."""
        return {each for each, others in self.implicit().items() if len(others) > self.limits.hub_edges}

    def contested(self, identifier: str) -> tuple[str, ...]:
        """The pairs that it spoke of and that an unlink was stated about."""
        said = self.said[identifier]
        pairs = self.pairs()
        ends = {other: tuple(sorted((identifier, other))) for other, of in said.items() if of}
        return tuple(sorted(other for other, pair in ends.items() if pairs[pair].contested))

    def answers(self) -> tuple[dict[str, tuple[tuple[str, ...], bool]], set[tuple[str, str, str]]]:
        """Of everybody the members and whether they are protected; and the disputes."""
        edges = {key: pair.edge for key, pair in self.pairs().items() if pair.edge is not None}
        hubs, limits = self.hubs(), self.limits
        cut = {(a, b): "hub" for (a, b), e in edges.items() if not e.explicit and hubs & {a, b}}
        left = [edge for key, edge in edges.items() if key not in cut]
        wholes = components(EVERYONE, [(e.a, e.b) for e in left])
        parts = []
        for whole in wholes:
            inside = [edge for edge in left if edge.a in whole]
            if len(inside) <= limits.component_edges:
                parts.append((whole, inside))
                continue
            cut |= {(e.a, e.b): "overgrown" for e in inside if not e.explicit}
            explicit = [edge for edge in inside if edge.explicit]
            for part in components(sorted(whole), [(e.a, e.b) for e in explicit]):
                parts.append((part, [edge for edge in explicit if edge.a in part]))
        answers, disputed = {}, {(a, b, reason) for (a, b), reason in cut.items()}
        apart: dict[str, set[str]] = defaultdict(set)
        for (a, b), pair in self.pairs().items():
            if pair.unlinked:
                apart[a].add(b)
                apart[b].add(a)
        for part, inside in parts:
            formed = form_persons(part, inside, apart, self.graph.stage.rules.contracts.schemes, limits)
            disputed |= {(edge.a, edge.b, reason.value) for edge, reason in formed.skipped}
            for person in formed.persons:
                across = {b for a, b in cut if a in person} | {a for a, b in cut if b in person}
                protected = not self.restricted.isdisjoint(part | across)
                answers |= dict.fromkeys(person, (tuple(sorted(person)), protected))
        return answers, disputed

    # -- what the stage has

    def nodes(self) -> dict[str, Node]:
        """Every node, by its identifier."""
        return {k.decode(): read_node(body) for k, body in self.graph.bodies.items() if not is_page(k)}

    def check_edges(self) -> None:
        """What nodes and pages hold is what the statements say, and everything lies where it belongs."""
        nodes, implicit, pages = self.nodes(), self.implicit(), set()
        for name, node in nodes.items():
            if not node.counted:
                continue
            held = dict(node.implicit)
            for number in range(node.pages):
                pages.add(page_key(name, number))
                page = read_page(self.graph.bodies[page_key(name, number)]).implicit
                assert {page_of(other, node.pages) for other in page} <= {number}
                held |= page
            assert held.keys() == implicit[name]
            assert node.edges == len(held)
            assert node.protected == sum(held.values())
            assert node.pages == self.pages_for(len(held))
            for other, protected in held.items():
                assert protected == (other in self.restricted) or nodes[other].spreading is not None
            explicit = {a if b == name else b for (a, b), pair in self.pairs().items()
                        if name in (a, b) and pair.edge is not None and pair.edge.explicit}  # fmt: skip
            assert node.explicit.keys() == explicit
            assert tuple(sorted(node.contested)) == self.contested(name)
            assert node.hub == (name in self.hubs())
            assert node.said == {other: of for other, of in self.said[name].items() if of}
        assert {key for key in self.graph.bodies if is_page(key)} == pages

    def pages_for(self, edges: int) -> int:
        """None but at a hub, and then as many as its edges need."""
        return pages_for(edges, self.limits.page_edges) if edges > self.limits.hub_edges else 0

    def check_at_rest(self) -> None:
        """Everybody has been told what is so, and every dispute has been published."""
        answers, disputed = self.answers()
        self.check_edges()
        assert self.graph.disputed() == disputed
        for name, node in self.nodes().items():
            assert node.told is not None
            assert (node.told.members, node.told.restricted) == answers[name]
            assert not node.counted or node.told.contested == self.contested(name)
            told = self.graph.told[name]
            assert (told.members, told.restricted, told.contested) == (*answers[name], self.contested(name))
            assert told.disputes == ()
            assert node.spreading is None

    def age(self, name: str) -> None:
        """Write a node as it was written before its edges were kept."""
        node, disputed = self.nodes()[name], self.answers()[1]
        assert node.told is not None
        pairs = [pair for pair in self.pairs() if name in pair]
        told = Answer(
            node.told.person,
            node.told.members,
            node.told.superseded,
            node.told.restricted,
            tuple(sorted(a if b == name else b for a, b in pairs if self.pairs()[a, b].contested)),
            tuple(sorted((a if b == name else b, why) for a, b, why in disputed if name in (a, b))),
        )
        speakers = {other: True for other, said in self.said.items() if name in said}
        old = Node(name, self.said[name], speakers, node.restricted, node.hub, node.answered, told)
        self.graph.bodies[name.encode()] = encode(old)
        for number in range(node.pages):
            del self.graph.bodies[page_key(name, number)]


def components(members: list[str], edges: list[tuple[str, str]]) -> list[set[str]]:
    """What hangs together."""
    found = [{member} for member in members]
    for a, b in edges:
        near = [each for each in found if a in each or b in each]
        found = [each for each in found if each not in near] + [set[str]().union(*near)]
    return found


def happenings(world: World, rng: Random) -> Iterator[Claims]:
    """Claims among few, most of them about the one that everybody hangs at."""
    protections = rng.choice((0.05, 0.3))
    for _ in range(rng.randint(4, 40)):
        one = rng.choice(EVERYONE)
        other = HUB if one != HUB and rng.random() < 0.6 else rng.choice([e for e in EVERYONE if e != one])
        kind = rng.choice(KINDS)
        # One identifier says several things of a pair, or takes back all that it said.
        times = [rng.randint(1, 9) for _ in range(rng.choice((1, 1, 2)))] if kind else [0]
        kinds = [kind, *(rng.choice(KINDS[:9]) for _ in times[1:])]
        statements = [(k, other, time) for k, time in zip(kinds, times, strict=True)]
        protect = rng.random() < 0.5 if rng.random() < protections else None
        yield world.claim(one, *(statements if rng.random() < 0.9 else ()), protect=protect)


def lived(seed: int, ageing: float = 0.0) -> World:
    """A world in which things were claimed in any batches, while neighbours were still being told."""
    rng = Random(seed)
    world = World(
        hub_edges=rng.choice((1, 2, 3)),
        component_edges=rng.choice((3, 6, 50)),
        person_identifiers=rng.choice((3, 32)),
        page_edges=rng.choice((1, 2, 3)),
        told_a_step=rng.choice((1, 3)),
    )
    graph, batch = world.graph, []
    for each in happenings(world, rng):
        batch.append(each)
        if rng.random() < 0.5:
            graph.once(*batch)
            batch = []
            world.check_edges()
            if rng.random() < 0.5:
                graph.step()
                world.check_at_rest()
                for name in world.nodes():
                    if rng.random() < ageing:
                        world.age(name)
    graph.step(*batch)
    world.check_at_rest()
    return world


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
