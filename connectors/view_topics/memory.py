"""View topics without a broker: for tests of what is done with views. It ships with the product."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.away import Away
from connectors.kafka_follower import Positions
from connectors.view_topics.ports import Change, Expired, Page
from connectors.view_topics.shown import SUPERSEDES

PARTITIONS = 3


class MemoryViews:
    """View topics as lists; `away` as if the broker were."""

    def __init__(self) -> None:
        self.topics: dict[str, list[list[Change]]] = {}
        self.away = False
        self._changed = asyncio.Event()

    def write(
        self,
        agreement: str,
        key: str,
        value: dict[str, Any] | None,
        headers: Sequence[tuple[str, str]] = (),
        timestamp_ms: int = 0,
        partition: int | None = None,
    ) -> None:
        """Append one record."""
        partitions = self._partitions(agreement)
        number = sum(key.encode()) % PARTITIONS if partition is None else partition
        offset = len(partitions[number])
        partitions[number].append(Change(key, value, tuple(headers), timestamp_ms, number, offset))
        self._changed.set()
        self._changed = asyncio.Event()

    async def page(self, agreement: str, positions: Positions, limit: int) -> Page:
        """Return changes from there on."""
        self._there()
        partitions = self._partitions(agreement)
        reached = [*positions, *([0] * (PARTITIONS - len(positions)))]
        beyond = any(at > len(records) for at, records in zip(reached, partitions, strict=False))
        if beyond or len(positions) > PARTITIONS:
            raise Expired
        changes: list[Change] = []
        for number, records in enumerate(partitions):
            last = {each.key: each for each in records}
            while reached[number] < len(records) and len(changes) < limit:
                changes += _handed_out(records[reached[number]], last)
                reached[number] += 1
        at_end = all(at == len(records) for at, records in zip(reached, partitions, strict=True))
        return Page(changes, tuple(reached), at_end)

    async def wait(self, agreement: str, positions: Positions, seconds: float) -> None:
        """Wait for the next record of any topic."""
        self._there()
        if self._beyond(agreement, positions):
            return
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    async def latest(self, agreement: str, key: str) -> Change | None:
        """Return the last record under a key."""
        self._there()
        found = [each for records in self._partitions(agreement) for each in records if each.key == key]
        return found[-1] if found else None

    def _beyond(self, agreement: str, positions: Positions) -> bool:
        reached = [*positions, *([0] * PARTITIONS)]
        return any(len(records) > reached[n] for n, records in enumerate(self._partitions(agreement)))

    def _partitions(self, agreement: str) -> list[list[Change]]:
        return self.topics.setdefault(agreement, [[] for _ in range(PARTITIONS)])

    def _there(self) -> None:
        if self.away:
            raise Away("the broker is away")


def _handed_out(change: Change, last: Mapping[str, Change]) -> list[Change]:
    """What is told of one record, see `ports.Views`."""
    now = last[change.key]
    if change.value is None or now is change:
        return [change]
    told = tuple(pair for pair in change.headers if pair[0] == SUPERSEDES)
    if not told or now.value is None:
        return []
    return [now._replace(headers=now.headers + told, offset=change.offset)]
