"""Persons: the whole graph of pairs in one total order, and who is one person with whom (I2-I4, C3).

A stage on one partition with state by identifier. After a batch it looks again at every component of which a
statement changed something, and tells each identifier whose person, members or protection changed. What that
costs depends on what was said and on what it changes, not on how many neighbours a hub has (adr/0013).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from processors.causes import NO_EVENT
from processors.graph import anchor, form_persons
from processors.messages import (
    ASSERTIONS_TOPIC,
    DISPUTES_TOPIC,
    PAIRS_TOPIC,
    Cause,
    PairStatement,
    Told,
    decode_for_persons,
    encode,
)
from processors.neighbours import Ends, Neighbours, ends
from processors.node import Answer, Spread, is_page, read_node
from processors.outcomes import Dispute
from processors.pairs import Edge
from processors.rules import Rules
from processors.stage import NOTHING, Lookup, Outcome, Outgoing, Record, Step, Tally, keys_of


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
        step = Step()
        settling = _Settling(self.rules, Neighbours(self.rules.limits, states), step)
        for record in batch:
            if record.value is not None:
                claims = decode_for_persons(record.value)
                settling.asking[claims.identifier] = claims.cause
                settling.claim(claims.identifier, claims.asked, claims.pairs, claims.restricted)
        settling.spread(key.decode() for key in wakes)
        settling.settle()
        settling.near.write(step, now_ms)
        return step

    def tally(self, key: bytes, body: bytes) -> Tally:
        """Count the disputes that one node stands for; a hub's pages are counted with its node."""
        return NOTHING if is_page(key) else read_node(body).tally()


class _Component:
    """Members, the edges among them, and what was cut at them."""

    __slots__ = ("cut", "edges", "members", "sheltered")

    def __init__(self, members: set[str]) -> None:
        self.members = members
        self.edges: list[Edge] = []
        self.cut: set[Ends] = set()
        """Edges that were cut because there were too many of them all; those of hubs are seen elsewhere."""
        self.sheltered: set[str] = set()
        """Members with a protected identifier at the other end of a cut edge (C3)."""


