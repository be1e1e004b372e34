"""How much one step takes: all there is while it is little, less while steps are slow (V7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any


class BatchLimit:
    """Records per step, so that a step keeps to its time: it grows with lag and shrinks with slowness.

    An idle task's batch is small by itself, because little is waiting; the limit only ever matters under lag.
    Only the time that the step works counts, not the time that its transaction waits for the broker: round
    trips take as long for ten records as for a thousand, so smaller batches would shorten none of them, and
    on a machine with too much to do they would only be more.
    """

    LEAST = 16

    def __init__(self, most: int, target_ms: int) -> None:
        self._most = most
        self._target_s = target_ms / 1000
        self.records = min(most, 500)

    def took(self, records: int, seconds: float) -> None:
        """Learn from one step of so many records."""
        if seconds > self._target_s:
            fitting = int(records * self._target_s / seconds)
            self.records = max(self.LEAST, min(self.records, fitting), self.records // 4)
        elif records >= self.records and seconds < 0.7 * self._target_s:
            self.records = min(self._most, self.records * 3 // 2)


class Waiting:
    """Fetched records in their order, until a step takes them: so many messages, and so many bytes.

    But always one record, and records whole: a step may have the better part of a frame more than its limit.
    What follows from a step's input must fit into memory and into one transaction's time, and a record may be
    a MiB as well as a hundred bytes.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = self._messages = 0
        self._records: deque[tuple[Any, int, int]] = deque()
        """With how many messages each holds, and how many bytes."""

    def __len__(self) -> int:
        return len(self._records)

    def add(self, records: Sequence[Any], messages: Iterable[int] = repeat(1)) -> None:
        """Put records behind those that wait; ``messages`` says how many each of them holds."""
        for record, held in zip(records, messages, strict=False):
            size = 0 if record.value is None else len(record.value)
            self._records.append((record, held, size))
            self._messages += held
            self._bytes += size

    def full(self, messages_max: int) -> bool:
        """Whether two steps' input is here, so that fetching more can wait."""
        return self._messages >= 2 * messages_max or self._bytes >= 2 * self._bytes_max

    def take(self, messages_max: int) -> list[Any]:
        """Take the next step's input."""
        records = self._records
        batch: list[Any] = []
        messages = size = 0
        while records and messages < messages_max:
            record, held, weight = records[0]
            if batch and size + weight > self._bytes_max:
                break
            records.popleft()
            batch.append(record)
            messages += held
            size += weight
        self._messages -= messages
        self._bytes -= size
        return batch
