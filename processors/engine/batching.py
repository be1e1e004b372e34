"""How much one step takes: all there is while it is little, less while steps are slow (V7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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
    """Fetched records in their order, until a step takes them: so many, and so many bytes, but always one.

    What follows from a step's input must fit into memory and into one transaction's time, and a record may be
    a MiB as well as a hundred bytes.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._records: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, records: Sequence[Any]) -> None:
        """Put records behind those that wait."""
        self._records.extend(records)
        self._bytes += sum(map(_bytes_of, records))

    def full(self, records_max: int) -> bool:
        """Whether two steps' input is here, so that fetching more can wait."""
        return len(self._records) >= 2 * records_max or self._bytes >= 2 * self._bytes_max

    def take(self, records_max: int) -> list[Any]:
        """Take the next step's input."""
        records = self._records
        if len(records) <= records_max and self._bytes <= self._bytes_max:
            batch = list(records)
            records.clear()
            self._bytes = 0
            return batch
        batch, size = [], 0
        while records and len(batch) < records_max:
            size += _bytes_of(records[0])
            if batch and size > self._bytes_max:
                size -= _bytes_of(records[0])
                break
            batch.append(records.popleft())
        self._bytes -= size
        return batch


def _bytes_of(record: Any) -> int:
    return 0 if record.value is None else len(record.value)
