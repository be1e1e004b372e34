"""Tasks of one process that work off a backlog: large steps, two at a time (docs/adr/0075)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from processors.engine.changelog import TaskMemory
from processors.engine.settings import LATE_AT_ONCE, EngineConfig, StageSpec
from processors.engine.store import MemoryStore
from processors.engine.sweep import Sweeper
from processors.engine.task import Task
from processors.stage import Step

NOW_MS = 1_000_000
TASKS = 5


class Silent:
    """A stage from which nothing follows."""

    name = "silent"
    rules_version = None

    def keys(self, batch):
        return set()

    def step(self, states, batch, wakes, now_ms):
        return Step()


class Broker:
    """Commits when it is let, and knows how many transactions are open."""

    def __init__(self):
        self.open, self.most, self.since = 0, 0, []
        self.let_go = asyncio.Event()

    async def routed(self, outgoing, sent, since_ms):
        self.since.append(since_ms)
        return {}

    async def commit(self, routed, changelog, changes, offsets, *, group, fault):
        self.open += 1
        self.most = max(self.most, self.open)
        await self.let_go.wait()
        self.open -= 1
        return 1


def tasks_of_one_process(broker):
    config, spec = EngineConfig("", None), StageSpec(Silent(), ("in",))
    made = []
    for partition in range(TASKS):
        store = MemoryStore()
        task = Task(spec, config, partition, store, lambda: None, clock=lambda: NOW_MS)
        task._memory = TaskMemory()
        task._sweeper, task._transactor = Sweeper(task._memory, store), broker
        made.append(task)
    return made


def feed(task, offset, waited_ms):
    record = {"topic": "in", "partition": task.partition, "offset": offset, "timestamp": NOW_MS - waited_ms}
    task.feed("in", [SimpleNamespace(**record, key=None, value=b"x", headers=())])


async def steps_beside_each_other(tasks, broker):
    """Let all step; tell how many transactions were open at most."""
    broker.most = 0
    broker.let_go.clear()
    stepping = [asyncio.create_task(task._turn()) for task in tasks]
    for _ in range(20):
        await asyncio.sleep(0)
    broker.let_go.set()
    assert all(await asyncio.gather(*stepping))
    return broker.most


def test_steps_of_late_input_take_turns_and_others_wait_for_nobody():
    """Or a dozen open transactions would each outlast a dozen steps of a second, and time out."""

    async def play():
        broker = Broker()
        tasks = tasks_of_one_process(broker)
        most = []
        for offset, waited_ms in enumerate((100, 60_000, 60_000, 100, 100)):
            for task in tasks:
                feed(task, offset, waited_ms)
            most.append(await steps_beside_each_other(tasks, broker))
        # The first step of late input finds that it is, and the first one after it that it is no more.
        assert most == [TASKS, TASKS, LATE_AT_ONCE, LATE_AT_ONCE, TASKS]

    asyncio.run(play())


def test_what_follows_from_a_step_says_since_when_its_oldest_input_has_waited():
    """The next stage's input is new, but what it comes from is not."""

    async def play():
        broker = Broker()
        task = tasks_of_one_process(broker)[0]
        feed(task, 0, 7_000)
        feed(task, 1, 5_000)
        await steps_beside_each_other([task], broker)
        assert broker.since == [NOW_MS - 7_000]

    asyncio.run(play())


def test_a_task_that_is_revoked_while_it_waits_for_its_turn_does_nothing_more():
    """What it would have taken is its successor's."""

    async def play():
        broker = Broker()
        broker.let_go.set()
        task = tasks_of_one_process(broker)[0]
        feed(task, 0, 60_000)
        assert await task._turn()
        feed(task, 1, 60_000)
        for _ in range(LATE_AT_ONCE):
            await task._config.late_turns.acquire()
        stepping = asyncio.create_task(task._turn())
        await asyncio.sleep(0)
        task._closing.set()
        task._config.late_turns.release()
        await stepping
        assert (broker.most, task._memory.positions) == (1, {"in": 1})

    asyncio.run(play())
