"""A view topic on Kafka, written as the worker writes it, and what the tests of its readers share."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from connectors import Stack
from connectors.kafka_topics import Topics, WantedTopic
from connectors.registry import Registry
from connectors.view_topics.memory import PARTITIONS
from connectors.view_topics.ports import Change
from connectors.view_topics.topic_views import TopicViews
from schemas import PlainCodec, frame

AGREEMENT = "some-agreement"
SCHEMA = {
    "type": "record",
    "name": "View",
    "namespace": "test",
    "fields": [{"name": "name", "type": ["null", "string"], "default": None}],
}
Body = Callable[[Any], Coroutine[Any, Any, None]]


class Reads(Protocol):
    """A reader under test, with a way to write what it reads."""

    async def start(self) -> None:
        """Connect what needs it."""

    async def stop(self) -> None:
        """Disconnect it."""


class OnKafka:
    """The real one: records in transactions, as the worker writes them."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.topic = f"view.test-{uuid.uuid4().hex[:8]}"
        Topics(stack.access).apply([WantedTopic(self.topic, PARTITIONS, {"cleanup.policy": "compact"})])
        self.schema_id = Registry(stack.registry).register(f"{self.topic}-value", SCHEMA)
        self.codec = PlainCodec(SCHEMA)

    async def writer(self, schema_id: int) -> dict[str, Any] | None:
        """What the registry would say."""
        return SCHEMA if schema_id == self.schema_id else None

    async def start(self) -> None:
        """Connect the reader and a writer."""
        self.views = TopicViews(self.stack.access, frozenset({AGREEMENT}), lambda _: self.topic, self)
        self.views.start()
        self.producer = AIOKafkaProducer(**self.stack.access.settings(), transactional_id=self.topic)
        self.asking = AIOKafkaConsumer(**self.stack.access.settings(), isolation_level="read_committed")
        await self.producer.start()
        await self.asking.start()
        async with asyncio.timeout(20):
            while self.views.waiting_for:
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Disconnect both."""
        await self.producer.stop()
        await self.asking.stop()
        await self.views.stop()

    async def write(self, key: str, name: str | None, partition: int, supersedes: str = "") -> None:
        """Write one record in a transaction of its own, and wait until it is committed for readers: Kafka
        answers a commit before its marker is in the partition.
        """
        async with self.producer.transaction():
            offset = await self.send(key, name, partition, supersedes)
        here = TopicPartition(self.topic, partition)
        while (await self.asking.end_offsets([here]))[here] <= offset:
            await asyncio.sleep(0.005)

    async def send(self, key: str, name: str | None, partition: int, supersedes: str = "") -> int:
        """Write one record in the transaction that is open."""
        value = None if name is None else frame(self.schema_id, self.codec.encode({"name": name}))
        headers = [("postroom_sequence", b"1")]
        headers += [("postroom_supersedes", supersedes.encode())] * bool(supersedes)
        sent = await self.producer.send_and_wait(self.topic, value, key.encode(), partition, headers=headers)
        return int(sent.offset)


def run(adapter: Reads, body: Body, within_s: float = 60) -> None:
    """Run a test's own part in one loop with the reader."""

    async def whole() -> None:
        await adapter.start()
        try:
            await asyncio.wait_for(body(adapter), within_s)
        finally:
            await adapter.stop()

    asyncio.run(whole())


def said(changes: list[Change]) -> dict[int, list[tuple[str, Any]]]:
    """What was read, in the order of each partition."""
    found: dict[int, list[tuple[str, Any]]] = {}
    for change in changes:
        name = None if change.value is None else change.value["name"]
        found.setdefault(change.partition, []).append((change.key, name))
    return found
