"""What was said around a hub, and all that DESIGN says of it, worked out anew each time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random

from processors.graph import form_persons
from processors.messages import Claims, PairStatement, encode
from processors.node import (
    Answer,
    Node,
    is_page,
    page_key,
    page_of,
    pages_for,
    read_node,
    read_page,
)
from processors.pairs import Pair, judge
from tests.persons_kit import Graph, Statement, claims

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
