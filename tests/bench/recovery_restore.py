"""How long a task's state takes to come back: from the changelog, and beside a store that is there."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from aiokafka import TopicPartition
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from processors.engine.changelog import TASK_KEY, TaskMemory, pack_state
from processors.engine.restore import restore
from processors.engine.rocks import RocksMemory, RocksStore
from processors.stage import State
from tests.bench.ground import Ground

CACHE_BYTES = BUFFER_BYTES = 64 << 20
"""As a worker has them (`EngineConfig`)."""
STATE_BYTES = 1_000
"""About what a citizen's record is in W1 and W2."""
MEMORY_EVERY = 2_000
"""A step writes so many states and its task's memory."""
FLUSH_S = 120


class Restored(NamedTuple):
    """Seconds to open an empty store and fill it from the changelog, and to open it again when it is full."""

    cold_s: float
    cold_cpu_s: float
    warm_s: float


def restored(ground: Ground, topic: str, partition: int = 0) -> Restored:
    """Do what a task does at assignment (`engine/restore.py`), twice, in a store that is thrown away."""
    place = ground.place / "restore"
    shutil.rmtree(place, ignore_errors=True)
    try:
        began, cpu = time.perf_counter(), time.process_time()
        asyncio.run(_open(ground, TopicPartition(topic, partition), place))
        cold, cold_cpu = time.perf_counter() - began, time.process_time() - cpu
        began = time.perf_counter()
        asyncio.run(_open(ground, TopicPartition(topic, partition), place))
        return Restored(cold, cold_cpu, time.perf_counter() - began)
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _open(ground: Ground, changelog: TopicPartition, place: Path) -> None:
    store = RocksStore(place, RocksMemory(CACHE_BYTES, BUFFER_BYTES))
    try:
        await restore({"bootstrap_servers": ground.stack.kafka}, changelog, store, "bench", lambda _: None)
    finally:
        store.close()


def write_changelog(ground: Ground, topic: str, records: int) -> None:
    """A changelog of so many keys, each with a wake, as nearly every citizen's record has one (R7)."""
    config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    ground.admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result()
    producer = Producer({"bootstrap.servers": ground.stack.kafka, "log_level": 0, "linger.ms": 20})
    chance = random.Random(1)
    memory = TaskMemory()
    for number in range(records):
        state = State(chance.randbytes(STATE_BYTES), wake_ms=1_900_000_000_000 + number)
        _produce(producer, topic, f"{chance.getrandbits(128):032x}".encode(), pack_state(state))
        if number % MEMORY_EVERY == 0:
            _produce(producer, topic, TASK_KEY, memory.encode())
    if producer.flush(FLUSH_S):
        raise SystemExit("bench: the broker did not take the changelog in time")


def _produce(producer: Producer, topic: str, key: bytes, value: bytes) -> None:
    while True:
        try:
            producer.produce(topic, value, key, partition=0)
            return
        except BufferError:
            producer.poll(0.1)
