"""Sums over states that are committed with them: right after any crash, without a look at any state."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from processors.engine import metrics
from processors.engine.backlog import Backlog
from processors.engine.changelog import TASK_KEY, TaskMemory, decode_memory, pack_state
from processors.engine.gauges import TaskGauges
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.store import MemoryStore
from processors.engine.sweep import Sweeper
from processors.engine.tallies import TALLIED, add, count_what_nobody_counted, growth, recount
from processors.engine.task import Task
from processors.messages import Acknowledged, Owed, encode
from processors.obligations import Obligations
from processors.stage import SINCE_MS, Record, State

MINUTE_MS = 60_000


class Crash(Exception):  # noqa: N818 - what happens to a process, not an error of the program
    """The process dies here."""


class Log:
    """A changelog that outlives its tasks, and the transactions that write it; some of them kill."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.records, self.outcomes = rng, [], {"aborted": 0, "committed": 0}

    async def routed(self, outgoing, sent, since_ms):
        return {}

    async def commit(self, routed, changelog, changes, offsets, *, group, fault):
        if self.rng.random() < 0.2:
            self.outcomes["aborted"] += 1
            raise Crash
        self.records += changes.items()
        self.outcomes["committed"] += 1
        return len(self.records)

    def fault(self, where):
        if where == "committed, store not written" and self.rng.random() < 0.2:
            raise Crash


def opened(log: Log, store: MemoryStore, now: list[int]) -> Task:
    """A task as it is after its restoration: the store caught up, the memory from it."""
    store.put(dict(log.records[store.offset :]), len(log.records))
    task = Task(
        StageSpec(Obligations(), ("in",)), EngineConfig("", None), 0, store, lambda: None, lambda: now[0]
    )
    packed = store.get_many([TASK_KEY]).get(TASK_KEY)
    task._transactor, task._fault = log, log.fault
    task._memory = decode_memory(packed) if packed else TaskMemory()
    count_what_nobody_counted(task._memory, store, task.spec.stage)
    task._sweeper = Sweeper(task._memory, store)
    return task


def message(rng: Random, now_ms: int) -> tuple[bytes, bytes]:
    """Something about one of a few obligations, of one of two subscribers."""
    number = rng.randrange(12)
    key, subscriber = b"o-%d" % number, f"council-{number % 2}"
    if rng.random() < 0.5:
        deadline_ms = now_ms + rng.choice((-1, 1, 5)) * MINUTE_MS
        return key, encode(Owed(key.decode(), subscriber, "a", "k", ("name",), now_ms, deadline_ms))
    return key, encode(Acknowledged(key.decode(), rng.choice((subscriber, "council-0")), now_ms))


@pytest.mark.parametrize("seed", range(30))
def test_sums_equal_a_recount_whatever_crashes_and_wherever(seed: int):
    """Before the commit, or after it and before the store: the next life knows the same as its states."""
    rng, now = Random(seed), [1_000 * MINUTE_MS]
    log, store = Log(rng), MemoryStore()

    async def live() -> None:
        nonlocal store
        task = opened(log, store, now)
        for offset in range(120):
            now[0] += rng.randrange(MINUTE_MS)
            key, value = message(rng, now[0])
            wakes = task._store.due(now[0], 10)
            try:
                record = Record("in", 0, offset, now[0], key, value)
                await task._step([record], {TopicPartition("in", 0): offset}, wakes, [], now[0], now[0])
            except Crash:
                if rng.random() < 0.3:
                    store = MemoryStore()
                task = opened(log, store, now)
            assert task._memory.tallies == {k: v for k, v in recount(store, Obligations()).items() if v}

    asyncio.run(live())
    assert log.outcomes["aborted"]
    assert log.outcomes["committed"] > 50


