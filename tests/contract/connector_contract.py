"""What every connector must do, whatever it carries and wherever to: the abstract tests, and their port.

A connector joins by an adapter (`Carrier`) and a subclass of `ConnectorContract` in a test file of its own
whose fixture `carrier` makes one. The adapter holds both outsides: where things come from, and where they
go, the *peer*.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from itertools import groupby

import pytest

KEYS = ("a", "b", "c")


class Died(BaseException):
    """The process was killed here: no `except Exception` of a connector may notice."""


class Fuse:
    """Ends a life at the n-th touch."""

    def __init__(self) -> None:
        self.left = 0
        self.blown = False

    def touch(self) -> None:
        """Count one; whoever is dead touches nothing more."""
        self.left -= 1
        self.blown = self.blown or self.left == 0
        if self.blown:
            raise Died


class Carrier(ABC):
    """One connector between two outsides that a test rules."""

    stops_at_malformed = False
    """Whether malformed input ends it (it came from ourselves) instead of being put aside with its reason."""

    @abstractmethod
    def give(self, key: str, number: int) -> None:
        """Hand an item over at the entrance; a later number of a key is newer."""

    @abstractmethod
    def give_again(self, key: str, number: int) -> None:
        """Hand over what was handed over before, as a sender does that heard no answer."""

    @abstractmethod
    def give_malformed(self, secret: str) -> None:
        """Hand over something that cannot be carried and holds this text."""

    @abstractmethod
    def work(self) -> None:
        """Let it do all that it can now; what the peer does to it must not come out."""

    @abstractmethod
    def die_at(self, touch: int) -> None:
        """Let its next life end, by `Died` out of `work`, at the n-th time that it touches an outside."""

    @abstractmethod
    def restart(self) -> None:
        """Begin a new life with what outlives a process, and nothing else."""

    @abstractmethod
    def peer(self, state: str) -> None:
        """Make the peer `well`, `dead` (it refuses) or `slow` (it answers late, or not in time)."""

    @abstractmethod
    def arrived(self) -> list[tuple[str, int]]:
        """What a receiver that keeps its rules has taken, in order: an item that comes twice counts once."""

    @abstractmethod
    def waiting(self) -> int:
        """How many items the entrance still holds, or the sender was not told of."""

    @abstractmethod
    def reported(self) -> str:
        """All that was said about what could not be carried, logs too."""


class ConnectorContract:
    """The contract. `arrived` may leave out what a newer item of the key has replaced, and nothing else."""

    @pytest.fixture
    def carrier(self) -> Carrier:
        """One carrier for a test."""
        raise NotImplementedError

    def test_everything_arrives_once_and_in_order(self, carrier: Carrier):
        """Of each key; and nothing is left."""
        self._give(carrier, range(1, 4))
        carrier.work()
        _complete(carrier, 3)

    def test_what_comes_later_arrives_too(self, carrier: Carrier):
        """It does not end when it has caught up."""
        for number in range(1, 4):
            self._give(carrier, [number])
            carrier.work()
            _complete(carrier, number)

    def test_duplicates_count_once(self, carrier: Carrier):
        """A sender that is not sure says it again, late or at once."""
        self._give(carrier, [1])
        carrier.give_again("a", 1)
        carrier.work()
        carrier.give_again("b", 1)
        self._give(carrier, [2])
        carrier.give_again("c", 1)
        carrier.work()
        _complete(carrier, 2)

    @pytest.mark.parametrize("touch", range(1, 13))
    def test_killed_anywhere_it_loses_and_doubles_nothing(self, carrier: Carrier, touch: int):
        """Wherever it touches the outside; and killed again soon after."""
        self._give(carrier, range(1, 4))
        for at in (touch, 2):
            carrier.die_at(at)
            with suppress(Died):
                carrier.work()
            carrier.restart()
        carrier.work()
        _complete(carrier, 3)

    def test_a_dead_peer_loses_nothing(self, carrier: Carrier):
        """While it is dead nothing is taken for done; when it is back all of it arrives."""
        carrier.peer("dead")
        self._give(carrier, [1, 2])
        carrier.work()
        carrier.work()
        assert carrier.arrived() == []
        assert carrier.waiting() > 0, "it was taken for done"
        carrier.restart()
        carrier.peer("well")
        carrier.work()
        _complete(carrier, 2)

    def test_a_slow_peer_loses_and_doubles_nothing(self, carrier: Carrier):
        """It answers after everybody has lost patience."""
        carrier.peer("slow")
        self._give(carrier, [1, 2])
        carrier.work()
        carrier.peer("well")
        carrier.work()
        _complete(carrier, 2)

    def test_malformed_input_is_named_and_never_carried(self, carrier: Carrier):
        """It is put aside with its reason, or, where only we can have written it, ends the connector before
        anything behind it is taken for done. What it says is told nowhere.
        """
        self._give(carrier, [1])
        carrier.work()
        carrier.give_malformed("NC999999C")
        self._give(carrier, [2])
        carrier.work()
        told = carrier.reported()
        assert told, "nobody heard of it"
        assert "NC999999C" not in told
        if carrier.stops_at_malformed:
            assert carrier.waiting() > 0
        else:
            _complete(carrier, 2)

    @staticmethod
    def _give(carrier: Carrier, numbers: range | list[int]) -> None:
        for number in numbers:
            for key in KEYS:
                carrier.give(key, number)


def _complete(carrier: Carrier, last: int) -> None:
    """Every key has come to its last number, never back, never twice."""
    arrived = carrier.arrived()
    by_key = {key: [n for _, n in found] for key, found in groupby(sorted(arrived, key=_key), key=_key)}
    assert by_key.keys() == {*KEYS}
    for numbers in by_key.values():
        assert numbers == sorted(set(numbers)), "out of order, or twice"
        assert numbers[-1] == last
    assert carrier.waiting() == 0


def _key(item: tuple[str, int]) -> str:
    return item[0]
