"""Faust's shell where no broker is needed: what it takes for trouble, and what for an end in good order."""

from __future__ import annotations

import asyncio

import pytest

from processors.engine import EngineConfig, StageSpec, faust_shell
from processors.engine.plain_shell import PlainShell
from processors.engine.rocks import RocksMemory


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
