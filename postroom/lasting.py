"""Commands that go on until they are told to stop, and outlive what they stand on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connectors import Trouble, Unreachable
from postroom.errors import Exit, UserError
from processors.engine.journal import say

PAUSE_S_MAX = 10.0


@contextmanager
def until_told() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_on(work: Callable[[Callable[[], None]], None], stop: threading.Event, name: str) -> None:
    """Do the work until told to stop; begin again when something that it stands on has gone away.

    `work` calls what it is given once it is under way. Until it has been so once, what cannot be reached
    ends the command: a person is looking then. What is wrong with us, and not with the world, always ends
    it.
    """
    has_worked, pause_s = False, 0.5

    def under_way() -> None:
        nonlocal has_worked, pause_s
        has_worked, pause_s = True, 0.5

    while not stop.is_set():
        try:
            work(under_way)
        except (Trouble, UserError) as error:
            if not has_worked or not _is_away(error):
                raise
            say(f"{name}-waits", what=error.what, where=error.where, why=error.why, mend=error.mend)
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)


def _is_away(error: Trouble | UserError) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, UserError) and error.code == Exit.UNREACHABLE)
