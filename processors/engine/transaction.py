"""One step's one Kafka transaction: outgoing records, changelog and input offsets, or none of them (V6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError
from aiokafka.structs import OffsetAndMetadata

from processors.engine.counts import counted
from processors.engine.frames import Unframed, pack
from processors.engine.partitions import partition_of
from processors.engine.settings import EngineConfig
from processors.engine.trouble import EngineStop
from processors.stage import Headers, Outgoing

_BATCH_BYTES = 900_000
"""Below the broker's usual limit of 1 MiB for a record batch; a single greater record goes alone."""

_REASON_S = 1.0

Produced = tuple[bytes | None, bytes | None, Headers]
Routed = dict[tuple[str, int], Iterable[Produced]]


class TopicMissing(EngineStop):
    """A topic that the stage writes to does not exist."""


class RecordTooLarge(EngineStop):
    """A message or a state is larger than any topic takes."""


class Transactor:
    """A task's transactional producer; opening it fences whoever had the task before."""

    def __init__(self, config: EngineConfig, transactional_id: str, sender: str) -> None:
        self._config = config
        self._id = transactional_id
        self._sender = sender.encode()
        self._partitions: dict[str, int] = {}
        self._producer: Any = None

    async def open(self) -> None:
        """Take the transactional id over: the previous owner can commit nothing from here on."""
        producer = AIOKafkaProducer(
            **self._config.client(),
            transactional_id=self._id,
            transaction_timeout_ms=self._config.transaction_timeout_ms,
            acks="all",
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            max_request_size=self._config.message_bytes_max,
            retry_backoff_ms=10,
        )
        self._producer = producer
        await producer.start()

    async def close(self) -> None:
        """Let go; an open transaction is aborted by whoever opens the id next, or by its timeout."""
        if self._producer is not None:
            await self._producer.stop()

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; asked of the broker once. TopicMissing."""
        known = self._partitions.get(topic)
        if known is None:
            try:
                found = await self._producer.partitions_for(topic)
            except KafkaError:
                found = None
            if not found:
                raise TopicMissing(f"the topic {topic} does not exist: create it, then start again")
            known = self._partitions[topic] = len(found)
        return known

    async def routed(
        self, outgoing: Iterable[Outgoing], sent: dict[str, dict[int, int]], since_ms: int
    ) -> Routed:
        """Sort records by destination in their order; frame and count those that go to another stage, which
        hears since when the oldest of what they come from has waited.
        """
        routed: dict[tuple[str, int], list[Unframed]] = {}
        for topic, key, value, headers in outgoing:
            known = self._partitions.get(topic)
            partition = partition_of(key, known if known is not None else await self.partitions(topic))
            routed.setdefault((topic, partition), []).append((key, value, headers))
        internal = self._config.internal_topics
        return {
            place: self._framed(messages, sent, *place, since_ms) if place[0] in internal else messages
            for place, messages in routed.items()
        }

    def _framed(
        self,
        messages: list[Unframed],
        sent: dict[str, dict[int, int]],
        topic: str,
        partition: int,
        since_ms: int,
    ) -> list[Produced]:
        counts = sent.setdefault(topic, {})
        return [
            (None, packed, counted(self._sender, counts, partition, count, since_ms))
            for count, packed in pack(messages)
        ]

    async def commit(
        self,
        routed: Mapping[tuple[str, int], Iterable[Produced]],
        changelog: TopicPartition,
        changes: Mapping[bytes, bytes | None],
        offsets: Mapping[TopicPartition, int],
        *,
        group: str,
        fault: Callable[[str], None],
    ) -> int:
        """Write it all in one transaction; return the changelog offset after it."""
        producer = self._producer
        await producer.begin_transaction()
        acks: list[asyncio.Future[Any]] = []
        for (topic, partition), records in routed.items():
            await self._send(topic, partition, records, acks)
        before_changelog = len(acks)
        last_batch = await self._send(
            changelog.topic, changelog.partition, ((k, v, ()) for k, v in changes.items()), acks
        )
        # INVARIANT: every produce is acknowledged before the offsets are added. Otherwise the broker verifies
        # a produce while the transaction's partitions change, and answers with retries (FINDINGS, trap 2).
        written = await asyncio.gather(*acks)
        fault("outputs written, transaction open")
        if offsets:
            await producer.send_offsets_to_transaction(
                {tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}, group
            )
        fault("offsets added, not committed")
        await producer.commit_transaction()
        assert len(written) > before_changelog  # noqa: S101 - a step always writes its memory
        return int(written[-1].offset) + last_batch

    async def _send(
        self, topic: str, partition: int, records: Iterable[Produced], acks: list[asyncio.Future[Any]]
    ) -> int:
        """Send records in whole batches; append their acknowledgements; return the size of the last one."""
        batch = self._producer.create_batch()
        for key, value, headers in records:
            if batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
                await self._hand_over(batch, topic, partition, acks)
                batch = self._producer.create_batch()
                if batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
                    raise EngineStop(f"{topic}-{partition}: a record does not fit into a batch of its own")
        count = int(batch.record_count())
        if count:
            await self._hand_over(batch, topic, partition, acks)
        return count

    async def _hand_over(
        self, batch: Any, topic: str, partition: int, acks: list[asyncio.Future[Any]]
    ) -> None:
        """Send one batch; RecordTooLarge for one that no topic takes."""
        size = int(batch.size())
        if size > self._config.message_bytes_max:
            raise RecordTooLarge(
                f"{topic}-{partition}: a record of {size} bytes, and {self._config.message_bytes_max} is the "
                "most that topics are made for"
            )
        try:
            acks.append(await self._producer.send_batch(batch, topic, partition=partition))
        except IllegalOperation as ended:
            # The broker has ended the transaction, and said why to what was sent before.
            raise await _reason(acks) or ended from ended
        if size > _BATCH_BYTES:
            # One at a time: the client puts what waits for a broker into one request, which has a limit too.
            await asyncio.gather(*acks)


async def _reason(acks: list[asyncio.Future[Any]]) -> BaseException | None:
    """Return what the broker refused, once it is known; None if it did not say."""
    done, _ = await asyncio.wait(acks, timeout=_REASON_S) if acks else (set(), set())
    return next((ack.exception() for ack in done if ack.exception() is not None), None)
