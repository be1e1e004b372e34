"""How much one step takes: all there is while it is little, less while steps are slow (V7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import repeat
from typing import Any

LATE_S = 4.0
"""Input that has waited longer is late."""
LATE_TIMES_MAX = 4


class BatchLimit:
    """Records per step, so that a step keeps to its time: it grows with lag and shrinks with slowness.

    An idle task's batch is small by itself, because little is waiting; the limit only ever matters under lag.
    Only the time that the step works counts, not the time that its transaction waits for the broker: round
    trips take as long for ten records as for a thousand, so smaller batches would shorten none of them, and
    on a machine with too much to do they would only be more.

    While its input is late, a step may be several times as large and as long: what it folds together is
    decided, written and logged once, and who has waited for a quarter of a minute does not mind a second
    (docs/adr/0075).
    """

    LEAST = 16

    def __init__(self, most: int, target_ms: int, *, grows: bool = True) -> None:
        self._most = most
        self._target_s = target_ms / 1000
        self._grows = grows
        self.records = min(most, 1_000)
        self.late = False
        """Whether the last step's input was, so that steps may be larger."""

    def took(self, records: int, seconds: float, waited_s: float = 0) -> None:
        """Learn from one step of so many records, the oldest of which had waited so long."""
        times = min(waited_s / LATE_S, LATE_TIMES_MAX)
        self.late = self._grows and times > 1
        times = times if self.late else 1.0
        target_s, most = self._target_s * times, int(self._most * times)
        if seconds > target_s:
            fitting = int(records * target_s / seconds)
            self.records = max(self.LEAST, min(self.records, fitting), self.records // 4)
        elif records >= self.records and seconds < 0.7 * target_s:
            fitting = int(0.8 * records * target_s / max(seconds, 0.001))
            self.records = max(self.records * 3 // 2, min(fitting, self.records * (16 if self.late else 4)))
        self.records = min(self.records, most)


class Waiting:
    """Fetched records until a step takes them, the oldest first: so many messages, and so many bytes.

    Each topic's are in their order, and of several topics comes first what was appended first, by the
    broker's clock. A client hands over one topic's backlog before another's, in an order drawn by lot; who
    took it as it comes would let a withdrawal wait behind a year of addresses (V7, docs/adr/0074).
    But always one record, and records whole: a step may have the better part of a frame more than its limit.
    What follows from a step's input must fit into memory and into one transaction's time, and a record may be
    a MiB as well as a hundred bytes.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = self._messages = self._count = 0
        self._topics: dict[str, deque[tuple[Any, int, int]]] = {}
        """Those that have some: each record with how many messages it holds, and how many bytes."""

    def __len__(self) -> int:
        return self._count

    def add(self, topic: str, records: Sequence[Any], messages: Iterable[int] = repeat(1)) -> None:
        """Put records behind those of their topic; ``messages`` says how many each of them holds."""
        queue = self._topics.setdefault(topic, deque())
        for record, held in zip(records, messages, strict=False):
            size = 0 if record.value is None else len(record.value)
            queue.append((record, held, size))
            self._messages += held
            self._bytes += size
        self._count += len(records)

    def full(self, messages_max: int) -> bool:
        """Whether two steps' input is here, so that fetching more can wait."""
        return self._messages >= 2 * messages_max or self._bytes >= 2 * self._bytes_max

    def lacks(self, topic: str) -> bool:
        """Whether nothing of a topic is here, so that nobody knows how old its next record is."""
        return topic not in self._topics

    def take(self, messages_max: int) -> list[Any]:
        """Take the next step's input."""
        batch: list[Any] = []
        messages = size = 0
        heads = [(queue[0][0].timestamp, topic) for topic, queue in self._topics.items()]
        heapify(heads)
        while heads and messages < messages_max:
            topic = heads[0][1]
            queue = self._topics[topic]
            record, held, weight = queue[0]
            if batch and size + weight > self._bytes_max:
                break
            queue.popleft()
            batch.append(record)
            messages += held
            size += weight
            if queue:
                heapreplace(heads, (queue[0][0].timestamp, topic))
            else:
                heappop(heads)
                del self._topics[topic]
        self._messages -= messages
        self._bytes -= size
        self._count -= len(batch)
        return batch
