"""The plain shell: aiokafka's consumer around the same engine, with nothing private but `gathering.py`.

It is the yardstick for what Faust costs, and the way out if an upgrade breaks what Faust keeps private.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from processors.engine.assignor import TaskAssignor
from processors.engine.consumer_stop import stop_consumer
from processors.engine.discovery import follow_topics
from processors.engine.gathering import set_gathering
from processors.engine.rocks import RocksMemory
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.tasks import Tasks
from processors.engine.trouble import stop_process

NOWHERE = TopicPartition("", 0)

IDLE_MS_MAX = 24 * 3600 * 1000
"""A worker may hold no task for long; its heartbeat says that it lives."""


class PlainSource:
    """The engine's view of an aiokafka consumer."""

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer

    async def fetch(
        self, partitions: Collection[TopicPartition], wait_ms: int
    ) -> Mapping[Any, Sequence[Any]]:
        """Return what has arrived; without a limit, which would drain one partition after the other."""
        fetched: Mapping[Any, Sequence[Any]] = await self.consumer.getmany(*partitions, timeout_ms=wait_ms)
        return fetched

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Ask the broker for the group's offsets."""
        return {tp: await self.consumer.committed(tp) for tp in partitions}

    async def beginnings(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Ask the broker for the first offsets."""
        return dict(await self.consumer.beginning_offsets(list(partitions)))

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Move the consumer."""
        for tp, offset in offsets.items():
            self.consumer.seek(tp, offset)

    def highwater(self, partition: TopicPartition) -> int | None:
        """Return the end of a partition as last heard."""
        end: int | None = self.consumer.highwater(partition)
        return end

    def gather(self, wait_ms: int, bytes_min: int) -> None:
        """Tell the fetcher, which reads both for each request."""
        set_gathering(self.consumer, wait_ms, bytes_min)

    async def check(self) -> None:
        """Ask for records of no topic, which asks for the group's troubles too."""
        await self.consumer.getmany(NOWHERE, timeout_ms=0)


class PlainShell(ConsumerRebalanceListener):  # type: ignore[misc]
    """One stage: its consumer, its group, its tasks."""

    def __init__(self, spec: StageSpec, config: EngineConfig, memory: RocksMemory) -> None:
        self._spec, self._config = spec, config
        self._consumer = AIOKafkaConsumer(
            **config.client(),
            group_id=config.group(spec.stage),
            group_instance_id=config.group_instance(spec.stage),
            client_id=config.instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_min_bytes=config.fetch_bytes_min,
            fetch_max_wait_ms=config.fetch_wait_ms_max,
            max_partition_fetch_bytes=config.partition_fetch_bytes_max,
            metadata_max_age_ms=config.metadata_max_age_ms,
            session_timeout_ms=config.session_timeout_ms,
            heartbeat_interval_ms=config.session_timeout_ms // 5,
            max_poll_interval_ms=IDLE_MS_MAX,
            partition_assignment_strategy=[TaskAssignor(_stores_held(spec, config))],
        )
        self._tasks = Tasks(spec, config, PlainSource(self._consumer), memory)
        self._topics = frozenset(spec.input_topics)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; then finish the transactions in flight and leave the group."""
        await self._subscribe(self._topics)
        await self._consumer.start()
        discovering = asyncio.create_task(follow_topics(self._spec, self._config, self._subscribe))
        while not stopping.is_set():
            await self._tasks.pump()
        discovering.cancel()
        await self._tasks.revoke()
        await stop_consumer(self._consumer)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Finish what is under way before the group moves on; aiokafka would only log an exception."""
        try:
            await self._tasks.revoke()
        except Exception as error:
            stop_process("revoke", error)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Begin to open the tasks."""
        counts = {topic: len(self._consumer.partitions_for_topic(topic) or ()) for topic in self._topics}
        self._tasks.assign(assigned, counts)

    async def _subscribe(self, topics: frozenset[str]) -> None:
        self._topics = topics
        self._consumer.subscribe(sorted(topics), listener=self)


def _stores_held(spec: StageSpec, config: EngineConfig) -> frozenset[int]:
    if config.state_dir is None:
        return frozenset()
    place = config.state_dir / config.instance / spec.stage.name
    return frozenset(int(path.name) for path in place.glob("[0-9]*")) if place.is_dir() else frozenset()
