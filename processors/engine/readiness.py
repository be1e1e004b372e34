"""Whether this process does its work: what its stages still wait for, and whether its event loop turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

STUCK_AFTER_S = 60.0
"""An event loop that has not turned for so long will not: no step and no replayed chunk takes that long."""
_BEAT_S = 1.0


class Readiness:
    """Told by the stages' tasks, asked by whoever serves health; each is one number or one text, so from any
    thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, str] = {}
        self._open: dict[str, int] = {}
        self._beat_s: float | None = None

    def expect(self, stages: Iterable[str]) -> None:
        """Wait for the first assignment of each stage."""
        for stage in stages:
            self.lost(stage)

    def lost(self, stage: str) -> None:
        """A stage has no tasks until its group has agreed who takes which."""
        self._waiting[stage], self._open[stage] = "an assignment", 0

    def holds(self, stage: str, tasks: int, opened: int) -> None:
        """A stage was given tasks, of which so many are open."""
        self._open[stage] = opened
        self._waiting[stage] = "" if opened == tasks else f"{tasks - opened} of {tasks} tasks to be restored"

    def waiting_for(self) -> list[str]:
        """Name what is waited for; a process that holds no task at all does no work either."""
        waiting = [f"{stage}: {what}" for stage, what in sorted(self._waiting.items()) if what]
        return waiting or ([] if any(self._open.values()) else ["no task is open"])

    def beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Notice once a second that the loop turns."""
        self._beat_s = self._clock()
        loop.call_later(_BEAT_S, self.beat, loop)

    def is_alive(self) -> bool:
        """Whether the loop turns; before it has begun it is given the time."""
        return self._beat_s is None or self._clock() - self._beat_s < STUCK_AFTER_S

    @property
    def beating(self) -> bool:
        """Whether :meth:`beat` has begun."""
        return self._beat_s is not None


READINESS = Readiness()
"""This process's, as its metrics are."""
