"""The pump and the rebalance, without a broker: the order in which a record could get lost, played out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from aiokafka import TopicPartition

from processors.engine import tasks as tasks_module
from processors.engine.rocks import RocksMemory
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.tasks import Tasks

INPUT = TopicPartition("in", 0)


@dataclass
class Fetched:
    offset: int


class Consumer:
    """A consumer of one partition with ten records, whose fetches last until they are let go."""

    def __init__(self) -> None:
        self.position = 0
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.began = asyncio.Event()

    async def fetch(self, partitions, wait_ms):
        self.waited_ms = wait_ms
        self.began.set()
        try:
            await self.let_go.wait()
        finally:  # also when nobody waits for the answer any more: the consumer's thread goes on
            start, self.position = self.position, 10
        return {INPUT: [Fetched(offset) for offset in range(start, 10)]} if start < 10 else {}

    async def committed(self, partitions):
        return dict.fromkeys(partitions, 3)

    async def beginnings(self, partitions):
        return dict.fromkeys(partitions, 0)

    async def seek(self, offsets):
        self.position = offsets[INPUT]

    def gather(self, wait_ms, bytes_min):
        self.gathering = (wait_ms, bytes_min)

    async def check(self):
        """The group has nothing against it."""

    def highwater(self, partition):
        return 10


class Fed:
    """A task that only remembers what it was fed."""

    lives: list[Fed] = []

    def __init__(self, spec, config, partition, store, hungry):
        self.resting, self.hungry = True, hungry
        self.partition, self.ready, self.closed, self.full, self.lag_fed = partition, False, False, False, 0
        self.next, self.offsets, self.has_none = {}, [], False
        self.lives.append(self)

    async def open(self):
        await asyncio.sleep(0)

    def position(self, topic, committed, beginning):
        self.next[topic] = committed
        return committed

    def lacks(self, topic):
        return self.has_none

    def start(self):
        self.ready = True

    async def close(self):
        self.closed, self.ready = True, False

    def tell(self, unread):
        self.unread = unread

    def feed(self, topic, records):
        if not self.closed:
            self.offsets += [record.offset for record in records]
            self.next[topic] = records[-1].offset + 1


def test_the_markers_of_transactions_are_no_lag_of_a_task_that_rests(tasks):
    """Each transaction ends with an offset that holds no record; a few behind it are not unread."""

    class Far(Consumer):
        end = 10

        def highwater(self, partition):
            return self.end

    consumer = Far()
    made, task = tasks(consumer), Fed(None, None, 0, None, None)
    made._inputs, task.next = {INPUT: task}, {"in": 7}
    for resting, end, unread in ((True, 10, 0), (False, 10, 3), (True, 100, 93)):
        task.resting, consumer.end, made._tell_due = resting, end, 0.0
        made._tell()
        assert task.unread == unread


class Nameless:
    name = "toy"
    rules_version = None


@pytest.fixture
def tasks(monkeypatch):
    monkeypatch.setattr(tasks_module, "Task", Fed)
    monkeypatch.setattr(Fed, "lives", [])

    def make(consumer):
        return Tasks(
            StageSpec(Nameless(), ("in",)),
            EngineConfig("", None, internal_topics=frozenset({"inner"})),
            consumer,
            RocksMemory(1 << 20, 1 << 20),
        )

    return make


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_group_that_does_not_let_it_in_is_heard_without_a_task(tasks):
    """Nothing is fetched then, so nothing else would ever say so."""

    class Shut(Consumer):
        async def check(self):
            raise PermissionError

    with pytest.raises(PermissionError):
        asyncio.run(tasks(Shut()).pump())


def test_a_fetch_that_spans_a_rebalance_costs_its_successor_nothing(tasks):
    """It began for one task and ended after another took over: the records are dropped, and read again."""

    async def play():
        consumer = Consumer()
        owned = tasks(consumer)
        owned.assign([INPUT], {"in": 1})
        await settle()
        consumer.let_go.clear()
        consumer.began.clear()
        pumping = asyncio.create_task(owned.pump())
        await consumer.began.wait()
        await owned.revoke()
        owned.assign([INPUT], {"in": 1})
        await settle()
        consumer.let_go.set()
        await pumping
        await settle()
        await owned.pump()
        first, second = Fed.lives
        assert first.offsets == []
        assert second.offsets == list(range(3, 10))

    asyncio.run(play())


def test_a_fetch_that_is_broken_off_is_repeated(tasks):
    """Faust cancels fetches as it pleases; the consumer has by then moved past what they held."""

    async def play():
        consumer = Consumer()
        owned = tasks(consumer)
        owned.assign([INPUT], {"in": 1})
        await settle()
        consumer.let_go.clear()
        pumping = asyncio.create_task(owned.pump())
        await settle()
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)
        consumer.let_go.set()
        await owned.pump()
        assert Fed.lives[0].offsets == list(range(3, 10))

    asyncio.run(play())


def test_half_a_task_is_not_opened(tasks):
    """Two workers with halves of one task would fence each other for ever, so it waits."""

    async def play():
        owned = tasks(Consumer())
        owned.assign([INPUT], {"in": 1, "other": 2})
        await settle()
        assert Fed.lives == []

    asyncio.run(play())


def test_a_full_task_is_not_fetched_for_and_keeps_nobody_waiting(tasks):
    """Its partition waits at the broker."""

    async def play():
        consumer = Consumer()
        owned = tasks(consumer)
        owned.assign([INPUT], {"in": 1})
        await settle()
        Fed.lives[0].full = True
        consumer.began.clear()
        await owned.pump()
        assert not consumer.began.is_set()
        Fed.lives[0].full = False
        await owned.pump()
        assert Fed.lives[0].offsets == list(range(3, 10))

    asyncio.run(play())


def test_a_full_task_is_fetched_for_where_it_has_none_of_a_topic_that_has_more(tasks):
    """It may be older than all that fills the task; a topic that was read to its end is not asked for."""

    async def play():
        consumer = Consumer()
        owned = tasks(consumer)
        owned.assign([INPUT], {"in": 1})
        await settle()
        task = Fed.lives[0]
        task.full = task.has_none = True
        await owned.pump()
        assert task.offsets == list(range(3, 10))
        consumer.began.clear()
        task.next["in"] = 10
        await owned.pump()
        assert not consumer.began.is_set()

    asyncio.run(play())


def test_while_all_tasks_work_more_is_let_come_until_one_is_hungry(tasks, monkeypatch):
    """One fetch then brings what several would have; but not for longer than one fetch would wait."""
    monkeypatch.setattr(tasks_module, "FETCH_WAIT_MS", 60_000)

    async def play():
        consumer = Consumer()
        owned = tasks(consumer)
        owned.assign([INPUT], {"in": 1})
        await settle()
        task = Fed.lives[0]
        task.resting = False
        pumping = asyncio.create_task(owned.pump())
        await settle()
        assert not consumer.began.is_set()
        task.resting = True
        task.hungry()
        await pumping
        assert task.offsets == list(range(3, 10))
        task.resting = False
        consumer.began.clear()
        monkeypatch.setattr(tasks_module, "FETCH_WAIT_MS", 1)
        await owned.pump()
        assert consumer.began.is_set()

    asyncio.run(play())


def test_a_stage_to_which_nothing_comes_asks_seldom_and_hears_the_first_record_at_once(tasks, monkeypatch):
    """It goes back to letting the broker gather when something has come."""
    monkeypatch.setattr(tasks_module, "QUIET_AFTER_S", 0.0)

    async def play():
        consumer = Consumer()
        owned = tasks(consumer)
        owned.assign([INPUT], {"in": 1})
        await settle()
        consumer.position = 10
        await owned.pump()
        assert consumer.gathering == (tasks_module.QUIET_WAIT_MS, 1)
        for ready, wait_ms in ((False, tasks_module.FETCH_WAIT_MS), (True, tasks_module.QUIET_WAIT_MS)):
            Fed.lives[0].ready = ready
            await owned.pump()
            assert consumer.waited_ms == wait_ms
        consumer.position = 9
        monkeypatch.setattr(tasks_module, "QUIET_AFTER_S", 60.0)
        await owned.pump()
        assert consumer.gathering == (owned.config.fetch_wait_ms_max, owned.config.fetch_bytes_min)
        assert Fed.lives[0].offsets == [9]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("topic", "beginning", "stops"),
    [("in", 3, False), ("in", 10, False), ("in", 400, True), ("inner", 400, False)],
)
def test_records_deleted_before_they_were_read_stop_the_process(tasks, monkeypatch, topic, beginning, stops):
    """Unless they can only be markers, or the topic is an internal one, whose senders count."""
    stopped = []
    monkeypatch.setattr(Fed, "stop", lambda self, error: stopped.append(type(error).__name__), raising=False)
    there = TopicPartition(topic, 0)

    class Deleted(Consumer):
        async def beginnings(self, partitions):
            return {there: beginning}

        async def seek(self, offsets):
            self.sought = offsets

    async def play():
        owned = tasks(Deleted())
        owned.assign([there], {topic: 1})
        await settle()
        assert stopped == (["InputDeleted"] if stops else [])

    asyncio.run(play())
