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
from processors.persons import Node, Persons, read_dispute, read_node
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
        self.step(*first)

    def step(self, *batch: Claims) -> dict[str, Told]:
        """Take over the claims in one step; return who was told what."""
        keyed = [(each.identifier.encode(), encode(each)) for each in batch]
        records = [Record(PAIRS_TOPIC, 0, n, 0, key, value) for n, (key, value) in enumerate(keyed)]
        step = self.stage.step(self.bodies.get, records, (), 0)
        self.bodies |= {key: state.body for key, state in step.states.items() if state is not None}
        self.outcomes, self.disputes = step.outcomes, {}
        self.written = {key.decode() for key in step.states}
        told: dict[str, Told] = {}
        for out in step.outgoing:
            if out.topic == DISPUTES_TOPIC:
                self.disputes[out.key.decode()] = None if out.value is None else read_dispute(out.value)
            else:
                assert out.topic == ASSERTIONS_TOPIC
                message = decode_for_identity(out.value or b"")
                assert isinstance(message, Told)
                assert out.key.decode() == message.identifier
                assert message.identifier not in told  # nobody is told twice in a step
                told[message.identifier] = message
        self.told |= told
        return told

    def node(self, identifier: str) -> Node:
        return read_node(self.bodies[identifier.encode()])

    def persons(self) -> set[frozenset[str]]:
        """The persons as everybody was last told; all members of each were told alike."""
        for told in self.told.values():
            for member in told.members:
                assert (self.told[member].members, self.told[member].person) == (told.members, told.person)
        return {frozenset(told.members) for told in self.told.values()}

    def disputed(self) -> set[tuple[str, str, str]]:
        """Each dispute as everybody was last told, once; both sides were told."""
        found = {(i, other, reason) for i, told in self.told.items() for other, reason in told.disputes}
        assert all((other, i, reason) in found for i, other, reason in found)
        return {each for each in found if each[0] < each[1]}

    def protected(self) -> set[str]:
        """Whoever was last told to be protected."""
        return {identifier for identifier, told in self.told.items() if told.restricted}
