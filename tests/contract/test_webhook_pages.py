"""What every source of pages must do for a courier: the one in memory and the one on Kafka alike."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaAdminClient

from connectors import Stack
from connectors.away import Away
from connectors.kafka_follower import Positions
from connectors.view_topics.memory import PARTITIONS
from connectors.view_topics.ports import Change, Expired
from connectors.view_topics.records import ViewRecords
from connectors.webhook import kafka_pages
from connectors.webhook.kafka_pages import TopicPages
from tests.view_topic_kit import OnKafka, run, said
from tests.webhook_kit import Topic, change

WAIT_S = 0.2
WITHIN_S = 90


class InMemory:
    """The topic that tests of webhooks use."""

    def __init__(self) -> None:
        self.pages = Topic(partitions=PARTITIONS)

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nor to stop."""

    async def write(self, key: str, name: str | None, partition: int) -> None:
        """Write one record."""
        value = None if name is None else {"name": name}
        self.pages.records[partition].append(change(key, 1, value, self.pages.ends[partition], partition))
        self.pages.ends[partition] += 1


class PagesOnKafka(OnKafka):
    """The real one: records in transactions, as the worker writes them."""

    async def start(self) -> None:
        """Connect a writer; the reader connects when it is asked."""
        await super().start()
        self.pages = TopicPages(self.stack.access, self.topic, ViewRecords(self))

    async def stop(self) -> None:
        """Disconnect both."""
        await self.pages.close()
        await super().stop()


Adapter = InMemory | PagesOnKafka


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.flow)])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return InMemory() if request.param == "memory" else PagesOnKafka(request.getfixturevalue("stack"))


async def read_on(pages: Any, positions: Positions = (), limit: int = 3) -> tuple[list[Change], Positions]:
    """Pages to the end."""
    found: list[Change] = []
    while True:
        page = await pages.page(positions, limit, WAIT_S)
        assert len(page.changes) <= limit
        found += page.changes
        positions = page.positions
        if page.at_end and not page.changes:
            return found, positions


async def read_for_ever(pages: Any, positions: Positions) -> None:
    """Pages, whatever is on them."""
    while True:
        positions = (await pages.page(positions, 10, WAIT_S)).positions


def test_pages_give_each_record_once_in_the_order_of_its_partition(adapter: Adapter):
    """Retractions too; offsets rise, and where one reading ended the next goes on."""

    async def body(adapter: Adapter) -> None:
        for number in range(10):
            await adapter.write(f"k{number % 4}", None if number == 7 else str(number), number % 2)
        found, positions = await read_on(adapter.pages)
        assert said(found) == {
            0: [(f"k{n % 4}", str(n)) for n in range(0, 10, 2)],
            1: [(f"k{n % 4}", None if n == 7 else str(n)) for n in range(1, 10, 2)],
        }
        for partition in (0, 1):
            offsets = [each.offset for each in found if each.partition == partition]
            assert offsets == sorted(set(offsets))
        assert (await read_on(adapter.pages, positions))[0] == []
        await adapter.write("new", "x", 2)
        later, _ = await read_on(adapter.pages, positions)
        assert said(later) == {2: [("new", "x")]}

    run(adapter, body, WITHIN_S)


def test_another_life_reads_again_from_where_it_is_told(adapter: Adapter):
    """Positions are the caller's: what it did not keep is given again, also from the middle."""

    async def body(adapter: Adapter) -> None:
        for number in range(6):
            await adapter.write(f"k{number}", str(number), 0)
        first = await adapter.pages.page((), 2, 10.0)
        while not first.changes:
            first = await adapter.pages.page((), 2, 10.0)
        assert [each.key for each in first.changes] == ["k0", "k1"]
        assert not first.at_end
        for _ in range(2):
            again, _ = await read_on(adapter.pages, first.positions)
            assert [each.key for each in again] == ["k2", "k3", "k4", "k5"]

    run(adapter, body, WITHIN_S)


def test_an_empty_topic_is_at_its_end(adapter: Adapter):
    """It has positions for each partition, so that what comes first is not missed."""

    async def body(adapter: Adapter) -> None:
        found, positions = await read_on(adapter.pages)
        assert (found, len(positions)) == ([], PARTITIONS)

    run(adapter, body, WITHIN_S)


def test_positions_that_the_topic_does_not_have_are_expired(adapter: Adapter):
    """A topic that was made anew is another topic."""

    async def body(adapter: Adapter) -> None:
        await adapter.write("k", "x", 0)
        for positions in ((1_000, 0, 0), (0,) * (PARTITIONS + 1)):
            with pytest.raises(Expired):
                await adapter.pages.page(positions, 10, WAIT_S)
        found, _ = await read_on(adapter.pages)
        assert said(found) == {0: [("k", "x")]}

    run(adapter, body, WITHIN_S)


@pytest.mark.flow
def test_what_is_not_committed_is_not_there(stack: Stack):
    """An open transaction shows nothing; an aborted one never happened."""

    async def body(adapter: PagesOnKafka) -> None:
        await adapter.write("k", "committed", 0)
        await adapter.producer.begin_transaction()
        await adapter.send("k", "open", 0)
        found, positions = await read_on(adapter.pages)
        assert said(found) == {0: [("k", "committed")]}
        await adapter.producer.abort_transaction()
        await adapter.write("k", "after", 0)
        later, _ = await read_on(adapter.pages, positions)
        assert said(later) == {0: [("k", "after")]}

    run(PagesOnKafka(stack), body, WITHIN_S)


@pytest.mark.flow
def test_a_record_that_is_no_view_is_never_passed_over(stack: Stack):
    """Malformed input: it is away until somebody mends it, however often it is asked, and nothing is lost."""

    async def body(adapter: PagesOnKafka) -> None:
        await adapter.write("k", "x", 0)
        found, positions = await read_on(adapter.pages)
        assert said(found) == {0: [("k", "x")]}
        async with adapter.producer.transaction():
            await adapter.producer.send_and_wait(adapter.topic, b"rubbish", b"k", 0)
        for _ in range(2):
            with pytest.raises(Away, match="not a view"):
                await read_on(adapter.pages, positions)

    run(PagesOnKafka(stack), body, WITHIN_S)


@pytest.mark.flow
def test_a_topic_that_is_not_there_is_away(stack: Stack):
    """It may come; a courier asks again."""

    async def body() -> None:
        async def writer(_: int) -> None:
            return None

        pages = TopicPages(
            stack.access, "view.none-such", ViewRecords(type("None_", (), {"writer": writer})())
        )
        with pytest.raises(Away):
            await pages.page((), 10, WAIT_S)
        await pages.close()

    asyncio.run(asyncio.wait_for(body(), 90))


@pytest.mark.flow
def test_a_topic_that_is_taken_away_while_it_is_read_is_away(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer alone hears nothing then, for ever: retractions would seem to be none."""
    monkeypatch.setattr(kafka_pages, "LOOK_EVERY_S", 0.2)

    async def body(adapter: PagesOnKafka) -> None:
        await adapter.write("k", "x", 0)
        _, positions = await read_on(adapter.pages)
        with closing(KafkaAdminClient(**stack.access.settings())) as admin:
            admin.delete_topics([adapter.topic])
        with pytest.raises(Away, match="not there"):
            await read_for_ever(adapter.pages, positions)

    run(PagesOnKafka(stack), body, WITHIN_S)
