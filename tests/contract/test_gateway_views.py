"""What every reader of view topics must do for the gateway: the one in memory and the one on Kafka alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from connectors import Stack
from connectors.gateway.kafka_topic_views import TopicViews
from connectors.gateway.memory import PARTITIONS, MemoryViews
from connectors.gateway.ports import Change, Expired, Positions, Views
from connectors.kafka_topics import Topics, WantedTopic
from connectors.registry import Registry
from schemas import PlainCodec, frame

AGREEMENT = "some-agreement"
SCHEMA = {
    "type": "record",
    "name": "View",
    "namespace": "test",
    "fields": [{"name": "name", "type": ["null", "string"], "default": None}],
}


class InMemory:
    """The reader that ships for tests."""

    def __init__(self) -> None:
        self.views = MemoryViews()

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nor to stop."""

    async def write(self, key: str, name: str | None, partition: int) -> None:
        """Write one record."""
        value = None if name is None else {"name": name}
        self.views.write(AGREEMENT, key, value, [("postroom_sequence", "1")], partition=partition)


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

    async def write(self, key: str, name: str | None, partition: int) -> None:
        """Write one record in a transaction of its own, and wait until it is committed for readers: Kafka
        answers a commit before its marker is in the partition.
        """
        async with self.producer.transaction():
            offset = await self.send(key, name, partition)
        here = TopicPartition(self.topic, partition)
        while (await self.asking.end_offsets([here]))[here] <= offset:
            await asyncio.sleep(0.005)

    async def send(self, key: str, name: str | None, partition: int) -> int:
        """Write one record in the transaction that is open."""
        value = None if name is None else frame(self.schema_id, self.codec.encode({"name": name}))
        headers = [("postroom_sequence", b"1")]
        sent = await self.producer.send_and_wait(self.topic, value, key.encode(), partition, headers=headers)
        return int(sent.offset)


Adapter = InMemory | OnKafka
Body = Callable[[Any], Coroutine[Any, Any, None]]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.flow)])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return InMemory() if request.param == "memory" else OnKafka(request.getfixturevalue("stack"))


def run(adapter: Adapter, body: Body) -> None:
    """Run a test's own part in one loop with the reader."""

    async def whole() -> None:
        await adapter.start()
        try:
            await asyncio.wait_for(body(adapter), 60)
        finally:
            await adapter.stop()

    asyncio.run(whole())


async def read_on(views: Views, positions: Positions = (), limit: int = 3) -> tuple[list[Change], Positions]:
    """Pages to the end."""
    found: list[Change] = []
    while True:
        page = await asyncio.wait_for(views.page(AGREEMENT, positions, limit), 20)
        assert len(page.changes) <= limit
        found += page.changes
        positions = page.positions
        if page.at_end:
            return found, positions


def said(changes: list[Change]) -> dict[int, list[tuple[str, Any]]]:
    """What was read, in the order of each partition."""
    found: dict[int, list[tuple[str, Any]]] = {}
    for change in changes:
        name = None if change.value is None else change.value["name"]
        found.setdefault(change.partition, []).append((change.key, name))
    return found


def test_an_empty_topic_is_at_its_end(adapter: Adapter):
    """And no key has a view."""

    async def body(adapter: Adapter) -> None:
        found, positions = await read_on(adapter.views)
        assert (found, len(positions)) == ([], PARTITIONS)
        assert await adapter.views.latest(AGREEMENT, "a") is None

    run(adapter, body)


def test_pages_give_each_record_once_and_in_order(adapter: Adapter):
    """Retractions too; from where one reading ended the next goes on."""

    async def body(adapter: Adapter) -> None:
        for number in range(10):
            await adapter.write(f"k{number % 4}", None if number == 7 else str(number), number % 2)
        found, positions = await read_on(adapter.views)
        assert said(found) == {
            0: [(f"k{n % 4}", str(n)) for n in range(0, 10, 2)],
            1: [(f"k{n % 4}", None if n == 7 else str(n)) for n in range(1, 10, 2)],
        }
        assert await read_on(adapter.views, positions) == ([], positions)
        await adapter.write("new", "x", 2)
        later, _ = await read_on(adapter.views, positions)
        assert said(later) == {2: [("new", "x")]}

    run(adapter, body)


def test_the_last_record_of_a_key_is_fresh(adapter: Adapter):
    """As soon as a write has returned, it is what is answered: again and again."""

    async def body(adapter: Adapter) -> None:
        for number in range(15):
            await adapter.write("k", str(number), 1)
            found = await adapter.views.latest(AGREEMENT, "k")
            assert found is not None
            assert found.value == {"name": str(number)}
        await adapter.write("k", None, 1)
        found = await adapter.views.latest(AGREEMENT, "k")
        assert found is not None
        assert (found.value, found.headers) == (None, (("postroom_sequence", "1"),))

    run(adapter, body)


def test_waiting_ends_with_a_change_or_with_the_time(adapter: Adapter):
    """At once when there is one already."""

    async def body(adapter: Adapter) -> None:
        _, positions = await read_on(adapter.views)
        await asyncio.wait_for(adapter.views.wait(AGREEMENT, positions, 0.1), 5)
        waiting = asyncio.create_task(adapter.views.wait(AGREEMENT, positions, 50))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await adapter.write("k", "x", 0)
        await asyncio.wait_for(waiting, 5)
        await asyncio.wait_for(adapter.views.wait(AGREEMENT, positions, 50), 5)

    run(adapter, body)


def test_positions_that_the_topic_does_not_have_are_expired(adapter: Adapter):
    """A topic that was made anew is another topic."""

    async def body(adapter: Adapter) -> None:
        await adapter.write("k", "x", 0)
        for positions in ((1_000, 0, 0), (0,) * (PARTITIONS + 1)):
            with pytest.raises(Expired):
                await adapter.views.page(AGREEMENT, positions, 10)

    run(adapter, body)


def test_many_who_ask_at_once_each_get_an_answer(adapter: Adapter):
    """More than there are connections to Kafka."""

    async def body(adapter: Adapter) -> None:
        for number in range(20):
            await adapter.write(f"k{number}", str(number), number % 3)
        asked = [adapter.views.latest(AGREEMENT, f"k{number % 20}") for number in range(60)]
        found = await asyncio.gather(*asked, *(read_on(adapter.views) for _ in range(5)))
        assert [each.value["name"] for each in found[:60]] == [str(number % 20) for number in range(60)]
        assert all(len(changes) == 20 for changes, _ in found[60:])

    run(adapter, body)


@pytest.mark.flow
def test_what_is_not_committed_is_not_there(stack: Stack):
    """An open transaction shows nothing and holds nobody up; an aborted one never happened."""

    async def body(adapter: OnKafka) -> None:
        await adapter.write("k", "committed", 0)
        await adapter.producer.begin_transaction()
        await adapter.send("k", "open", 0)
        await adapter.send("other", "open", 0)
        found = await asyncio.wait_for(adapter.views.latest(AGREEMENT, "k"), 5)
        assert found is not None
        assert found.value == {"name": "committed"}
        assert await adapter.views.latest(AGREEMENT, "other") is None
        changes, positions = await read_on(adapter.views)
        assert said(changes) == {0: [("k", "committed")]}
        await adapter.producer.abort_transaction()
        assert await adapter.views.latest(AGREEMENT, "other") is None
        await adapter.write("k", "after", 0)
        later, _ = await read_on(adapter.views, positions)
        assert said(later) == {0: [("k", "after")]}

    run(OnKafka(stack), body)  # type: ignore[arg-type]
