"""Reads topics from their beginning, read committed, to what is now their end or on and on."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of
from connectors.kafka_line import check_line
from connectors.kafka_refusal import in_our_words, not_allowed
from connectors.trouble import Trouble

POLL_MS = 200
CONNECT_WITHIN_MS = 10_000


class RawRecord(NamedTuple):
    """One record as the broker has it; the timestamp is the broker's, UTC ms."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class TopicReader:
    """Records of topics, in order within each partition, without a consumer group."""

    def __init__(self, access: KafkaAccess) -> None:
        self.access = access

    def read(
        self, topics: Sequence[str], follow: bool = False, idle_s_max: float | None = None
    ) -> Iterator[RawRecord]:
        """Read everything that is there now, or follow; `idle_s_max` ends a quiet following."""
        from kafka.errors import AuthorizationError

        try:
            yield from self._read(topics, follow, idle_s_max)
        except AuthorizationError as error:
            raise in_our_words(error, self.access) from error

    def _read(self, topics: Sequence[str], follow: bool, idle_s_max: float | None) -> Iterator[RawRecord]:
        with closing(self._consumer()) as consumer:
            partitions = self._assign(consumer, topics)
            consumer.seek_to_beginning(*partitions)
            ends = None if follow else consumer.end_offsets(partitions)
            last = time.monotonic()
            while ends is None or any(consumer.position(tp) < end for tp, end in ends.items()):
                for records in consumer.poll(timeout_ms=POLL_MS).values():
                    for record in records:
                        last = time.monotonic()
                        yield raw_record(record)
                if idle_s_max is not None and time.monotonic() - last > idle_s_max:
                    return

    def onward(self, topics: Sequence[str], *, from_now: bool) -> Generator[RawRecord | None]:
        """Stand at what is now the end, or at the beginning, and only then return what comes after it, on and
        on; None when nothing comes for a moment.
        """
        from kafka.errors import KafkaError

        consumer = self._consumer()
        try:
            partitions = self._assign(consumer, topics)
            places = consumer.end_offsets if from_now else consumer.beginning_offsets
            for partition, offset in places(partitions).items():
                consumer.seek(partition, offset)
        except (KafkaError, OSError) as error:
            consumer.close()
            raise in_our_words(error, self.access) from error
        except BaseException:
            consumer.close()
            raise
        return self._from_here(consumer)

    def _from_here(self, consumer: Any) -> Generator[RawRecord | None]:
        from kafka.errors import KafkaError

        with closing(consumer):
            while True:
                try:
                    fetched = consumer.poll(timeout_ms=POLL_MS)
                except (KafkaError, OSError) as error:
                    raise in_our_words(error, self.access) from error
                yield from (raw_record(record) for records in fetched.values() for record in records)
                if not fetched:
                    yield None

    def _assign(self, consumer: Any, topics: Sequence[str]) -> list[Any]:
        """Assign every partition of the topics; Trouble for one that is not there, or not for us."""
        from kafka import TopicPartition

        partitions = []
        for topic in topics:
            numbers = sorted(consumer.partitions_for_topic(topic) or ())
            if not numbers:
                raise self._missing(topic)
            partitions += [TopicPartition(topic, number) for number in numbers]
        consumer.assign(partitions)
        return partitions

    def latest(self, topic: str) -> dict[bytes, RawRecord]:
        """Read a compacted topic: the last record under each key, those that were deleted left out."""
        records: dict[bytes, RawRecord] = {}
        for record in self.read([topic]):
            if record.key is None:
                continue
            if record.value is None:
                records.pop(record.key, None)
            else:
                records[record.key] = record
        return records

    def _missing(self, topic: str) -> Trouble:
        """Say why a topic has no partitions for us: it is not there, or not for us."""
        from kafka.errors import TopicAuthorizationFailedError

        with admin_of(self.access, "reader") as admin:
            codes = {found["error_code"] for found in admin.describe_topics([topic])}
        if TopicAuthorizationFailedError.errno in codes:
            return not_allowed(self.access, f"it may not read the topic {topic}")
        mend = "`postroom topics plan` names those that are needed"
        return Trouble("there is no such topic", where=topic, mend=mend)

    def _consumer(self) -> Any:
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError

        check_line(self.access)
        try:
            return KafkaConsumer(
                **self.access.settings(),
                client_id="postroom-reader",
                bootstrap_timeout_ms=CONNECT_WITHIN_MS,
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                group_id=None,
            )
        except (KafkaError, OSError) as error:
            raise in_our_words(error, self.access) from error


def raw_record(record: Any) -> RawRecord:
    """One record of kafka-python's as ours."""
    headers = tuple((name, value or b"") for name, value in record.headers)
    return RawRecord(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, headers
    )
