"""Webhooks are ready when everything in force can be delivered, and say what they wait for until then."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from connectors.away import Away
from connectors.kafka_follower import Positions
from connectors.view_topics.ports import Page
from connectors.webhook import reader as reading
from connectors.webhook.desk import Desk
from connectors.webhook.journal import PARKED, Journal
from connectors.webhook.outbox import Outbox
from connectors.webhook.reader import Reader
from connectors.webhook.rounds import Rounds
from tests.webhook_kit import AGREEMENT, Topic, endpoint

TOPIC = [f"leeds: the topic of {AGREEMENT}"]
ANEW = [f"leeds: {AGREEMENT} to be read anew"]


def desk_on(journal: Journal, topic: Topic) -> Desk:
    """A life of one endpoint."""

    def readers(outbox: Outbox) -> list[Reader]:
        return [Reader("leeds", AGREEMENT, topic, journal, outbox)]

    return Desk(endpoint(), journal, readers, topic.is_replaced, random.Random(1))


def test_it_is_ready_once_the_topic_was_read_to_its_end(tmp_path: Path):
    """The first way through a topic is one that reads anew; a second life goes on where the first was."""
    journal, topic = Journal(tmp_path / "journal.db"), Topic(partitions=1)
    for number in range(3):
        topic.publish(f"s-{number}", {})
    desk = desk_on(journal, topic)
    assert desk.waiting_for() == TOPIC
    reader = desk.readers[0]
    reader.take(topic.read((), 2))
    assert desk.waiting_for() == ANEW
    reader.take(topic.read(reader._read, 2))
    assert desk.waiting_for() == []
    assert desk_on(journal, topic).waiting_for() == TOPIC


def test_a_receiver_that_takes_nothing_and_one_that_is_parked_are_not_waited_for(tmp_path: Path):
    """They are an operator's or their own matter, and shown by metrics."""
    journal, topic = Journal(tmp_path / "journal.db"), Topic(partitions=1)
    for number in range(3):
        topic.publish(f"s-{number}", {})
    desk = desk_on(journal, topic)
    desk.readers[0].take(topic.read((), 2))
    desk.outbox._records_max = 2
    assert desk.outbox.room == 0
    assert desk.waiting_for() == []
    again = desk_on(journal, topic)
    journal.stop("leeds", PARKED, "an operator parked it", 1)
    again.look()
    assert again.waiting_for() == []


def test_a_topic_that_cannot_be_read_any_more_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It was ready, and is not while its topic is away."""
    monkeypatch.setattr(reading, "RETRY_S", 0.001)

    class Going(Topic):
        def __init__(self) -> None:
            super().__init__(partitions=1)
            self.is_away = False

        async def page(self, positions: Positions, limit: int, wait_s: float) -> Page:
            if self.is_away:
                raise Away("the broker is away")
            return await super().page(positions, limit, 0)

    topic = Going()

    async def story() -> None:
        reader = Reader("leeds", AGREEMENT, topic, Journal(tmp_path / "journal.db"), Outbox(10, 10_000))
        running = asyncio.create_task(reader.run(asyncio.Event()))
        async with asyncio.timeout(60):
            for away, wanted in ((False, []), (True, TOPIC), (False, [])):
                topic.is_away = away
                while reader.waiting_for() != wanted:
                    await asyncio.sleep(0.001)
        running.cancel()

    asyncio.run(story())


def test_the_file_is_waited_for_first():
    """Nothing is in force before it was read."""
    assert Rounds(dict, lambda _: None).waiting_for() == ["the file of webhooks"]  # type: ignore[arg-type, return-value]
