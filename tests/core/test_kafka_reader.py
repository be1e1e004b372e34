"""What a reader does about a cluster that has no broker just now."""

from __future__ import annotations

from typing import Any

import pytest
from kafka import errors

from connectors import kafka_reader
from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import TopicReader
from connectors.trouble import Unreachable


class Client:
    """A client whose cluster says so many times that it has no broker, and then that a topic ends at 7."""

    def __init__(self, times: int) -> None:
        self._left = times
        self.is_closed = False

    def partitions_for_topic(self, _: str) -> set[int]:
        self._left -= 1
        if self._left >= 0:
            raise errors.MetadataEmptyBrokerList("MetadataResponse(...)")
        return {0}

    def assign(self, partitions: list[Any]) -> None:
        self.assigned = partitions

    def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 7)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(kafka_reader, "POLL_MS", 1)
    reads = TopicReader(KafkaAccess("127.0.0.1:1"))

    def with_client(client: Client) -> TopicReader:
        monkeypatch.setattr(reads, "_consumer", lambda: client)
        return reads

    return with_client


def test_a_cluster_without_a_broker_is_asked_again(reader: Any) -> None:
    """A broker that was cut off says so for a moment; a command need not end for that."""
    assert reader(Client(times=3)).ends(["disputes"]) == {("disputes", 0): 7}


def test_one_that_stays_without_is_unreachable_and_no_traceback(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3 with what to do (DESIGN §8), whether ends or records are asked for; the client is closed."""
    monkeypatch.setattr(kafka_reader, "ANSWER_WITHIN_S", 0.02)
    for ask in (TopicReader.ends, lambda own, topics: list(own.read(topics))):
        client = Client(times=10**6)
        with pytest.raises(Unreachable) as told:
            ask(reader(client), ["disputes"])
        assert (told.value.why, client.is_closed) == ("none of its brokers is let in by the controller", True)
        assert "ask again" in told.value.mend
