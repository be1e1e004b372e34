"""How much one step takes: all there is while it is little, less while steps are slow (V7)."""

from __future__ import annotations

from collections import deque


class BatchLimit:
    """Records per step, so that a step keeps to its time: it grows with lag and shrinks with slowness.

    An idle task's batch is small by itself, because little is waiting; the limit only ever matters under lag.
    A transaction's round trips cost the same for ten records as for a thousand: a smaller batch would not
    shorten them, so the least of the last commits does not count as time that the batch took.
    """

    LEAST = 16

    def __init__(self, most: int, target_ms: int) -> None:
        self._most = most
        self._target_s = target_ms / 1000
        self.records = min(most, 500)
        self._commits: deque[float] = deque(maxlen=50)

    def took(self, records: int, stage_s: float, commit_s: float = 0.0) -> None:
        """Learn from one step of so many records: the time of the stage, and of its transaction."""
        self._commits.append(commit_s)
        seconds = stage_s + commit_s - min(self._commits)
        if seconds > self._target_s:
            fitting = int(records * self._target_s / seconds)
            self.records = max(self.LEAST, min(self.records, fitting), self.records // 4)
        elif records >= self.records and seconds < 0.7 * self._target_s:
            self.records = min(self._most, self.records * 3 // 2)
