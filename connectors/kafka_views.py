"""Reads an Avro topic as a subscriber would: decoded by the registry's schema alone, nothing of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import RawRecord, TopicReader
from connectors.registry import Registry
from connectors.trouble import Trouble
from schemas import PlainCodec, unframe


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

    def __init__(self, access: KafkaAccess, registry: Registry) -> None:
        self.registry = registry
        self._reader = TopicReader(access)
        self._codecs: dict[int, PlainCodec] = {}

    def read(self, topic: str, follow: bool = False, idle_s_max: float | None = None) -> Iterator[ReadRecord]:
        """Read to what is now the end, or on and on; `idle_s_max` ends a quiet following."""
        for record in self._reader.read([topic], follow, idle_s_max):
            yield self.decoded(record)

    def decoded(self, record: RawRecord) -> ReadRecord:
        """Decode one record of an Avro topic; Trouble when it is no Avro, or the registry does not know its
        schema. It is not stepped over: what others wrote here may hide what a worker wrote.
        """
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        try:
            value = None if record.value is None else self._value(record.value)
        except ValueError:  # its message may hold a value
            raise Trouble(
                "a record of the topic is not what its workers write",
                where=f"{record.topic}, partition {record.partition}, offset {record.offset}",
                why="it is no Avro of a registered schema, so somebody else wrote it",
                mend="docs/runbooks/PostroomForeignRecords.md",
            ) from None
        key = (record.key or b"").decode("utf-8", "replace")
        place = (record.topic, record.partition, record.offset, record.timestamp_ms)
        return ReadRecord(*place, key, value, headers)

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
