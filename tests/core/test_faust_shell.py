"""Faust's shell where no broker is needed: what it takes for trouble, and what for an end in good order."""

from __future__ import annotations

import asyncio

import pytest

from processors.engine import faust_shell


class Stopping:
    """As much of a Faust consumer as its watch of the group asks for; it is told to stop after one look."""

    consumer_stopped_errors = ()

    def __init__(self, stops: bool):
        self.should_stop, self.stops, self.app = False, stops, None

    async def sleep(self, seconds: float) -> None:
        self.should_stop = self.stops


@pytest.fixture
def closed_loop(monkeypatch):
    """The consumer's thread has ended: whatever is asked of it fails so."""

    async def check(self):
        raise RuntimeError("Event loop is closed")

    def ended(where: str, error: BaseException):
        raise SystemExit(where)

    monkeypatch.setattr(faust_shell.FaustSource, "check", check)
    monkeypatch.setattr(faust_shell, "stop_process", ended)


@pytest.mark.usefixtures("closed_loop")
def test_a_worker_that_was_told_to_stop_takes_its_own_end_for_no_trouble():
    """SIGTERM ends with 0, although the watch of the group asks a thread that has gone."""
    watch = faust_shell.Consumer.watch_group.fun
    asyncio.run(watch(Stopping(stops=True)))


@pytest.mark.usefixtures("closed_loop")
def test_a_thread_that_ends_by_itself_is_trouble():
    """Nobody told it to."""
    watch = faust_shell.Consumer.watch_group.fun
    with pytest.raises(SystemExit, match="group"):
        asyncio.run(watch(Stopping(stops=False)))
