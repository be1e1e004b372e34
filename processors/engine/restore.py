"""Rebuilding a task's state from its changelog, or refusing to.

A store is trusted as far as the changelog bears it out: one ahead of the log, or of another log, is wiped
and rebuilt. A changelog whose beginning was deleted cannot rebuild anything, so the task refuses to run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.engine import metrics
from processors.engine.changelog import TASK_KEY, TaskMemory, decode_memory
from processors.engine.consumer_stop import stop_consumer
from processors.engine.journal import say
from processors.engine.store import Store
from processors.engine.trouble import ChangelogTruncated

_CHUNK = 20_000
_FETCH_BYTES = 8 << 20


class AnotherLogError(Exception):
    """The store reflects another changelog than the one that is there."""


async def restore(
    client: Mapping[str, Any],
    changelog: TopicPartition,
    store: Store,
    stage: str,
    tell: Callable[[float], None],
) -> TaskMemory:
    """Bring the store up to the end of its changelog and return the task's memory.

    Called after the producer was opened, so nothing of a previous owner is open any more and the end read
    committed is the end. ``tell`` hears how much is done, from 0 to 1. Raises ChangelogTruncated.
    """
    started = time.perf_counter()
    consumer = AIOKafkaConsumer(
        **client,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=20,
    )
    await consumer.start()
    try:
        consumer.assign([changelog])
        beginning = (await consumer.beginning_offsets([changelog]))[changelog]
        end = (await consumer.end_offsets([changelog]))[changelog]
        if beginning > 0:
            raise ChangelogTruncated(
                f"{changelog.topic}-{changelog.partition} begins at {beginning}, not 0: records were deleted "
                "(its cleanup.policy must be compact, and only that); state cannot be rebuilt from it and is "
                "not guessed"
            )
        if store.offset > end:
            _start_over(store, changelog, f"ahead of the changelog ({store.offset} > {end})")
        try:
            count = await _replay(consumer, changelog, store, end, tell)
        except AnotherLogError:
            _start_over(store, changelog, "of another changelog")
            count = await _replay(consumer, changelog, store, end, tell)
    finally:
        await stop_consumer(consumer)
    seconds = time.perf_counter() - started
    metrics.RESTORE.labels(stage).observe(seconds)
    metrics.RESTORED.labels(stage).inc(count)
    say("restored", stage=stage, partition=changelog.partition, records=count, seconds=round(seconds, 3))
    return _memory_in(store) or TaskMemory()


def _start_over(store: Store, changelog: TopicPartition, why: str) -> None:
    place = {"changelog": changelog.topic, "partition": changelog.partition}
    say("store-rebuilt", "warning", **place, reason=f"it was {why}")
    store.wipe()


def _memory_in(store: Store) -> TaskMemory | None:
    packed = store.get_many([TASK_KEY]).get(TASK_KEY)
    return decode_memory(packed) if packed else None


async def _replay(
    consumer: AIOKafkaConsumer,
    changelog: TopicPartition,
    store: Store,
    end: int,
    tell: Callable[[float], None],
) -> int:
    """Read from the store's offset to the end, in chunks that the store takes whole."""
    known = _memory_in(store)
    count = 0
    tell(store.offset / end if end else 0)
    consumer.seek(changelog, store.offset)
    while await consumer.position(changelog) < end:
        fetched = await consumer.getmany(changelog, timeout_ms=200, max_records=_CHUNK)
        records = fetched.get(changelog)
        if not records:
            continue
        changes = {record.key: record.value for record in records}
        memory = changes.get(TASK_KEY)
        # INVARIANT: an offset means something only in the log that it was taken from.
        if known and memory and decode_memory(memory).log != known.log:
            raise AnotherLogError
        store.put(changes, records[-1].offset + 1)
        count += len(records)
        tell(store.offset / end)
    tell(1)
    return count
