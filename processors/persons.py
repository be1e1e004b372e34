"""Persons: the whole graph of pairs in one total order, and who is one person with whom (I2-I4, C3).

A stage on one partition with state by identifier. After a batch it looks again at every component that a
statement touched and tells each identifier whose person, members, disputes or protection changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from processors.graph import anchor, form_persons
from processors.messages import (
    ASSERTIONS_TOPIC,
    DISPUTES_TOPIC,
    PAIRS_TOPIC,
    Cause,
    Message,
    PairStatement,
    Told,
    Value,
    decode_for_persons,
    encode,
)
from processors.outcomes import Dispute
from processors.pairs import Edge, Pair, judge
from processors.rules import Rules
from processors.stage import Lookup, Outcome, Outgoing, Record, State, Step, keys_of


class Answer(Value, frozen=True):
    """What an identifier was last told; the same answer is not sent twice."""

    person: str
    members: tuple[str, ...]
    superseded: tuple[str, ...] = ()
    restricted: bool = False
    contested: tuple[str, ...] = ()
    disputes: tuple[tuple[str, str], ...] = ()


class Node(Message):
    """One identifier of the graph: what it says of its pairs, who speaks of it, what it was told."""

    identifier: str
    said: dict[str, tuple[PairStatement, ...]] = {}
    spoken_of_by: dict[str, bool] = {}
    restricted: bool = False
    hub: bool = False
    answered: int = 0
    told: Answer | None = None

    def others(self) -> Iterator[str]:
        """The other ends of all its pairs."""
        yield from self.said
        yield from (other for other in self.spoken_of_by if other not in self.said)


read_node = msgspec.msgpack.Decoder(Node).decode
"""Decode a node as the stage keeps it, for whoever shows it."""

read_dispute = msgspec.msgpack.Decoder(tuple[str, str, str]).decode
"""Decode a dispute: the smaller identifier, the other, the reason."""


class Persons:
    """The third stage: claims to answers."""

    name = "persons"
    rules_version: str | None = None

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return the identifiers that ``batch`` speaks of."""
        return keys_of(batch)

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Take over all claims of the batch, then settle what they touched."""
        graph = _Graph(self.rules, states)
        asking: dict[str, Cause] = {}
        for record in batch:
            if record.value is not None:
                claims = decode_for_persons(record.value)
                asking[claims.identifier] = claims.cause
                graph.claim(claims.identifier, claims.asked, claims.pairs, claims.restricted)
        step = Step()
        graph.settle(step, asking)
        for identifier in graph.dirty:
            step.states[identifier.encode()] = State(encode(graph.nodes[identifier]))
        return step


class _Graph:
    """The part of the graph that one step touches, loaded as it is walked."""

    def __init__(self, rules: Rules, states: Lookup) -> None:
        self.rules, self.states = rules, states
        self.nodes: dict[str, Node] = {}
        self.dirty: set[str] = set()
        self.seeds: set[str] = set()
        self._pairs: dict[tuple[str, str], Pair] = {}
        self._hubs: dict[str, bool] = {}

    def node(self, identifier: str) -> Node:
        """Return the identifier's node, new if the graph has none."""
        node = self.nodes.get(identifier)
        if node is None:
            body = self.states(identifier.encode())
            node = self.nodes[identifier] = read_node(body) if body is not None else Node(identifier)
        return node

    def claim(
        self, identifier: str, asked: int, pairs: dict[str, tuple[PairStatement, ...]], restricted: bool
    ) -> None:
        """Replace what ``identifier`` says of the pairs named and of its own protection."""
        node = self.node(identifier)
        self.dirty.add(identifier)
        self.seeds.add(identifier)
        node.answered = max(node.answered, asked)
        for other, statements in pairs.items():
            node.said[other] = statements
            self.node(other).spoken_of_by[identifier] = True
            self.dirty.add(other)
            self.seeds.add(other)
        if restricted != node.restricted:
            node.restricted = restricted
            # INVARIANT: protection reaches across every edge, cut or not (C3).
            self.seeds.update(node.others())

    def pair(self, one: str, other: str) -> Pair:
        """Judge a pair, once a step (I2)."""
        a, b = sorted((one, other))
        pair = self._pairs.get((a, b))
        if pair is None:
            said_by_a, said_by_b = self.node(a).said.get(b, ()), self.node(b).said.get(a, ())
            pair = self._pairs[a, b] = judge(a, b, said_by_a, said_by_b)
        return pair

    def edges(self, identifier: str) -> list[Edge]:
        """All edges at an identifier."""
        node = self.node(identifier)
        return [edge for other in node.others() if (edge := self.pair(identifier, other).edge) is not None]

    def is_hub(self, identifier: str) -> bool:
        """Whether the identifier has too many edges that are not explicit (I3)."""
        hub = self._hubs.get(identifier)
        if hub is None:
            implicit = sum(not edge.explicit for edge in self.edges(identifier))
            hub = self._hubs[identifier] = implicit > self.rules.limits.hub_edges
        return hub

    def cut_by_hub(self, edge: Edge) -> bool:
        """Whether the edge is cut before components are made."""
        return not edge.explicit and (self.is_hub(edge.a) or self.is_hub(edge.b))

    def settle(self, step: Step, asking: dict[str, Cause]) -> None:
        """Look again at each component that was touched and tell whoever must know."""
        for identifier in list(self.seeds):
            node = self.node(identifier)
            if self.is_hub(identifier) != node.hub:
                node.hub = not node.hub
                self.dirty.add(identifier)
                self.seeds.update(node.others())
        cause = next(reversed(asking.values()), Cause())
        seen: set[str] = set()
        for seed in sorted(self.seeds):
            if seed not in seen:
                for component in self._components(seed, seen):
                    self._answer(step, component, asking, cause)

    def _reach(self, start: str, explicit_only: bool) -> _Component:
        """What the edges left reach from ``start``."""
        component = _Component({start})
        waiting = [start]
        while waiting:
            here = waiting.pop()
            for edge in self.edges(here):
                if self.cut_by_hub(edge):
                    component.cut[edge] = Dispute.HUB
                elif explicit_only and not edge.explicit:
                    component.cut[edge] = Dispute.OVERGROWN
                else:
                    component.edges.add(edge)
                    there = edge.b if edge.a == here else edge.a
                    if there not in component.members:
                        component.members.add(there)
                        waiting.append(there)
        return component

    def _components(self, seed: str, seen: set[str]) -> Iterator[_Component]:
        """The component of ``seed``, or the explicit ones that it falls into when it is overgrown (I3)."""
        whole = self._reach(seed, explicit_only=False)
        seen |= whole.members
        if len(whole.edges) <= self.rules.limits.component_edges:
            yield whole
            return
        placed: set[str] = set()
        for member in sorted(whole.members):
            if member not in placed:
                part = self._reach(member, explicit_only=True)
                placed |= part.members
                yield part

    def _answer(self, step: Step, component: _Component, asking: dict[str, Cause], cause: Cause) -> None:
        schemes, limits = self.rules.contracts.schemes, self.rules.limits
        unlinked = {
            member: frozenset(
                other
                for other in self.node(member).others()
                if other in component.members and self.pair(member, other).unlinked
            )
            for member in component.members
        }
        formed = form_persons(component.members, component.edges, unlinked, schemes, limits)
        disputes: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for edge, reason in (*component.cut.items(), *formed.skipped):
            disputes[edge.a].append((edge.b, reason.value))
            disputes[edge.b].append((edge.a, reason.value))
        protected_inside = any(self.node(member).restricted for member in component.members)
        for members in formed.persons:
            restricted = protected_inside or self._protected_across(members, component)
            person = self.rules.keys.person_id(anchor(members, formed.superseded, schemes))
            for member in sorted(members):
                answer = Answer(
                    person,
                    tuple(sorted(members)),
                    tuple(sorted(members & formed.superseded)),
                    restricted,
                    self._contested(member),
                    tuple(sorted(disputes[member])),
                )
                self._tell(step, member, answer, asking, cause)

    def _protected_across(self, members: frozenset[str], component: _Component) -> bool:
        """Whether the other end of a cut edge of one of its members is protected (C3)."""
        return any(
            (edge.a in members and self.node(edge.b).restricted)
            or (edge.b in members and self.node(edge.a).restricted)
            for edge in component.cut
        )

    def _contested(self, member: str) -> tuple[str, ...]:
        """The other ends of pairs for which an unlink was stated."""
        others = self.node(member).others()
        return tuple(sorted(other for other in others if self.pair(member, other).contested))

    def _tell(self, step: Step, member: str, answer: Answer, asking: dict[str, Cause], cause: Cause) -> None:
        node = self.node(member)
        if answer == node.told and member not in asking:
            return
        before = node.told or Answer(self.rules.keys.person_id(member), (member,))
        merged = set(before.members) <= set(answer.members)
        told = Told(
            member,
            node.answered,
            answer.person,
            answer.members,
            answer.superseded,
            answer.restricted,
            answer.contested,
            answer.disputes,
            merged,
            asking.get(member, cause),
        )
        step.outgoing.append(Outgoing(ASSERTIONS_TOPIC, member.encode(), encode(told)))
        self._report(step, member, dict(before.disputes), dict(answer.disputes))
        node.told = answer
        self.dirty.add(member)

    def _report(self, step: Step, member: str, before: dict[str, str], after: dict[str, str]) -> None:
        """Publish a dispute that began, changed or was settled, once for its pair: by the smaller
        identifier.
        """
        for other in sorted(before.keys() | after.keys()):
            if member < other and before.get(other) != after.get(other):
                reason = after.get(other)
                body = None if reason is None else encode((member, other, reason))
                step.outgoing.append(Outgoing(DISPUTES_TOPIC, f"{member}|{other}".encode(), body))
                outcome = "settled" if reason is None else "disputed"
                step.outcomes.append(Outcome(PAIRS_TOPIC, outcome, reason or before[other]))


class _Component:
    """Members, the edges among them, and the edges at them that were cut with the reason."""

    __slots__ = ("cut", "edges", "members")

    def __init__(self, members: set[str]) -> None:
        self.members = members
        self.edges: set[Edge] = set()
        self.cut: dict[Edge, Dispute] = {}