def test_a_state_of_an_earlier_release_is_counted_once():
    """A changelog without sums gets them at the next opening, and keeps them from then on."""
    store, stage = MemoryStore(), Obligations()
    key, value = message(Random(1), MINUTE_MS)
    step = stage.step(lambda _: None, [Record("in", 0, 0, 1, key, value)], [], 9)
    states = {key: pack_state(state) for key, state in step.states.items() if state}
    store.put(states | {TASK_KEY: TaskMemory().encode()}, 2)
    memory = TaskMemory()
    count_what_nobody_counted(memory, store, stage)
    assert memory.tallied == TALLIED
    assert memory.tallies["keys"] == 1
    memory.tallies = {"keys": 7}
    count_what_nobody_counted(memory, store, stage)
    assert memory.tallies == {"keys": 7}, "what is counted is not counted again"


def test_the_size_of_a_state_follows_what_replaces_what():
    """New, grown, gone: keys and bytes of the stage's own, without the engine's wake."""
    before = {b"a": pack_state(State(b"12345")), b"b": pack_state(State(b"123"))}
    changes = {b"a": pack_state(State(b"1")), b"b": None, b"c": pack_state(State(b"1234"))}
    assert growth(changes, before) == {"keys": 0, "bytes": 1 + 4 - 5 - 3}
    memory = TaskMemory(tallies={"keys": 2, "bytes": 8, "held/0": 1})
    add(memory, growth(changes, before))
    add(memory, {"held/0": -1})
    assert memory.tallies == {"keys": 2, "bytes": 5}, "what nothing holds is left out"


def told(stage: str = "", **labels: str) -> dict[str, float]:
    """What Prometheus would be told of partition 77, which no other test has."""
    wanted = {"partition": "77"} | labels
    return {
        sample.name.removeprefix("postroom_"): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if wanted.items() <= sample.labels.items()
    }


def test_gauges_follow_the_sums_and_go_with_the_task():
    """Ages are those of the oldest; what is held no more goes to zero; a task that leaves leaves nothing."""
    gauges, now_ms = TaskGauges("identity", 77), 100 * SINCE_MS
    gauges.tell_tallies({"keys": 3, "bytes": 99}, now_ms)
    assert told() == {
        "held_events": 0,
        "held_oldest_seconds": 0,
        "annulments_unmatched": 0,
        "state_keys": 3,
        "state_bytes": 99,
    }
    held = {f"held/{90 * SINCE_MS}": 2, f"held/{95 * SINCE_MS}": 1}
    gauges.tell_tallies(held | {"unmatched": 4}, now_ms)
    assert told()["held_events"] == 3
    assert told()["held_oldest_seconds"] == 9 * SINCE_MS / 1000
    assert told()["annulments_unmatched"] == 4
    gauges.tell_tallies({}, now_ms)
    assert not any(told().values())
    gauges.tell(metrics.LAG, 5)
    assert told()["lag_records"] == 5
    gauges.forget()
    assert told() == {}


def test_disputes_and_obligations_are_told_by_reason_and_subscriber():
    """The second part of their names is a label, of a bounded set."""
    gauges = TaskGauges("persons", 77)
    gauges.tell_tallies({"disputed/hub": 2, "open/dwp": 1, "overdue/dwp": 3}, 0)
    assert told(reason="hub")["disputes_open"] == 2
    assert told(subscriber="dwp") == {"obligations_open": 1, "obligations_overdue": 3}
    gauges.forget()


def test_the_backlog_is_as_old_as_the_oldest_chunk_that_is_not_done():
    """Whatever comes behind it from other topics; nothing waits when all is done."""
    backlog = Backlog()
    chunk = [SimpleNamespace(offset=7, timestamp=50_000), SimpleNamespace(offset=9, timestamp=90_000)]
    backlog.add("live", [SimpleNamespace(offset=1, timestamp=99_000)])
    backlog.add("old", chunk)
    assert backlog.age_s(100_000) == 50
    backlog.done({"live": 2, "old": 9})
    assert backlog.age_s(100_000) == 50, "half of it is done"
    backlog.done({"live": 2, "old": 10})
    assert backlog.age_s(100_000) == 0
