"""A view topic of Kafka as a courier reads it: on from positions, read committed, nothing kept."""

from __future__ import annotations

import asyncio
from typing import Any

from connectors.away import Away
from connectors.kafka_access import KafkaAccess
from connectors.kafka_follower import Positions, let_go, make_consumer
from connectors.view_topics import Expired, Page, ViewRecords

CONNECT_S = 10.0
WITHIN_S = 30.0
FETCH_BYTES = 262_144
"""Of one partition: what a paused courier holds in memory beside its outbox."""
FETCH_WAIT_MS = 500
LOOK_EVERY_S = 10.0
"""Whoever reads a topic that was taken away hears nothing, and no error either: so it is looked for."""


class TopicPages:
    """One topic, for one reader that asks for one page after the other."""

    def __init__(self, access: KafkaAccess, topic: str, records: ViewRecords) -> None:
        self._access, self._topic, self._records = access, topic, records
        self._consumer: Any = None
        self._read: Positions = ()
        self._look_at_s = 0.0

    async def page(self, positions: Positions, limit: int, wait_s: float) -> Page:
        """Return changes from there on, see `reader.Pages`."""
        from aiokafka.errors import KafkaError, OffsetOutOfRangeError

        try:
            async with asyncio.timeout(WITHIN_S + wait_s):
                if self._consumer is None or self._read != positions:
                    await self._begin(positions)
                return await self._next(limit, wait_s)
        except OffsetOutOfRangeError:
            await self.close()
            raise Expired from None
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise Away(type(error).__name__) from None
        except (Away, Expired):
            await self.close()  # what was fetched and could not be decoded is read again
            raise

    async def close(self) -> None:
        """Let go of the consumer."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await let_go(consumer)

    async def _begin(self, positions: Positions) -> None:
        """Go to these positions; Expired when the topic cannot be the one that they were of."""
        from aiokafka import TopicPartition

        await self.close()
        self._consumer = consumer = make_consumer(
            self._access, fetch_max_wait_ms=FETCH_WAIT_MS, max_partition_fetch_bytes=FETCH_BYTES
        )
        await asyncio.wait_for(consumer.start(), CONNECT_S)
        await self._require_topic(consumer)
        # Asking for something of the topic brings its metadata, which is public only from then on.
        await consumer.end_offsets([TopicPartition(self._topic, 0)])
        numbers = consumer.partitions_for_topic(self._topic)
        if not numbers:
            raise Away("the topic is not there")
        partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        if len(positions) > len(partitions):
            raise Expired
        reached = [*positions, *([0] * (len(partitions) - len(positions)))]
        consumer.assign(partitions)
        for partition, at in zip(partitions, reached, strict=True):
            if at > ends[partition] or 0 < at < begins[partition]:
                raise Expired
            consumer.seek(partition, max(at, begins[partition]))
        self._read = tuple(reached)

    async def _require_topic(self, consumer: Any) -> None:
        """Away when the topic is not there."""
        self._look_at_s = asyncio.get_running_loop().time() + LOOK_EVERY_S
        if self._topic not in await consumer.topics():
            raise Away("the topic is not there")

    async def _next(self, limit: int, wait_s: float) -> Page:
        consumer = self._consumer
        found = await consumer.getmany(timeout_ms=int(wait_s * 1000), max_records=limit)
        records = [record for each in found.values() for record in each]
        if not records and asyncio.get_running_loop().time() > self._look_at_s:
            await self._require_topic(consumer)
        changes = [await self._records.change(record) for record in records if record.key is not None]
        partitions = sorted(consumer.assignment(), key=lambda each: each.partition)
        self._read = tuple([await consumer.position(partition) for partition in partitions])
        at_end = True
        for partition, at in zip(partitions, self._read, strict=True):
            stable = consumer.last_stable_offset(partition)
            at_end = at_end and stable is not None and at >= stable
        return Page(changes, self._read, at_end)
