"""What every reader of view topics must do for the gateway: the one in memory and the one on Kafka alike."""

from __future__ import annotations

import asyncio

import pytest

from connectors import Stack
from connectors.kafka_follower import Positions
from connectors.view_topics.memory import PARTITIONS, MemoryViews
from connectors.view_topics.ports import Change, Expired, Views
from tests.view_topic_kit import AGREEMENT, OnKafka, run, said


class InMemory:
    """The reader that ships for tests."""

    def __init__(self) -> None:
        self.views = MemoryViews()

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nor to stop."""

    async def write(self, key: str, name: str | None, partition: int, supersedes: str = "") -> None:
        """Write one record."""
        value = None if name is None else {"name": name}
        headers = [("postroom_sequence", "1")] + [("postroom_supersedes", supersedes)] * bool(supersedes)
        self.views.write(AGREEMENT, key, value, headers, partition=partition)


Adapter = InMemory | OnKafka


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.flow)])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return InMemory() if request.param == "memory" else OnKafka(request.getfixturevalue("stack"))


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
            await adapter.write(f"k{number}", None if number == 7 else str(number), number % 2)
        found, positions = await read_on(adapter.views)
        assert said(found) == {
            0: [(f"k{n}", str(n)) for n in range(0, 10, 2)],
            1: [(f"k{n}", None if n == 7 else str(n)) for n in range(1, 10, 2)],
        }
        assert await read_on(adapter.views, positions) == ([], positions)
        await adapter.write("new", "x", 2)
        later, _ = await read_on(adapter.views, positions)
        assert said(later) == {2: [("new", "x")]}

    run(adapter, body)


def test_a_view_that_was_replaced_is_left_out_and_a_retraction_never_is(adapter: Adapter):
    """V1: from the beginning and from an old position alike; what was retracted by the time of the question
    is not handed out, though the topic still holds it. Where everything is left out, positions go on.
    """

    async def body(adapter: Adapter) -> None:
        await adapter.write("stays", "x", 0)
        _, old = await read_on(adapter.views)
        for name in ("was", "is no more", None, "again", "now"):
            await adapter.write("k", name, 0)
        for number in range(8):
            await adapter.write("gone", None if number == 7 else str(number), 0)
        left = [("k", None), ("k", "now"), ("gone", None)]
        assert said((await read_on(adapter.views))[0]) == {0: [("stays", "x"), *left]}
        for limit in (1, 100):
            found, positions = await read_on(adapter.views, old, limit)
            assert said(found) == {0: left}
        assert await read_on(adapter.views, positions) == ([], positions)

    run(adapter, body)


def test_what_a_replaced_view_superseded_is_told_with_the_view_that_is_there(adapter: Adapter):
    """V2 says it once, and it is not lost; V1: the value is the newest, never the replaced one. With a
    retraction there is nothing to be told.
    """

    async def body(adapter: Adapter) -> None:
        for key, last in (("k", "now"), ("gone", None)):
            await adapter.write(key, "was", 1, supersedes="old")
            await adapter.write(key, last, 1)
        found, _ = await read_on(adapter.views)
        assert said(found) == {1: [("k", "now"), ("k", "now"), ("gone", None)]}
        told = [dict(each.headers).get("postroom_supersedes") for each in found]
        assert told == ["old", None, None]
        assert [each.offset for each in found] == sorted({each.offset for each in found})

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

    run(OnKafka(stack), body)
