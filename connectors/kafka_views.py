"""Reads a topic as a subscriber would: read committed, decoded by the registry's schema, nothing of ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from connectors.registry import Registry
from connectors.trouble import Trouble, Unreachable
from schemas import PlainCodec, unframe

POLL_MS = 200


class ReadRecord(NamedTuple):
    """One record as it was read; `value` is plain data, None for a tombstone. Timestamps in UTC ms."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str
    value: dict[str, Any] | None
    headers: dict[str, str]


class AvroReader:
    """Records of Avro topics, in order within each partition."""

    def __init__(self, bootstrap: str, registry: Registry) -> None:
        self.bootstrap, self.registry = bootstrap, registry
        self._codecs: dict[int, PlainCodec] = {}

    def read(self, topic: str, follow: bool = False, idle_s_max: float | None = None) -> Iterator[ReadRecord]:
        """Read from the beginning to what is now the end, or on and on; `idle_s_max` ends a quiet
        following.
        """
        from kafka import TopicPartition

        with closing(self._consumer()) as consumer:
            partitions = [
                TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())
            ]
            if not partitions:
                raise Trouble(
                    "there is no such topic",
                    where=topic,
                    mend="`postroom topics plan` names those that are needed",
                )
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = None if follow else consumer.end_offsets(partitions)
            last = time.monotonic()
            while ends is None or any(consumer.position(tp) < end for tp, end in ends.items()):
                polled = consumer.poll(timeout_ms=POLL_MS)
                for records in polled.values():
                    for record in records:
                        last = time.monotonic()
                        yield self._decoded(record)
                if idle_s_max is not None and time.monotonic() - last > idle_s_max:
                    return

    def _decoded(self, record: Any) -> ReadRecord:
        headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
        value = None if record.value is None else self._value(record.value)
        key = (record.key or b"").decode("utf-8", "replace")
        return ReadRecord(
            record.topic, record.partition, record.offset, record.timestamp, key, value, headers
        )

    def _value(self, framed: bytes) -> dict[str, Any]:
        schema_id, body = unframe(framed)
        codec = self._codecs.get(schema_id)
        if codec is None:
            schema = self.registry.schema_by_id(schema_id)
            if schema is None:
                raise Trouble(
                    "the registry does not know a schema", where=self.registry.url, why=f"id {schema_id}"
                )
            codec = self._codecs[schema_id] = PlainCodec(schema)
        return dict(codec.decode(body))

    def _consumer(self) -> Any:
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError

        try:
            return KafkaConsumer(
                bootstrap_servers=self.bootstrap.split(","),
                client_id="postroom-view",
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                group_id=None,
            )
        except (KafkaError, OSError) as error:
            raise Unreachable(
                "Kafka is unreachable",
                where=self.bootstrap,
                why=str(error) or type(error).__name__,
                mend="`postroom status` says what runs",
            ) from error
