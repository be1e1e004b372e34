"""The publisher: every line has one result, in-flight events are bounded, a lost broker ends it."""

import json
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from producers import (
    BrokerUnreachable,
    NotPublished,
    Published,
    Publisher,
    connect,
    disconnect,
    read_lines,
)
from producers.publisher import Result
from schemas import Contract, Contracts, load_contracts, parse_instant, unframe

ROOT = Path(__file__).resolve().parents[2]
T = parse_instant("2026-11-23T10:00:00Z")
TYPE = "uk.gov.benefits.claimant.v1"


@cache
def contracts() -> Contracts:
    return load_contracts(ROOT / "schemas")


class Delivery:
    """An acknowledgement that comes when somebody waits for it, or a failure."""

    def __init__(self, error: KafkaError | None, *, done: bool) -> None:
        self.error, self.is_done, self.waited = error, done, False

    def get(self, timeout: float) -> None:
        assert timeout > 0, "an unbounded wait"
        self.waited = self.is_done = True
        if self.error:
            raise self.error

    def succeeded(self) -> bool:
        return self.is_done and self.error is None


class FakeProducer:
    """What kafka-python's producer is to the publisher."""

    def __init__(self, *, fail: dict[int, KafkaError] | None = None, missing: set[str] | None = None):
        self.sent: list[tuple[str, bytes, list[tuple[str, bytes]]]] = []
        self.deliveries: list[Delivery] = []
        self.fail = fail or {}
        self.missing = missing or set()
        self.asked: list[str] = []
        self.unacknowledged_most = 0

    def partitions_for(self, topic: str) -> set[int]:
        self.asked.append(topic)
        if topic in self.missing:
            raise KafkaTimeoutError("Failed to update metadata")
        return {0}

    def send(self, topic: str, *, value: bytes, headers: list[tuple[str, bytes]]) -> Delivery:
        self.sent.append((topic, value, headers))
        error = self.fail.get(len(self.sent))
        if isinstance(error, MessageSizeTooLargeError):
            raise error
        self.deliveries.append(Delivery(error, done=False))
        self.unacknowledged_most = max(self.unacknowledged_most, sum(not d.is_done for d in self.deliveries))
        return self.deliveries[-1]


def event(number: int, **changes: object) -> bytes:
    good = {
        "specversion": "1.0",
        "id": str(number),
        "source": "urn:gov:dwp:cis",
        "type": TYPE,
        "time": "2025-02-10T11:00:00Z",
        "data": {"nino": "NC000017A"},
    }
    return json.dumps(good | changes).encode() + b"\n"


def publisher(producer: FakeProducer, *, where: str = "127.0.0.1:1", in_flight_max: int = 100) -> Publisher:
    def schema_id(contract: Contract) -> int | None:
        return None if contract.type.endswith("employment.v1") else 42

    return Publisher(producer, contracts(), schema_id, lambda: T, where=where, in_flight_max=in_flight_max)


def results(publisher: Publisher, *lines: bytes) -> Iterator[Result]:
    return publisher.publish(read_lines(BytesIO(b"".join(lines))))


def test_good_lines_go_and_bad_ones_are_named():
    """The number, the reason, and the others go (DESIGN §8)."""
    producer = FakeProducer()
    found = list(results(publisher(producer), event(1), b"{\n", b"\n", event(4)))
    assert sorted(result.number for result in found) == [1, 2, 4]
    assert [r.refused.reason for r in found if isinstance(r, NotPublished)] == ["undecodable"]
    assert [r for r in found if isinstance(r, Published)] == [Published(1, TYPE), Published(4, TYPE)]


def test_what_is_sent_is_framed_and_named():
    """One topic per type, Confluent framing with the registry's id, CloudEvents headers (E2)."""
    producer = FakeProducer()
    list(results(publisher(producer), event(1)))
    ((topic, value, headers),) = producer.sent
    assert topic == TYPE
    assert unframe(value)[0] == 42
    assert dict(headers)["ce_type"] == TYPE.encode()


def test_unacknowledged_events_are_bounded():
    """A file of any length takes bounded memory."""
    producer = FakeProducer()
    lines = [event(number) for number in range(50)]
    assert len(list(results(publisher(producer, in_flight_max=5), *lines))) == 50
    assert producer.unacknowledged_most <= 6


