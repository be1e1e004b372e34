"""Commands that go on until they are told to stop, and outlive what they stand on (docs/adr/0054)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from connectors import Stack, Trouble, Unreachable
from connectors.trouble import NotLetIn
from postroom.config import Settings
from postroom.errors import Exit, UserError
from postroom.logs import configure_logs
from postroom.signals import show_signals
from processors.engine.journal import say

PAUSE_S_MIN, PAUSE_S_MAX = 0.5, 10.0


class Progress:
    """What a lasting work waits for; nothing while it is under way."""

    def __init__(self) -> None:
        self._waits_for: tuple[str, ...] = ("its beginning",)

    def under_way(self) -> None:
        """It does what it is there for."""
        self._waits_for = ()

    def wait_for(self, what: str) -> None:
        """It cannot, until this is there: words of ours, nobody's data."""
        self._waits_for = (what,)

    @property
    def is_under_way(self) -> bool:
        """Whether it waits for nothing."""
        return not self._waits_for

    def waiting_for(self) -> list[str]:
        """As readiness shows it."""
        return list(self._waits_for)


class Lasting(Protocol):
    """A command's work on something outside Kafka."""

    def work(self, stop: threading.Event, progress: Progress) -> None:
        """Work until told to stop; Trouble or UserError when something that it stands on is away."""

    def waiting_for(self) -> list[str]:
        """Name what it waits for although it is under way."""

    def look(self) -> None:
        """Tell how its database stands, every fifteen seconds; nothing may come out of it."""


def last(name: str, settings: Settings, stack: Stack, running: Lasting) -> None:
    """Do a command's work with a log, metrics and health, until SIGTERM or Ctrl-C."""
    configure_logs(settings)
    progress = Progress()
    signals = show_signals(
        name,
        settings,
        stack,
        lambda: [*progress.waiting_for(), *running.waiting_for()],
        needed=("kafka",),
    )
    say("signals", url=signals.url)
    signals.keep_asking("database", running.look)
    try:
        with until_told() as stop:
            keep_on(lambda: running.work(stop, progress), stop, name, progress)
    finally:
        signals.close()


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


def keep_on(work: Callable[[], None], stop: threading.Event, name: str, progress: Progress) -> None:
    """Do the work until told to stop; begin again when something that it stands on is away, from the start.

    The log has it once, until the work was under way again or something else is away. What is wrong with us
    and not with the world ends it: a setting that is wrong stays wrong. So does a Kafka that has never let us
    in.
    """
    said, pause_s, has_worked = "", PAUSE_S_MIN, False
    while not stop.is_set():
        try:
            work()
        except (Trouble, UserError) as error:
            if progress.is_under_way:
                said, pause_s, has_worked = "", PAUSE_S_MIN, True
            if not _is_away(error) or (isinstance(error, NotLetIn) and not has_worked):
                raise
            progress.wait_for(error.what)
            if error.what != said:
                fields = {"where": error.where, "why": error.why, "mend": error.mend}
                say(f"{name}-waits", "warning", what=error.what, **fields)
            said = error.what
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)


def _is_away(error: Trouble | UserError) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, UserError) and error.code == Exit.UNREACHABLE)
