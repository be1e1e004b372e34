"""I2 to I4: persons as a function of the set of statements, computed anew every time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.model.identifiers import Schemes, scheme_of
from tests.model.intake import Event

Pair = tuple[str, str]
Note = Callable[[str], None]


@dataclass(frozen=True)
class Limits:
    """The constants of I3 and R2, so that small worlds can meet them."""

    hub: int = 64
    overgrown: int = 4096
    person: int = 32
    register: int = 64
    register_bytes: int = 64 << 10


@dataclass(frozen=True, order=True)
class Statement:
    """I2: one thing said about a pair; `says` is link, unlink, same-person or superseded-by."""

    time_ms: int
    source: str
    id: str
    says: str
    subject: str
    other: str

    @property
    def pair(self) -> Pair:
        return (self.subject, self.other) if self.subject < self.other else (self.other, self.subject)


@dataclass(frozen=True)
class Edge:
    """A linked pair, with the statements that count."""

    pair: Pair
    counting: frozenset[Statement]

    @property
    def explicit(self) -> bool:
        return any(statement.says == "link" for statement in self.counting)

    @property
    def order(self) -> tuple[bool, int, str, str, Pair]:
        """I3: explicit first, then time, source, id, smaller and greater identifier."""
        first = min(self.counting, key=lambda said: (said.time_ms, said.source, said.id))
        return (not self.explicit, first.time_ms, first.source, first.id, self.pair)


@dataclass
class Identity:
    """What the statements make of the identifiers."""

    persons: list[frozenset[str]]
    disputed: dict[Pair, str]
    superseded: set[str]
    component_of: dict[str, frozenset[str]]
    cut: set[Pair]

    def person_of(self, identifier: str) -> frozenset[str]:
        return next(person for person in self.persons if identifier in person)


def i2_statements(events: Iterable[Event], annulled: set[tuple[str, str, str]]) -> set[Statement]:
    """Every statement about a pair that is not annulled; one about a single identifier says nothing."""
    statements = set()
    for event in events:
        if (event.source, event.id, event.subject) in annulled:
            continue
        said = [
            (role, name)
            for role in ("same-person", "superseded-by")
            for name in event.contract.fields_in_role(role)
        ]
        if event.contract.kind in ("link", "unlink"):
            said += [(event.contract.kind, name) for name in event.contract.fields_in_role("other")]
        for says, name in said:
            other = event.identifiers.get(name)
            if other is not None and other != event.subject:
                statements.add(Statement(event.time_ms, event.source, event.id, says, event.subject, other))
    return statements


def i2_edge(pair: Pair, statements: Iterable[Statement], note: Note) -> Edge | None:
    """The edge that the statements about one pair make, or None: the pair is unlinked."""
    statements = list(statements)
    unlinks = [said.time_ms for said in statements if said.says == "unlink"]
    linking = [said for said in statements if said.says != "unlink"]
    if not unlinks:
        return Edge(pair, frozenset(linking))
    later_links = [said.time_ms for said in linking if said.says == "link" and said.time_ms > max(unlinks)]
    if not later_links:
        note("I2 unlinked")
        note_if(note, any(said.time_ms == max(unlinks) for said in linking), "I2 unlinked at equal times")
        note_if(
            note,
            any(said.time_ms > max(unlinks) for said in linking),
            "I2 same-person does not undo an unlink",
        )
        return None
    counting = frozenset(said for said in linking if said.time_ms >= min(later_links))
    note("I2 linked again")
    note_if(note, len(counting) < len(linking), "I2 linked again, earlier statements do not count")
    note_if(note, any(said.says != "link" for said in counting), "I2 linked again, another statement counts")
    note_if(
        note,
        any(said.says != "link" and max(unlinks) < said.time_ms < min(later_links) for said in linking),
        "I2 same-person between unlink and link does not count",
    )
    return Edge(pair, counting)


def note_if(note: Note, holds: bool, what: str) -> None:
    """Count a corner of the rules as met."""
    if holds:
        note(what)


def i3_identity(
    identifiers: set[str], statements: set[Statement], schemes: Schemes, limits: Limits, note: Note
) -> Identity:
    """The three steps of I3."""
    by_pair: dict[Pair, list[Statement]] = {}
    for said in statements:
        by_pair.setdefault(said.pair, []).append(said)
    edges, unlinked = set(), set()
    for pair, said_of_pair in by_pair.items():
        edge = i2_edge(pair, said_of_pair, note)
        if edge is None:
            unlinked.add(pair)
        else:
            edges.add(edge)

    disputed: dict[Pair, str] = {}
    for edge in i3_hub_edges(edges, limits.hub):
        disputed[edge.pair] = "hub"
    left = {edge for edge in edges if edge.pair not in disputed}
    for component in components(identifiers, left):
        within = [edge for edge in left if edge.pair[0] in component]
        if len(within) > limits.overgrown:
            note("I3 overgrown component")
            disputed.update({edge.pair: "overgrown" for edge in within if not edge.explicit})
    cut = set(disputed)
    left = {edge for edge in left if edge.pair not in cut}

    persons: list[frozenset[str]] = []
    superseded: set[str] = set()
    component_of: dict[str, frozenset[str]] = {}
    for component in components(identifiers, left):
        within = [edge for edge in left if edge.pair[0] in component]
        superseded_here = i3_superseded(within, note)
        made, skipped = i3_persons(
            component,
            within,
            unlinked=unlinked,
            superseded=superseded_here,
            schemes=schemes,
            size=limits.person,
        )
        persons += made
        disputed.update(skipped)
        superseded |= superseded_here
        component_of.update(dict.fromkeys(component, component))
    for reason in disputed.values():
        note(f"I3 {reason}")
    return Identity(persons, disputed, superseded, component_of, cut)


def i3_hub_edges(edges: set[Edge], limit: int) -> set[Edge]:
    """Step 1: the edges that are not explicit, of identifiers with more than 64 such."""
    weak: dict[str, set[Edge]] = {}
    for edge in edges:
        if not edge.explicit:
            for identifier in edge.pair:
                weak.setdefault(identifier, set()).add(edge)
    return {edge for of_one in weak.values() if len(of_one) > limit for edge in of_one}


def components(identifiers: Iterable[str], edges: Iterable[Edge]) -> list[frozenset[str]]:
    """Step 2: what the edges reach."""
    near: dict[str, set[str]] = {identifier: set() for identifier in identifiers}
    for edge in edges:
        near[edge.pair[0]].add(edge.pair[1])
        near[edge.pair[1]].add(edge.pair[0])
    found: list[frozenset[str]] = []
    seen: set[str] = set()
    for start in near:
        if start in seen:
            continue
        reached, border = {start}, [start]
        while border:
            for each in near[border.pop()] - reached:
                reached.add(each)
                border.append(each)
        seen |= reached
        found.append(frozenset(reached))
    return found


def i3_superseded(edges: Iterable[Edge], note: Note) -> set[str]:
    """The subjects of superseded-by statements: earliest first, one that closes a circle ignored."""
    earliest: dict[Pair, Statement] = {}
    for said in sorted(said for edge in edges for said in edge.counting if said.says == "superseded-by"):
        earliest.setdefault((said.subject, said.other), said)
    successors: dict[str, set[str]] = {}
    for said in sorted(
        earliest.values(), key=lambda said: (said.time_ms, said.source, said.id, said.subject, said.other)
    ):
        if said.subject in _led_to(said.other, successors):
            note("I3 superseded-by closes a circle")
        else:
            note("I3 superseded")
            successors.setdefault(said.subject, set()).add(said.other)
    return set(successors)


def _led_to(start: str, successors: dict[str, set[str]]) -> set[str]:
    """Where a chain of successors leads, its start included."""
    reached, border = {start}, [start]
    while border:
        for each in successors.get(border.pop(), set()) - reached:
            reached.add(each)
            border.append(each)
    return reached


def i3_persons(
    component: frozenset[str],
    edges: Iterable[Edge],
    *,
    unlinked: set[Pair],
    superseded: set[str],
    schemes: Schemes,
    size: int,
) -> tuple[list[frozenset[str]], dict[Pair, str]]:
    """Step 3: edges added in I3's order; what is skipped, with the first reason that applies."""
    person_of = {identifier: frozenset([identifier]) for identifier in component}
    skipped: dict[Pair, str] = {}
    for edge in sorted(edges, key=lambda edge: edge.order):
        left, right = person_of[edge.pair[0]], person_of[edge.pair[1]]
        if left is right:
            continue
        both = left | right
        live = [
            scheme_of(one) for one in both if one not in superseded and scheme_of(one) in schemes.exclusive
        ]
        if any((one, other) in unlinked for one in both for other in both):
            skipped[edge.pair] = "unlinked"
        elif len(live) > len(set(live)):
            skipped[edge.pair] = "exclusive-scheme"
        elif len(both) > size:
            skipped[edge.pair] = "oversized"
        else:
            person_of.update(dict.fromkeys(both, both))
    return list(set(person_of.values())), skipped


def i4_anchor(person: frozenset[str], superseded: set[str], schemes: Schemes) -> str:
    """I1's first scheme, not superseded before superseded, the smallest."""
    return min(person, key=lambda one: (schemes.place(one), one in superseded, one))
