"""What the benchmark sees of topics: ends, progress of groups, committed records. Joins no group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec

from tests.bench.ground import Ground

READ_S = 60
ASK_S = 10
CHUNK = 10_000
Place = tuple[str, int]
"""A partition of a topic."""


def ends(ground: Ground, topics: Iterable[str]) -> dict[Place, int]:
    """Where each partition ends now; asked again while a new topic has no leader yet."""
    found = ground.admin.list_topics(timeout=ASK_S).topics
    wanted = [TopicPartition(topic, number) for topic in topics for number in found[topic].partitions]
    deadline = time.monotonic() + ASK_S
    while True:
        futures = ground.admin.list_offsets({each: OffsetSpec.latest() for each in wanted})
        try:
            return {(each.topic, each.partition): future.result().offset for each, future in futures.items()}
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


class Group:
    """A consumer group seen from outside. (The admin client's own question crashes in 2.16.)"""

    def __init__(self, ground: Ground, name: str) -> None:
        self._ground, self._consumer = ground, _reader(ground, name)

    def positions(self, places: Iterable[Place]) -> dict[Place, int]:
        """Where the group stands in each partition; at the beginning where it has committed nothing."""
        try:
            answer = self._consumer.committed([TopicPartition(*place) for place in places], timeout=ASK_S)
        except KafkaException:  # its coordinator is not ready
            return {}
        return {(each.topic, each.partition): max(each.offset, 0) for each in answer}

    def behind(self, topics: Iterable[str]) -> bool:
        """Whether a committed record is left to read: ends count markers of transactions too."""
        last = ends(self._ground, topics)
        positions = self.positions(last)
        left = {place: positions.get(place, 0) for place in last if positions.get(place, 0) < last[place]}
        return any(True for _ in _read(self._ground, left))


def latest_values(ground: Ground, topics: Sequence[str]) -> tuple[dict[tuple[str, str], bytes], list[int]]:
    """The latest value under each (topic, key) that has one, and the broker's time of every record."""
    latest: dict[tuple[str, str], bytes] = {}
    stamps: list[int] = []
    for message in _read(ground, dict.fromkeys(ends(ground, topics), OFFSET_BEGINNING)):
        place = (message.topic(), message.key().decode())
        stamps.append(message.timestamp()[1])
        if message.value() is None:
            latest.pop(place, None)
        else:
            latest[place] = message.value()
    return latest, stamps


def committed(ground: Ground, topic: str) -> Iterator[Message]:
    """Every committed record of a topic."""
    return _read(ground, dict.fromkeys(ends(ground, [topic]), OFFSET_BEGINNING))


def first_ms(ground: Ground, topic: str) -> int:
    """When the first committed record of a topic was appended."""
    places = [{place: OFFSET_BEGINNING} for place in ends(ground, [topic])]
    firsts = [next(_read(ground, place), None) for place in places]
    return min(message.timestamp()[1] for message in firsts if message is not None)


def _read(ground: Ground, starts: Mapping[Place, int]) -> Iterator[Message]:
    """The committed records from there to what is now the end."""
    left = set(starts)
    consumer = _reader(ground, "bench-reader")
    if left:
        consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
    deadline = time.monotonic() + READ_S
    try:
        while left:
            if time.monotonic() > deadline:
                raise SystemExit(f"held up by an open transaction: {sorted(left)[:5]}")
            for message in consumer.consume(CHUNK, 0.5):
                if message.error() is None:
                    yield message
                else:
                    left.discard((message.topic(), message.partition()))
    finally:
        consumer.close()


def _reader(ground: Ground, group: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": ground.stack.kafka,
            "log_level": 0,  # what goes wrong comes as an error
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
