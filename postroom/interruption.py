"""Ctrl-C, `kill` and a closed terminal end a command in order, wherever it is.

An exception that breaks in anywhere leaves a Kafka client that never answers again, or a worker that nobody
remembers starting (both were seen). So once there is something to clean up or to tell, a request is only
noted, and heeded where the command waits.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Whether somebody asked the command to end, and whether that may break in."""

    def __init__(self) -> None:
        self._asked = False
        self._gentle = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals; one that the caller ignores (a job in the background) stays ignored."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
        for number in taken:
            signal.signal(number, self._note)
        try:
            yield
            self.heed()
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)

    @contextmanager
    def gently(self) -> Iterator[None]:
        """From here on a request is noted and does not break in."""
        self._gentle += 1
        try:
            yield
        finally:
            self._gentle -= 1

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within `gently`, let a request break in after all, one that was noted before too."""
        self.heed()
        self._gentle -= 1
        try:
            yield
        finally:
            self._gentle += 1

    def heed(self) -> None:
        """KeyboardInterrupt if somebody has asked."""
        if self._asked:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if not self._gentle:
            raise KeyboardInterrupt
