"""How much one step takes: all there is while it is little, less while steps are slow (V7)."""

from __future__ import annotations


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
