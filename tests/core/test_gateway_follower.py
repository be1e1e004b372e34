"""A follower of a view topic in the gateway: what it shows when something breaks (V7)."""

from __future__ import annotations

import asyncio

import pytest

from connectors import kafka_follower
from connectors.away import Away
from connectors.kafka_access import KafkaAccess
from connectors.kafka_follower import Follower


class Broken(Follower):
    """It has read a topic to its end, then breaks at each thing that ``errors`` holds."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(KafkaAccess("127.0.0.1:1"), "view.council", taking=None)  # type: ignore[arg-type]
        self.errors = list(errors)
        self._positions, self._was_at_end = [7], True
        self.began: list[list[int]] = []

    async def _follow(self) -> None:
        self.began.append(list(self._positions))
        if self.errors:
            raise self.errors.pop(0)
        await asyncio.Event().wait()


def followed(follower: Broken, times: int) -> None:
    """Let it begin so many times."""

    async def follow() -> None:
        follower.start()
        while len(follower.began) < times:
            await asyncio.sleep(0)
        with pytest.raises(Away):
            await follower.reached_the_end(1)
        await follower.stop()

    asyncio.run(follow())


def test_a_defect_ends_no_follower_and_nothing_read_before_is_shown(monkeypatch: pytest.MonkeyPatch):
    """V7: else what was retracted since would be shown for ever; it says so, and reads all of it again."""
    monkeypatch.setattr(kafka_follower, "RETRY_S", 0)
    follower = Broken(ValueError("a defect"), KeyError("another"))
    followed(follower, 3)
    assert follower.began == [[7], [], []]
    assert not follower.is_ready


def test_a_broker_that_was_away_is_followed_on_from_where_it_was(monkeypatch: pytest.MonkeyPatch):
    """Nothing that was read is in doubt, so it need not be read again."""
    monkeypatch.setattr(kafka_follower, "RETRY_S", 0)
    follower = Broken(OSError("away"))
    followed(follower, 2)
    assert follower.began == [[7], [7]]
    assert follower.is_ready
