"""How old the oldest record is that a task has been given and not yet stepped."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any


class Backlog:
    """The fetched chunks that are not done: each with its topic, its first timestamp and its end.

    Chunks and not records, because it is asked once a second and fed thousands of times. A chunk counts as
    old as its first record until all of it is done, so an age is never told too low.
    """

    def __init__(self) -> None:
        self._chunks: deque[tuple[str, int, int]] = deque()

    def add(self, topic: str, records: Sequence[Any]) -> None:
        """Take note of what was fetched from a topic's partition, in its order."""
        self._chunks.append((topic, records[0].timestamp, records[-1].offset + 1))

    def done(self, positions: Mapping[str, int]) -> None:
        """Forget what was committed; ``positions`` has the next offset to step by topic."""
        chunks = self._chunks
        while chunks and positions.get(chunks[0][0], 0) >= chunks[0][2]:
            chunks.popleft()

    def age_s(self, now_ms: int) -> float:
        """Return the age of the oldest, 0 if there is none."""
        oldest = min((timestamp for _, timestamp, _ in list(self._chunks)), default=now_ms)
        return max(0, now_ms - oldest) / 1000