class _Settling:
    """One step: what was claimed, which components that touches, and what follows from it."""

    def __init__(self, rules: Rules, near: Neighbours, step: Step) -> None:
        self.rules, self.near, self.step = rules, near, step
        self.asking: dict[str, Cause] = {}
        self.seeds: dict[str, Cause] = {}
        """Somebody of each component to be looked at again, and why; the last to be touched stands last."""
        self.placed: set[str] = set()
        """Whoever has been looked at."""
        self.found: dict[Ends, Dispute] = {}
        """The disputes in what has been looked at, but for those of hubs."""
        self.hub_pairs: set[Ends] = set()
        """Pairs whose dispute may have begun or ended with a hub."""
        self._spreading: set[str] = set()

    def claim(
        self, identifier: str, asked: int, pairs: dict[str, tuple[PairStatement, ...]], restricted: bool
    ) -> None:
        """Replace what ``identifier`` says of the pairs named and of its own protection."""
        node = self.near.node(identifier)
        self.near.dirty.add(identifier)
        node.answered = max(node.answered, asked)
        touched = node.told is None or restricted != node.restricted
        for other, statements in pairs.items():
            if self.near.say(identifier, other, statements):
                touched = True
                self._seed(other, self.asking[identifier])
        if touched:
            self._seed(identifier, self.asking[identifier])
        if restricted != node.restricted:
            node.restricted = restricted
            node.spreading = Spread(0, self.asking[identifier])
            self._spreading.add(identifier)

    def _seed(self, identifier: str, cause: Cause) -> None:
        self.seeds.pop(identifier, None)
        self.seeds[identifier] = cause

    # -- protection, which reaches across every edge, cut or not (C3)

    def spread(self, woken: Iterable[str]) -> None:
        """Tell the neighbours of whoever's protection changed; of a hub's, so many a step."""
        budget = self.rules.limits.told_a_step
        for identifier in sorted({*self._spreading, *woken}):
            node = self.near.node(identifier)
            if node.spreading is None:
                continue
            page, cause = node.spreading.page, node.spreading.cause
            self._shelter(identifier, list(node.implicit), cause)
            while page < node.pages and budget > 0:
                others = list(self.near.page(identifier, page))
                self._shelter(identifier, others, cause)
                budget -= len(others)
                page += 1
            node.spreading = Spread(page, cause) if page < node.pages else None
            self.near.dirty.add(identifier)

    def _shelter(self, identifier: str, others: Iterable[str], cause: Cause) -> None:
        protected = self.near.node(identifier).restricted
        for other in others:
            self.near.protect(other, identifier, protected)
            # INVARIANT: even if that was known there: a node counted meanwhile knows it and has told nobody.
            self.seeds.setdefault(other, cause)

    # -- components

    def settle(self) -> None:
        """Look again at each component that was touched and tell whoever must know."""
        self._flip_hubs()
        order = {seed: place for place, seed in enumerate(self.seeds)}
        for seed in sorted(self.seeds):
            if seed not in self.placed:
                for component in self._components(seed):
                    # INVARIANT: the last that touched this component, or its part: an event about anybody
                    # else, who was only asked about in the same step, is never named (V5).
                    touched = component.members & order.keys() or {seed}
                    self._answer(component, self.seeds[max(touched, key=order.__getitem__)])
        for identifier, cause in self.asking.items():
            told = self.near.node(identifier).told
            if identifier not in self.placed and told is not None:
                self._tell(identifier, replace(told, contested=self._contested(identifier)), cause)
        self._report()

    def _flip_hubs(self) -> None:
        """See who has become a hub or is none any more, and look at the other ends of its edges.

        At itself as well, but one of its pairs has changed, so that is so already.
        """
        for identifier in list(self.near.dirty):
            node = self.near.node(identifier)
            if self.near.is_hub(identifier) != node.hub:
                node.hub = not node.hub
                for other in self.near.implicit(identifier):
                    self.hub_pairs.add(ends(identifier, other))
                    self.seeds.setdefault(other, self.seeds.get(identifier, NO_EVENT))

    def _reach(self, start: str, explicit_only: bool) -> _Component:
        """What the edges left reach from ``start``; those of a hub are not asked for one by one."""
        near, component = self.near, _Component({start})
        waiting = [start]
        while waiting:
            here = waiting.pop()
            node = near.node(here)
            beyond = list(node.explicit)
            if near.is_hub(here):
                if node.protected:
                    component.sheltered.add(here)
            else:
                for other, protected in node.implicit.items():
                    hub = near.is_hub(other)
                    if not (hub or explicit_only):
                        beyond.append(other)
                        continue
                    if not hub:
                        component.cut.add(ends(here, other))
                    if protected:
                        component.sheltered.add(here)
            for there in beyond:
                edge = near.pair(here, there).edge
                if edge is not None and edge.a == here:
                    component.edges.append(edge)
                if there not in component.members:
                    component.members.add(there)
                    waiting.append(there)
        return component

    def _components(self, seed: str) -> Iterator[_Component]:
        """The component of ``seed``, or the explicit ones that it falls into when it is overgrown (I3)."""
        whole = self._reach(seed, explicit_only=False)
        self.placed |= whole.members
        if len(whole.edges) <= self.rules.limits.component_edges:
            yield whole
            return
        placed: set[str] = set()
        for member in sorted(whole.members):
            if member not in placed:
                part = self._reach(member, explicit_only=True)
                placed |= part.members
                yield part

    def _answer(self, component: _Component, cause: Cause) -> None:
        """Make the persons of a component and tell their members."""
        near, schemes, members = self.near, self.rules.contracts.schemes, component.members
        unlinked: dict[str, set[str]] = defaultdict(set)
        for member in members:
            for other in near.node(member).contested:
                # Whoever states an unlink says something of the pair, so one of the two sides finds it.
                if other in members and near.pair(member, other).unlinked:
                    unlinked[member].add(other)
                    unlinked[other].add(member)
        formed = form_persons(members, component.edges, unlinked, schemes, self.rules.limits)
        self.found |= dict.fromkeys(component.cut, Dispute.OVERGROWN)
        self.found |= {(edge.a, edge.b): reason for edge, reason in formed.skipped}
        protected_inside = any(near.node(member).restricted for member in members)
        for person in formed.persons:
            answer = Answer(
                self.rules.keys.person_id(anchor(person, formed.superseded, schemes)),
                tuple(sorted(person)),
                tuple(sorted(person & formed.superseded)),
                protected_inside or not component.sheltered.isdisjoint(person),
            )
            for member in answer.members:
                self._tell(member, replace(answer, contested=self._contested(member)), cause)

    # -- what is said of it

    def _contested(self, member: str) -> tuple[str, ...]:
        """The pairs of which it must tell all that it said, not only the earliest (§7)."""
        return tuple(sorted(self.near.node(member).contested))

    def _tell(self, member: str, answer: Answer, cause: Cause) -> None:
        node = self.near.node(member)
        if answer == node.told and member not in self.asking:
            return
        before = node.told or Answer(self.rules.keys.person_id(member), (member,))
        told = Told(
            member,
            node.answered,
            answer.person,
            answer.members,
            answer.superseded,
            answer.restricted,
            answer.contested,
            (),
            set(before.members) <= set(answer.members),
            cause,
        )
        self.step.outgoing.append(Outgoing(ASSERTIONS_TOPIC, member.encode(), encode(told)))
        node.told = answer
        self.near.dirty.add(member)

    def _report(self) -> None:
        """Publish each dispute that began, changed or was settled, once for its pair (I3).

        Whether a hub cut an edge is seen from the edge and the hubs; any other reason is kept by the smaller
        end. So no list grows with a hub, and of two hubs neither reports what the other does.
        """
        near = self.near
        hub_pairs = self.hub_pairs | near.was_implicit.keys()
        own = {(member, other) for member in self.placed for other in near.node(member).disputed}
        for a, b in sorted(hub_pairs | self.found.keys() | own):
            node, after = near.node(a), self.found.get((a, b))
            before = node.disputed.get(b)
            if (a, b) in hub_pairs:
                edge = near.pair(a, b).edge
                implicit = edge is not None and not edge.explicit
                if near.was_implicit.get((a, b), implicit) and (near.was_hub[a] or near.was_hub[b]):
                    before = Dispute.HUB
                if implicit and (near.is_hub(a) or near.is_hub(b)):
                    after = Dispute.HUB
            if before != after:
                self._publish(a, b, before, after)

    def _publish(self, a: str, b: str, before: str | None, after: Dispute | None) -> None:
        node = self.near.node(a)
        node.disputed.pop(b, None)
        if after is not None and after is not Dispute.HUB:
            node.disputed[b] = after.value
        self.near.dirty.add(a)
        body = None if after is None else encode((a, b, after.value))
        self.step.outgoing.append(Outgoing(DISPUTES_TOPIC, f"{a}|{b}".encode(), body))
        outcome = "settled" if after is None else "disputed"
        self.step.outcomes.append(Outcome(PAIRS_TOPIC, outcome, after or before or ""))
