"""One task by itself: what it asks its store, when it rests, what the group is told (V6)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from processors.engine import task as task_module
from processors.engine.changelog import TASK_KEY, TaskMemory, decode_memory, pack_state
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.store import MemoryStore
from processors.engine.sweep import Sweeper
from processors.engine.trouble import OffsetsMoved
from processors.stage import State, Step


class Nameless:
    name = "toy"
    rules_version = None


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

    async def routed(self, outgoing, sent, since_ms):
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