def test_registry_and_cluster_are_asked_once_a_type():
    """Ten thousand lines of one type are one question."""
    producer = FakeProducer()
    list(results(publisher(producer), *[event(number) for number in range(10)]))
    assert producer.asked == [TYPE]


def test_an_unregistered_contract_is_told_by_line():
    """Registration happens only through the gate, never by publishing (E6)."""
    producer = FakeProducer()
    employment = {
        "nino": "NC000017A",
        "paye_reference": "951/PX1",
        "employment": {"employer_name": "A", "normal_hours": "OTHER", "irregular": False},
        "start_date": "2025-01-01",
    }
    bad = event(1, type="uk.gov.tax.employment.v1", source="urn:gov:hmrc:rti", data=employment)
    first, second = sorted(results(publisher(producer), bad, event(2)), key=lambda result: result.number)
    assert isinstance(first, NotPublished)
    assert first.refused.reason == "not-delivered"
    assert "contract register" in first.refused.mend
    assert isinstance(second, Published)


def test_a_missing_topic_is_told_by_line_while_the_cluster_answers():
    """A topic that nobody created is the lines' trouble, not the cluster's."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
        producer = FakeProducer(missing={TYPE})
        found = list(results(publisher(producer, where=where), event(1), event(2)))
    assert [
        isinstance(result, NotPublished) and "topics apply" in result.refused.mend for result in found
    ] == [
        True,
        True,
    ]
    assert producer.asked == [TYPE]


def test_a_missing_topic_on_a_lost_cluster_ends_it():
    """Nothing listens there any more."""
    with pytest.raises(BrokerUnreachable):
        list(results(publisher(FakeProducer(missing={TYPE})), event(1)))


def test_a_delivery_that_fails_is_reported_by_its_line():
    """Kafka refused one record; the others went."""
    producer = FakeProducer(fail={2: TopicAuthorizationFailedError("no")})
    found = list(results(publisher(producer), event(1), event(2), event(3)))
    assert [type(result) for result in found] == [Published, NotPublished, Published]
    assert found[1].number == 2


def test_a_record_that_the_client_refuses_is_reported_by_its_line():
    """Too large for a request, for example."""
    producer = FakeProducer(fail={1: MessageSizeTooLargeError("big")})
    found = list(results(publisher(producer), event(1), event(2)))
    assert [type(result) for result in found] == [NotPublished, Published]


def test_a_broker_that_stops_answering_ends_the_run_after_telling_each_line():
    """No line is left without a word, and none is waited for twice."""
    producer = FakeProducer(fail={2: KafkaTimeoutError("expired")})
    told = results(publisher(producer), *map(event, range(1, 5)))
    found = [next(told) for _ in range(4)]
    with pytest.raises(BrokerUnreachable):
        next(told)
    assert [(type(result), result.number) for result in found] == [
        (Published, 1),
        (NotPublished, 2),
        (NotPublished, 3),
        (NotPublished, 4),
    ]


def test_an_unreachable_broker_is_said_within_a_bounded_time():
    """Nobody listens on the port: an error with the address, not a hang."""
    import time

    started = time.monotonic()
    with pytest.raises(BrokerUnreachable) as raised:
        connect("127.0.0.1:9")
    assert raised.value.where == "127.0.0.1:9"
    assert time.monotonic() - started < 20


class StuckProducer:
    """A producer whose records will never be taken: it cannot be closed until it is told to drop them."""

    def __init__(self) -> None:
        self.dropped = self.closed = False
        self._sender = self

    def force_close(self) -> None:
        self.dropped = True

    def close(self, timeout: float) -> None:
        assert timeout > 0
        if not self.dropped:
            raise KafkaTimeoutError("Timeout waiting for future")
        self.closed = True


def test_closing_after_a_lost_cluster_is_quiet():
    """What ended the run is told, not that its remains could not be flushed."""
    producer = StuckProducer()
    disconnect(producer)
    assert producer.closed


def test_the_client_still_has_what_closing_needs():
    """`_sender.force_close` is private to kafka-python: an upgrade that moves it must fail here."""
    from kafka.producer.sender import Sender

    assert callable(Sender.force_close)
