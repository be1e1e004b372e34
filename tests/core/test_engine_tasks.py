"""The pump and the rebalance, without a broker: the order in which a record could get lost, played out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from processors.engine import task as task_module
from processors.engine import tasks as tasks_module
from processors.engine.changelog import TASK_KEY, TaskMemory, decode_memory, pack_state
from processors.engine.rocks import RocksMemory
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.store import MemoryStore
from processors.engine.sweep import Sweeper
from processors.engine.tasks import Tasks
from processors.engine.trouble import OffsetsMoved
from processors.stage import State, Step

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
        self.next, self.offsets = {}, []
        self.lives.append(self)

    async def open(self):
        await asyncio.sleep(0)

    def position(self, topic, committed, beginning):
        self.next[topic] = committed
        return committed

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


class Asked(MemoryStore):
    """A store that remembers for which keys it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def get_many(self, keys):
        keys = list(keys)
        self.asked += keys
        return super().get_many(keys)


def lone_task(store, hungry=lambda: None):
    return task_module.Task(StageSpec(Nameless(), ("in",)), EngineConfig("", None), 0, store, hungry)


def test_a_step_asks_the_store_for_a_key_once_whether_it_is_there_or_not():
    """New citizens are the most of a first load, and each was asked for twice."""
    store = Asked()
    store.put({key: pack_state(State(key)) for key in (b"loaded", b"later")}, 1)
    wanted = {b"loaded", b"new"}
    lookup = lone_task(store)._lookup(store.get_many(wanted), wanted)
    store.asked.clear()
    assert [lookup(key) for key in (b"loaded", b"new", b"loaded", b"new")] == [b"loaded", None] * 2
    assert store.asked == []
    assert [lookup(key) for key in (b"later", b"newer") * 2] == [b"later", None] * 2
    assert store.asked == [b"later", b"newer"]


def test_a_task_rests_until_it_is_fed_and_says_when_it_is_hungry_again(monkeypatch):
    """Whoever feeds it lets it work in peace meanwhile."""
    monkeypatch.setattr(task_module, "LOOK_AGAIN_S", 0.001)
    called = []

    async def play():
        task = lone_task(MemoryStore(), lambda: called.append(True))
        assert task.resting
        task.feed("in", [SimpleNamespace(offset=4, value=b"x", timestamp=1)])
        assert not task.resting
        await task._idle()
        assert (task.resting, called) == (False, [])  # what it was fed still waits
        task._waiting.take(1)
        await task._idle()
        assert (task.resting, called) == (True, [True])

    asyncio.run(play())


class Silent(Nameless):
    """A stage from which nothing follows."""

    name = "silent"

    def keys(self, batch):
        return set()

    def step(self, states, batch, wakes, now_ms):
        return Step()


class Told:
    """A transactor that remembers what each transaction told the group, and the memory beside it."""

    def __init__(self):
        self.told, self.remembered = [], []

    async def routed(self, outgoing, sent):
        return {}

    async def commit(self, routed, changelog, changes, offsets, *, group, fault):
        self.told.append({place.topic: offset for place, offset in offsets.items()})
        self.remembered.append(decode_memory(changes[TASK_KEY]))
        return len(self.told)


def silent_task(told, memory=None):
    store = MemoryStore()
    task = task_module.Task(StageSpec(Silent(), ("in",)), EngineConfig("", None), 0, store, lambda: None)
    task._memory = memory or TaskMemory()
    task._sweeper, task._transactor = Sweeper(task._memory, store), told
    return task


def test_the_group_is_told_once_a_second_and_once_more_when_there_is_nothing_else_to_do():
    """Every step commits where the task stands; the group hears of it with few of them, and of all of it."""

    async def play():
        told = Told()
        task = silent_task(told)
        for offset in range(3):
            record = {"topic": "in", "partition": 0, "offset": offset, "timestamp": 1}
            task.feed("in", [SimpleNamespace(**record, key=None, value=b"x", headers=())])
            assert await task._turn()
        assert told.told == [{"in": 1}, {}, {}]
        assert [each.positions["in"] for each in told.remembered] == [1, 2, 3]
        assert [each.told["in"] for each in told.remembered] == [1, 1, 1]
        assert not await task._turn()  # within the second
        task._told_at_s -= task_module.TELL_GROUP_S  # it passes
        assert await task._turn()
        assert told.told[3:] == [{"in": 3}]
        assert not await task._turn()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("committed", "refused"), [(1, False), (None, False), (3, True), (0, True)]
)  # by what the group says
def test_the_group_must_stand_where_it_was_told_and_hears_what_it_was_not(committed, refused):
    """V6: the last owner died before it told; any other difference is somebody's hand."""

    async def play():
        told = Told()
        task = silent_task(told, TaskMemory(positions={"in": 3}, told={"in": 1}))
        if refused:
            with pytest.raises(OffsetsMoved):
                task.position("in", committed, 0)
            return
        assert task.position("in", committed, 0) == 3
        assert await task._turn()
        assert told.told == [{"in": 3}]

    asyncio.run(play())


def test_a_changelog_from_before_the_group_was_told_seldom_is_read_as_having_told_all():
    """An upgrade finds offsets and state as they were committed together."""
    task = silent_task(Told(), TaskMemory(positions={"in": 3}))
    assert task.position("in", 3, 0) == 3
    with pytest.raises(OffsetsMoved):
        task.position("in", 1, 0)
