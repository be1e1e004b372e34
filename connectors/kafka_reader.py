"""Reads topics from their beginning, read committed, to what is now their end or on and on."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of
from connectors.kafka_line import check_line
from connectors.kafka_refusal import in_our_words, not_allowed
from connectors.trouble import Trouble, Unreachable

POLL_MS = 200
CONNECT_WITHIN_MS = 10_000
ANSWER_WITHIN_S = 15.0
FEW_BYTES = 65_536
"""Of one fetch for a single record; a broker gives a greater record all the same."""

Place = tuple[str, int, int]
"""Topic, partition, offset."""


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
        self,
        topics: Sequence[str],
        follow: bool = False,
        idle_s_max: float | None = None,
        since: Mapping[tuple[str, int], int] | None = None,
    ) -> Iterator[RawRecord]:
        """Read everything that is there now, or follow; `idle_s_max` ends a quiet following.

        `since` gives offsets to begin at, as :meth:`ends` has them.
        """
        from kafka.errors import KafkaError

        try:
            yield from self._read(topics, follow, idle_s_max, since or {})
        except KafkaError as error:
            raise in_our_words(error, self.access) from error

    def ends(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """Where each partition of topics ends now."""
        from kafka.errors import KafkaError

        try:
            with closing(self._consumer()) as consumer:
                found = consumer.end_offsets(self._assign(consumer, topics))
        except KafkaError as error:
            raise in_our_words(error, self.access) from error
        return {(tp.topic, tp.partition): end for tp, end in found.items()}

    def _read(
        self,
        topics: Sequence[str],
        follow: bool,
        idle_s_max: float | None,
        since: Mapping[tuple[str, int], int],
    ) -> Iterator[RawRecord]:
        with closing(self._consumer()) as consumer:
            partitions = self._assign(consumer, topics)
            consumer.seek_to_beginning(*partitions)
            for tp in partitions:
                if (tp.topic, tp.partition) in since:
                    consumer.seek(tp, since[tp.topic, tp.partition])
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
            numbers = sorted(_partitions_of(consumer, topic))
            if not numbers:
                raise self._missing(topic)
            partitions += [TopicPartition(topic, number) for number in numbers]
        consumer.assign(partitions)
        return partitions

    def at(self, places: Collection[Place]) -> dict[Place, RawRecord]:
        """Read single records; one that retention has passed, or that was never committed, is left out.

        Raises Unreachable while the cluster is away: what cannot be asked for is not gone.
        """
        from kafka import TopicPartition
        from kafka.errors import KafkaError

        found: dict[Place, RawRecord] = {}
        by_partition: dict[tuple[str, int], list[int]] = {}
        for topic, partition, offset in sorted(places):
            by_partition.setdefault((topic, partition), []).append(offset)
        try:
            with closing(self._consumer(max_partition_fetch_bytes=FEW_BYTES)) as consumer:
                for (topic, partition), offsets in by_partition.items():
                    if partition in _partitions_of(consumer, topic):
                        there = _single(consumer, TopicPartition(topic, partition), offsets)
                        found |= {(topic, partition, record.offset): record for record in there}
        except (KafkaError, OSError) as error:
            raise in_our_words(error, self.access) from error
        return found

    def count(self, tails: Mapping[tuple[str, int], tuple[int, int]]) -> dict[tuple[str, int], int] | None:
        """Count what is committed between two offsets of each partition; None if it takes too long.

        Offsets do not say it: each transaction leaves a marker that is one, and what was aborted has some.
        Raises Trouble when Kafka refuses, for instance to let this user read there.
        """
        from kafka import TopicPartition
        from kafka.errors import KafkaError

        found = dict.fromkeys(tails, 0)
        wanted = {TopicPartition(*where): where for where in tails}
        deadline = time.monotonic() + ANSWER_WITHIN_S
        try:
            with closing(self._consumer()) as consumer:
                consumer.assign(list(wanted))
                # What lies in a transaction that is open can be read by nobody yet.
                stable = consumer.end_offsets(list(wanted))
                ends = {tp: min(stable[tp], tails[where][1]) for tp, where in wanted.items()}
                for tp, where in wanted.items():
                    consumer.seek(tp, tails[where][0])
                while any(consumer.position(tp) < end for tp, end in ends.items()):
                    for tp, records in consumer.poll(timeout_ms=POLL_MS).items():
                        found[wanted[tp]] += sum(record.offset < ends[tp] for record in records)
                    if time.monotonic() > deadline:
                        return None
        except (KafkaError, OSError) as error:
            raise in_our_words(error, self.access) from error
        return found

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

    def _consumer(self, **more: Any) -> Any:
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
                **more,
            )
        except (KafkaError, OSError) as error:
            raise in_our_words(error, self.access) from error


def _partitions_of(consumer: Any, topic: str) -> set[int]:
    """Ask which partitions a topic has; again for a moment while the cluster says that it has no broker.

    A broker that was cut off answers so until its controller lets it in again; the client takes it for final.
    """
    from kafka.errors import MetadataEmptyBrokerList

    deadline = time.monotonic() + ANSWER_WITHIN_S
    while True:
        try:
            return consumer.partitions_for_topic(topic) or set()
        except MetadataEmptyBrokerList:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_MS / 1000)


def _single(consumer: Any, tp: Any, offsets: Sequence[int]) -> Iterator[RawRecord]:
    """Read one record after the other; Unreachable when the broker answers nothing for too long."""
    consumer.assign([tp])
    begin, end = consumer.beginning_offsets([tp])[tp], consumer.end_offsets([tp])[tp]
    for offset in offsets:
        if not begin <= offset < end:
            continue
        consumer.seek(tp, offset)
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while consumer.position(tp) <= offset:
            records = consumer.poll(timeout_ms=POLL_MS, max_records=1).get(tp, ())
            yield from (raw_record(record) for record in records if record.offset == offset)
            if not records and time.monotonic() > deadline:
                where = f"{tp.topic}-{tp.partition}"
                raise Unreachable("Kafka does not give a record", where=where, mend="look again later")


def raw_record(record: Any) -> RawRecord:
    """One record of kafka-python's as ours."""
    headers = tuple((name, value or b"") for name, value in record.headers)
    return RawRecord(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, headers
    )
