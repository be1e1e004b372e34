"""Reading to a topic's end on a real Kafka, where the end lies behind what no reader is ever given."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from connectors import Stack
from connectors.kafka_positions import TopicPositions, are_beyond, topic_positions
from connectors.kafka_topics import Topics, WantedTopic

pytestmark = pytest.mark.flow

WITHIN_S = 60


class Log:
    """A topic of one partition and whoever writes it, in transactions as the worker does."""

    def __init__(self, stack: Stack) -> None:
        self.access, self.topic = stack.access, f"positions-{uuid.uuid4().hex[:8]}"
        Topics(stack.access).apply([WantedTopic(self.topic, 1, {})])
        self.producer = Producer({"bootstrap.servers": stack.kafka, "transactional.id": self.topic})
        self.producer.init_transactions(WITHIN_S)

    def begin(self, *keys: str) -> None:
        """Open a transaction with records that are in the log when this returns."""
        self.producer.begin_transaction()
        for key in keys:
            self.producer.produce(self.topic, key=key)
        assert self.producer.flush(WITHIN_S) == 0

    def committed(self, *keys: str) -> None:
        """A whole transaction."""
        self.begin(*keys)
        self.producer.commit_transaction(WITHIN_S)

    @contextmanager
    def reader(self, at_least: int) -> Iterator[TopicPositions]:
        """At the beginning, once what is committed ends there: Kafka answers before its marker is written."""
        with topic_positions(self.access, self.topic) as found:
            deadline = time.monotonic() + WITHIN_S
            while found.ends() != [at_least]:
                assert time.monotonic() < deadline, found.ends()
                time.sleep(0.05)
            found.go_to_beginning()
            yield found


def read_to(reader: TopicPositions, ends: list[int]) -> list[str]:
    """The keys before these ends."""
    keys: list[str] = []
    deadline = time.monotonic() + WITHIN_S
    while not are_beyond(reader.positions(), ends):
        keys += [(record.key or b"").decode() for record in reader.poll(2, 200)]
        assert time.monotonic() < deadline, f"at {reader.positions()}, never at {ends}"
    return keys


@pytest.fixture
def log(stack: Stack) -> Log:
    return Log(stack)


def test_an_end_behind_a_marker_is_reached(log: Log):
    """No record comes of the marker, and whoever waits for the end must still come to it: batches that end
    just before it, too.
    """
    log.committed("a", "b", "c", "d")
    with log.reader(at_least=5) as reader:
        assert read_to(reader, reader.ends()) == ["a", "b", "c", "d"]
        assert reader.positions() == reader.ends() == [5]


def test_an_end_behind_what_was_aborted_is_reached(log: Log):
    """Records that are given to nobody, and their marker."""
    log.committed("a")
    log.begin("never", "never")
    log.producer.abort_transaction(WITHIN_S)
    with log.reader(at_least=5) as reader:
        assert read_to(reader, reader.ends()) == ["a"]
        assert reader.positions() == reader.ends() == [5]


def test_a_transaction_that_is_open_is_behind_the_end(log: Log):
    """The end is where what is committed ends, or nobody would come to it while somebody writes; once it is
    committed there is more.
    """
    log.committed("a")
    log.begin("b")
    with log.reader(at_least=2) as reader:
        assert read_to(reader, reader.ends()) == ["a"]
        assert reader.positions() == [2]
        log.producer.commit_transaction(WITHIN_S)
        assert read_to(reader, [4]) == ["b"]
