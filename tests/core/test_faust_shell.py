"""Faust's shell where no broker is needed: what it takes for trouble, and what for an end in good order."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest
from mode import Service

from processors.engine import EngineConfig, StageSpec, faust_shell
from processors.engine.plain_shell import PlainShell
from processors.engine.rocks import RocksMemory
from processors.engine.trouble import EXIT_STOPPED


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


class Idle:
    """A stage that does nothing."""

    name, rules_version = "idle", None


@pytest.mark.parametrize("shell", ["faust", "plain"])
def test_a_group_soon_asks_again_which_topics_there_are(tmp_path, shell):
    """While a broker starts a leader may know of none, and gives nothing to anybody until it asks again."""
    config = EngineConfig("127.0.0.1:9", None)
    spec, memory = StageSpec(Idle(), ("in",)), RocksMemory(1 << 20, 1 << 20)
    if shell == "faust":
        found = faust_shell.stage_app(spec, config, memory, tmp_path).conf.consumer_metadata_max_age_ms
    else:

        async def asked():
            return PlainShell(spec, config, memory)._consumer._client._metadata_max_age_ms

        found = asyncio.run(asked())
    assert found == config.metadata_max_age_ms <= 10_000


class Slow(Service):
    """A part of a worker that takes a moment to begin, and then runs until it is stopped."""

    def __init__(self, begins: asyncio.Event):
        self.begins, self.ended = begins, False
        super().__init__()

    async def on_start(self) -> None:
        await self.begins.wait()

    async def on_stop(self) -> None:
        self.ended = True


def test_a_worker_told_to_stop_while_it_starts_ends_everything_that_it_then_started(monkeypatch):
    """Not what has begun so far only: the rest would begin afterwards, and run for ever."""
    latest: list[bool] = []
    monkeypatch.setattr(faust_shell, "end_at_the_latest", lambda: latest.append(True))

    async def told_in_the_middle() -> list[bool]:
        begins = asyncio.Event()
        parts = [Slow(begins), Slow(begins)]
        worker = faust_shell.PatientWorker(*parts, quiet=True, loop=asyncio.get_running_loop())
        monkeypatch.setattr(worker, "on_first_start", nothing)  # no log of its own, no signals
        worker._starting_fut = starting = asyncio.ensure_future(worker.start())
        await asyncio.sleep(0.05)
        stopping = asyncio.ensure_future(worker._stop_on_signal(signal.SIGTERM))
        await asyncio.sleep(0.05)
        begins.set()
        await asyncio.wait_for(stopping, 10)
        await asyncio.wait([starting], timeout=10)
        return [part.started and part.ended for part in parts]

    async def nothing() -> None:
        return None

    assert asyncio.run(told_in_the_middle()) == [True, True]
    assert latest, "and if something never begins, the process ends all the same"


def test_an_end_that_takes_too_long_is_an_end_all_the_same():
    """Exit 70 and a line that says so; nothing that a library waits for holds the process up."""
    program = (
        "import time\nfrom processors.engine.trouble import end_at_the_latest\n"
        "end_at_the_latest(0.1)\ntime.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=50, check=False)
    assert done.returncode == EXIT_STOPPED
    assert b"told to stop" in done.stderr
