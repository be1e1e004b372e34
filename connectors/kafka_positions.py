"""Reads one topic from positions that somebody else keeps: read committed, without a consumer group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of
from connectors.kafka_line import check_line
from connectors.kafka_reader import RawRecord, raw_record
from connectors.kafka_refusal import in_our_words
from connectors.trouble import Trouble, Unreachable

CONNECT_MS = 10_000
ANSWER_MS = 30_000
FETCH_BYTES = 1_048_576


class PositionsGone(Exception):  # noqa: N818 - they are gone
    """The topic no longer has these positions, or never had."""


class TopicPositions:
    """One topic; `positions` are the next offsets by partition."""

    def __init__(
        self, consumer: Any, access: KafkaAccess, topic: str, topic_id: str, partitions: int
    ) -> None:
        from kafka import TopicPartition

        self.topic_id = topic_id
        """Which topic of this name it is: one that was made anew has another."""
        self._consumer, self._access, self._topic = consumer, access, topic
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]

    @property
    def count(self) -> int:
        """How many partitions there are."""
        return len(self._partitions)

    def go_to(self, positions: Sequence[int]) -> None:
        """Read on from there."""
        with self._answered():
            self._consumer.assign(self._partitions)
            for partition, position in zip(self._partitions, positions, strict=True):
                self._consumer.seek(partition, position)

    def begins(self) -> list[int]:
        """Where what is there begins now."""
        with self._answered():
            begins = self._consumer.beginning_offsets(self._partitions)
        return [begins[partition] for partition in self._partitions]

    def go_to_beginning(self) -> None:
        """Read everything that there is."""
        self.go_to(self.begins())

    def poll(self, records_max: int, wait_ms: int) -> list[RawRecord]:
        """The next records, in order within each partition; none when none came in that time.
        PositionsGone.
        """
        with self._answered():
            found = self._consumer.poll(timeout_ms=wait_ms, max_records=records_max)
        return [raw_record(record) for records in found.values() for record in records]

    def positions(self) -> list[int]:
        """Where the next poll goes on, markers of transactions passed over."""
        with self._answered():
            return [self._consumer.position(partition) for partition in self._partitions]

    def ends(self) -> list[int]:
        """Where what is committed ends now."""
        with self._answered():
            ends = self._consumer.end_offsets(self._partitions)
        return [ends[partition] for partition in self._partitions]

    @contextmanager
    def _answered(self) -> Iterator[None]:
        from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

        try:
            yield
        except (OffsetOutOfRangeError, NoOffsetForPartitionError):
            raise PositionsGone from None
        except (KafkaError, OSError) as error:
            raise in_our_words(error, self._access) from error


@contextmanager
def topic_positions(access: KafkaAccess, topic: str) -> Iterator[TopicPositions]:
    """Hold a reader of one topic; Trouble when it is not there."""
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    check_line(access)
    with admin_of(access, "reader") as admin:
        found: dict[str, Any] = next(iter(admin.describe_topics([topic])), {"error_code": -1})
    if found["error_code"]:
        raise Unreachable(
            "there is no such topic, or not for us",
            where=topic,
            why=f"Kafka answers with code {found['error_code']}",
            mend="`postroom topics plan` names the topics, `postroom access list` who may read them",
        )
    try:
        consumer = KafkaConsumer(
            **access.settings(),
            client_id=access.client_id,
            bootstrap_timeout_ms=CONNECT_MS,
            request_timeout_ms=ANSWER_MS,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES,
            group_id=None,
        )
    except (KafkaError, OSError) as error:
        raise in_our_words(error, access) from error
    try:
        yield TopicPositions(consumer, access, topic, str(found["topic_id"]), len(found["partitions"]))
    finally:
        consumer.close(timeout_ms=1000)


def are_beyond(positions: Sequence[int], ends: Sequence[int]) -> bool:
    """Tell whether all before these ends was read."""
    if len(positions) != len(ends):
        raise Trouble("the topic's partitions changed while it was read")
    return all(position >= end for position, end in zip(positions, ends, strict=True))
