"""The graph of pairs in the hands of the persons stage: claim something, and see who is told what."""

from __future__ import annotations

from typing import Any

from processors.messages import (
    ASSERTIONS_TOPIC,
    DISPUTES_TOPIC,
    PAIRS_TOPIC,
    Cause,
    Claims,
    PairStatement,
    Told,
    decode_for_identity,
    encode,
)
from processors.node import Node, is_page, read_dispute, read_node
from processors.persons import Persons
from processors.rules import Keys, Limits, Rules
from processors.stage import Outcome, Record
from schemas import load_contracts
from tests.nasty.generate import CASES

KEYS = Keys(b"tests")
RULES = Rules(load_contracts(CASES / "contracts"), {}, KEYS)
SOURCE = "urn:gov:dwp:main"
Statement = tuple[str, str, int]
"""(kind, other, time) of what an identifier says."""


def claims(identifier: str, asked: int, *statements: Statement, restricted: bool = False) -> Claims:
    """What an identifier says now of the pairs named; one named with no kind is taken back."""
    pairs: dict[str, list[Any]] = {}
    for kind, other, time in statements:
        of = pairs.setdefault(other, [])
        if kind:
            of.append(PairStatement(time, SOURCE, f"{kind}{time}", kind))  # type: ignore[arg-type]
    everything = {other: tuple(of) for other, of in pairs.items()}
    return Claims(identifier, asked, everything, restricted, Cause(SOURCE, f"{identifier}/{asked}"))


def same(identifier: str, other: str, time: int = 1, kind: str = "same-person") -> Claims:
    """A first question, about one pair."""
    return claims(identifier, 1, (kind, other, time))


def linked(identifier: str, other: str, time: int = 1) -> Claims:
    """A first question, about one pair that was linked explicitly."""
    return same(identifier, other, time, "link")


class Graph:
    """All nodes, and what the last step did, as the engine would keep them."""

    def __init__(self, *first: Claims, **limits: int) -> None:
        self.stage = Persons(Rules(RULES.contracts, {}, KEYS, Limits(**limits)))
        self.bodies: dict[bytes, bytes] = {}
        self.outcomes: list[Outcome] = []
        self.disputes: dict[str, tuple[str, str, str] | None] = {}
        self.told: dict[str, Told] = {}
        """What each identifier was last told."""
        self.published: dict[str, tuple[str, str, str]] = {}
        """The disputes that are open."""
        self.wakes: set[bytes] = set()
        self.read: list[bytes] = []
        """The keys that the last step asked for and was not given at once."""
        self.step(*first)

    def step(self, *batch: Claims) -> dict[str, Told]:
        """Take over the claims in one step, and let it go on until it is done; return who was told what."""
        told = self.once(*batch)
        while self.wakes:
            told |= self.once()
        return told

    def once(self, *batch: Claims) -> dict[str, Told]:
        """Take over the claims in one step and leave the rest of the work; return who was told what."""
        keyed = [(each.identifier.encode(), encode(each)) for each in batch]
        records = [Record(PAIRS_TOPIC, 0, n, 0, key, value) for n, (key, value) in enumerate(keyed)]
        woken, self.wakes = sorted(self.wakes), set()
        self.read = []
        step = self.stage.step(self._lookup, records, woken, 0)
        self.outcomes, self.disputes = step.outcomes, {}
        self.written = {key.decode() for key in step.states if not is_page(key)}
        for key, state in step.states.items():
            self.bodies.pop(key, None)
            if state is not None:
                self.bodies[key] = state.body
                self.wakes |= {key} if state.wake_ms is not None else set()
        told: dict[str, Told] = {}
        for out in step.outgoing:
            if out.topic == DISPUTES_TOPIC:
                self._note(out.key.decode(), None if out.value is None else read_dispute(out.value))
            else:
                assert out.topic == ASSERTIONS_TOPIC
                message = decode_for_identity(out.value or b"")
                assert isinstance(message, Told)
                assert out.key.decode() == message.identifier
                assert message.identifier not in told  # nobody is told twice in a step
                told[message.identifier] = message
        self.told |= told
        return told

    def _lookup(self, key: bytes) -> bytes | None:
        self.read.append(key)
        return self.bodies.get(key)

    def _note(self, pair: str, dispute: tuple[str, str, str] | None) -> None:
        assert pair not in self.disputes  # no pair is reported twice in a step
        assert self.published.get(pair) != dispute  # nor when nothing changed
        self.disputes[pair] = dispute
        self.published.pop(pair, None)
        if dispute is not None:
            self.published[pair] = dispute

    def node(self, identifier: str) -> Node:
        return read_node(self.bodies[identifier.encode()])

    def persons(self) -> set[frozenset[str]]:
        """The persons as everybody was last told; all members of each were told alike."""
        for told in self.told.values():
            for member in told.members:
                assert (self.told[member].members, self.told[member].person) == (told.members, told.person)
        return {frozenset(told.members) for told in self.told.values()}

    def disputed(self) -> set[tuple[str, str, str]]:
        """The disputes that are open, the smaller identifier first."""
        assert all(a < b for a, b, _ in self.published.values())
        return set(self.published.values())

    def protected(self) -> set[str]:
        """Whoever was last told to be protected."""
        return {identifier for identifier, told in self.told.items() if told.restricted}
