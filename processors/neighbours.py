"""The part of the graph that one step touches: nodes and pages, loaded as they are asked for, and its edges.

Everything that counts edges is kept as a pair changes, so no question is answered by walking all neighbours:
whether an identifier is a hub, whether a protected one is among them (I3, C3). A pair that changes costs its
two nodes and, at a hub, a page.
"""

from __future__ import annotations

from collections.abc import Iterator

from processors.messages import PairStatement, encode
from processors.node import (
    Answer,
    Node,
    Page,
    Spread,
    page_key,
    page_of,
    pages_for,
    parent_of,
    read_node,
    read_page,
)
from processors.outcomes import Dispute
from processors.pairs import Pair, judge
from processors.rules import Limits
from processors.stage import Lookup, State, Step, Tally

Ends = tuple[str, str]
"""The two identifiers of a pair, the smaller first."""


def ends(one: str, other: str) -> Ends:
    """Name a pair."""
    return (one, other) if one < other else (other, one)


class Neighbours:
    """Nodes, pages and pairs of one step; what is ``dirty`` is written at its end."""

    def __init__(self, limits: Limits, states: Lookup) -> None:
        self.limits, self._states = limits, states
        self.dirty: set[str] = set()
        self.was_hub: dict[str, bool] = {}
        """Of each node as it was loaded."""
        self.was_implicit: dict[Ends, bool] = {}
        """Of each pair that changed in this step: whether it was an edge that is not explicit."""
        self._held_before: dict[str, Tally] = {}
        """What each node held as it was loaded, for the sums over all (adr/0040)."""
        self._nodes: dict[str, Node] = {}
        self._pages: dict[tuple[str, int], dict[str, bool]] = {}
        self._dirty_pages: set[tuple[str, int]] = set()
        self._pairs: dict[Ends, Pair] = {}

    def node(self, identifier: str) -> Node:
        """Return the identifier's node, new if the graph has none."""
        node = self._loaded(identifier)
        if not node.counted:
            self._count(node)
        return node

    def _loaded(self, identifier: str) -> Node:
        node = self._nodes.get(identifier)
        if node is None:
            body = self._states(identifier.encode())
            node = Node(identifier, counted=True) if body is None else read_node(body)
            self._nodes[identifier] = node
            self.was_hub[identifier] = node.hub
            self._held_before[identifier] = node.tally()
        return node

    def _count(self, node: Node) -> None:
        """Find the edges of a node that was written before they were kept (adr/0013).

        It is asked for before anything about its pairs changes, so this finds what was so when it was
        written.
        """
        node.counted = True
        self.dirty.add(node.identifier)
        for other in dict.fromkeys((*node.said, *node.spoken_of_by)):
            pair = self.pair(node.identifier, other)
            if pair.edge is not None and pair.edge.explicit:
                node.explicit[other] = True
            elif pair.edge is not None:
                self._add(node, other, protected=self._loaded(other).restricted)
            if pair.contested and node.said.get(other):
                node.contested[other] = True
        node.said = {other: statements for other, statements in node.said.items() if statements}
        node.spoken_of_by = {}
        if node.told is not None:
            told = node.told
            node.disputed = {
                other: reason
                for other, reason in told.disputes
                if node.identifier < other and reason != Dispute.HUB
            }
            contested = tuple(other for other in told.contested if other in node.said)
            node.told = Answer(told.person, told.members, told.superseded, told.restricted, contested)

    # -- pairs

    def pair(self, one: str, other: str) -> Pair:
        """Judge a pair, again only when something else was said of it (I2)."""
        a, b = key = ends(one, other)
        pair = self._pairs.get(key)
        if pair is None:
            said_by_a, said_by_b = self._loaded(a).said.get(b, ()), self._loaded(b).said.get(a, ())
            pair = self._pairs[key] = judge(a, b, said_by_a, said_by_b)
        return pair

    def say(self, identifier: str, other: str, statements: tuple[PairStatement, ...]) -> bool:
        """Replace what one says of a pair; return whether that makes anything else of it.

        Whoever says something is written in any case, for its question's number.
        """
        node, far = self.node(identifier), self.node(other)
        before = self.pair(identifier, other)
        if statements:
            node.said[other] = statements
        else:
            node.said.pop(other, None)
        key = ends(identifier, other)
        del self._pairs[key]
        after = self.pair(identifier, other)
        _contest(node, other, after)
        if before == after:
            return False
        self.dirty.add(other)
        _contest(far, identifier, after)
        was, now = _kind(before), _kind(after)
        self.was_implicit.setdefault(key, was is False)
        if was is not now:
            for here, there in ((node, far), (far, node)):
                self._unlink(here, there.identifier, was)
                self._link(here, there, now)
        return True

    def _link(self, node: Node, far: Node, explicit: bool | None) -> None:
        if explicit:
            node.explicit[far.identifier] = True
        elif explicit is False:
            self._add(node, far.identifier, protected=far.restricted)

    def _unlink(self, node: Node, other: str, explicit: bool | None) -> None:
        if explicit:
            del node.explicit[other]
        elif explicit is False:
            self._remove(node, other)

    # -- edges that are not explicit: in the node, or in pages if it is a hub

    def is_hub(self, identifier: str) -> bool:
        """Whether the identifier has too many edges that are not explicit (I3)."""
        return self.node(identifier).edges > self.limits.hub_edges

    def implicit(self, identifier: str) -> Iterator[str]:
        """All other ends of edges that are not explicit, however many; ask it of no hub lightly."""
        node = self.node(identifier)
        yield from node.implicit
        for number in range(node.pages):
            yield from self.page(identifier, number)

    def page(self, identifier: str, number: int) -> dict[str, bool]:
        """Return the edges of one page of a hub."""
        page = self._pages.get((identifier, number))
        if page is None:
            body = self._states(page_key(identifier, number))
            page = self._pages[identifier, number] = {} if body is None else read_page(body).implicit
        return page

    def protect(self, identifier: str, other: str, protected: bool) -> None:
        """Remember at ``identifier`` whether the other end of an edge is protected (C3)."""
        node = self.node(identifier)
        held = self._held(node, other)
        node.protected += protected - held[other]
        held[other] = protected
        self.dirty.add(identifier)

    def _held(self, node: Node, other: str) -> dict[str, bool]:
        """Where a neighbour lies, about to change."""
        if not node.pages:
            return node.implicit
        number = page_of(other, node.pages)
        self._dirty_pages.add((node.identifier, number))
        return self.page(node.identifier, number)

    def _add(self, node: Node, other: str, protected: bool) -> None:
        self._held(node, other)[other] = protected
        node.edges += 1
        node.protected += protected
        self._fit(node)

    def _remove(self, node: Node, other: str) -> None:
        node.protected -= self._held(node, other).pop(other)
        node.edges -= 1
        self._fit(node)

    def _fit(self, node: Node) -> None:
        """Have as many pages as the edges need, none unless it is a hub."""
        hub = node.edges > self.limits.hub_edges
        wanted = pages_for(node.edges, self.limits.page_edges) if hub else 0
        while node.pages < wanted:
            self._split(node)
        while node.pages > wanted:
            self._merge(node)

    def _split(self, node: Node) -> None:
        """Add a page: the first takes all that the node holds, another its part of its parent's."""
        number = node.pages
        node.pages += 1
        if number == 0:
            self._put(node, number, node.implicit)
            node.implicit = {}
            return
        parent = parent_of(number)
        held = self.page(node.identifier, parent)
        for there in (parent, number):
            part = {o: is_so for o, is_so in held.items() if page_of(o, node.pages) == there}
            self._put(node, there, part)

    def _merge(self, node: Node) -> None:
        """Remove the last page: what it holds goes to its parent, that of the first back into the node."""
        node.pages -= 1
        number = node.pages
        held = self.page(node.identifier, number)
        self._put(node, number, {})
        if number == 0:
            node.implicit = held
            return
        parent = parent_of(number)
        self._put(node, parent, self.page(node.identifier, parent) | held)
        if node.spreading is not None:
            # INVARIANT: whoever moves to a page that was already gone through is come to again.
            node.spreading = Spread(min(node.spreading.page, parent), node.spreading.cause)

    def _put(self, node: Node, number: int, held: dict[str, bool]) -> None:
        self._pages[node.identifier, number] = held
        self._dirty_pages.add((node.identifier, number))

    # -- at the end

    def write(self, step: Step, now_ms: int) -> None:
        """Put what changed into the step; whoever still has neighbours to tell asks to be woken at once."""
        for identifier in self.dirty:
            node = self.node(identifier)
            step.tally(self._held_before[identifier], node.tally())
            wake_ms = None if node.spreading is None else now_ms
            step.states[identifier.encode()] = State(encode(node), wake_ms)
        for identifier, number in self._dirty_pages:
            gone = number >= self.node(identifier).pages
            page = self._pages[identifier, number]
            step.states[page_key(identifier, number)] = None if gone else State(encode(Page(page)))


def _kind(pair: Pair) -> bool | None:
    """Whether a pair's edge is explicit; None if it has none."""
    return None if pair.edge is None else pair.edge.explicit


def _contest(node: Node, other: str, pair: Pair) -> None:
    """Keep whether an unlink is known of a pair of which the node says something (§7)."""
    if pair.contested and other in node.said:
        node.contested[other] = True
    else:
        node.contested.pop(other, None)
