"""The port to a task's local state, and the form of it that lives in memory.

A store is a cache of the changelog: it may be lost at any time and is never ahead of the log (V6). It holds
changelog values by key, the changelog offset that it reflects, and an index of wakes in order of time (V8).
An index in the store rather than a heap in memory: nearly every record of a citizen has a moment to come
(R7), and seventy million of them are neither held in a process nor read at every start.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Protocol

from processors.engine.changelog import TASK_KEY, wake_of
from processors.engine.trouble import EngineStop

Changes = Mapping[bytes, bytes | None]
"""Changelog values by key; None deletes."""


class StoreFull(EngineStop):
    """The local disk is full; the changelog has everything."""


class StoreTaken(EngineStop):
    """Another living process has this store open."""


class StoreCorrupt(EngineStop):
    """The store cannot be read; it is deleted and rebuilt from the changelog."""


class Store(Protocol):
    """What a task asks of its local state; every adapter passes ``tests/core/test_engine_store.py``."""

    offset: int
    """The changelog offset up to which this store reflects the log; 0 for an empty one."""

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the changelog values of the keys that exist."""
        ...

    def put(self, changes: Changes, offset: int, before: Mapping[bytes, bytes] | None = None) -> None:
        """Apply changes and the offset that they reach, all or nothing.

        ``before`` holds values that the caller has just read; with them the index forgets their wakes at
        once, without them when they come due.
        """
        ...

    def due(self, now_ms: int, limit: int) -> list[bytes]:
        """Return keys whose wake is not after ``now_ms``, earliest first, until a put changes their wake."""
        ...

    def next_wake_ms(self) -> int | None:
        """Return a moment before which nothing is due; None if nothing ever is."""
        ...

    def keys_after(self, cursor: bytes, limit: int) -> list[bytes]:
        """Return the next keys of stages in byte order after ``cursor`` (empty: from the first)."""
        ...

    def close(self) -> None:
        """Let go of it; what was put stays."""
        ...

    def wipe(self) -> None:
        """Forget everything, offset included."""
        ...


class MemoryStore:
    """State in memory: for tests, and for stages whose state is small."""

    def __init__(self) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Forget everything."""
        self.offset = 0
        self._values: dict[bytes, bytes] = {}
        self._wakes: list[tuple[int, bytes]] = []

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the changelog values of the keys that exist."""
        return {key: self._values[key] for key in keys if key in self._values}

    def put(self, changes: Changes, offset: int, before: Mapping[bytes, bytes] | None = None) -> None:
        """Apply changes and the offset that they reach."""
        for key, value in changes.items():
            if value is None:
                self._values.pop(key, None)
                continue
            old = self._values.get(key)
            self._values[key] = value
            wake = wake_of(value)
            if wake and (old is None or wake_of(old) != wake):
                heapq.heappush(self._wakes, (wake, key))
        self.offset = offset

    def due(self, now_ms: int, limit: int) -> list[bytes]:
        """Return keys whose wake is not after ``now_ms``, earliest first."""
        found: list[tuple[int, bytes]] = []
        while self._wakes and self._wakes[0][0] <= now_ms and len(found) < limit:
            entry = heapq.heappop(self._wakes)
            if self._is_current(entry) and entry not in found[-1:]:
                found.append(entry)
        for entry in found:  # due until a put says otherwise: the step that answers it may never commit
            heapq.heappush(self._wakes, entry)
        return [key for _, key in found]

    def next_wake_ms(self) -> int | None:
        """Return a moment before which nothing is due."""
        while self._wakes and not self._is_current(self._wakes[0]):
            heapq.heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else None

    def _is_current(self, entry: tuple[int, bytes]) -> bool:
        value = self._values.get(entry[1])
        return value is not None and wake_of(value) == entry[0]

    def keys_after(self, cursor: bytes, limit: int) -> list[bytes]:
        """Return the next keys of stages in byte order."""
        return heapq.nsmallest(limit, (key for key in self._values if key > cursor and key != TASK_KEY))

    def close(self) -> None:
        """Keep what there is: reopening finds the same."""
