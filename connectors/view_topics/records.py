"""Records of a view topic as changes: decoded by the schema that each names, nothing assumed (V1)."""

from __future__ import annotations

from typing import Any, Protocol

from connectors.away import Away
from connectors.view_topics.ports import Change
from schemas import ContractMismatch, PlainCodec, unframe


class Schemas(Protocol):
    """What the registry knows."""

    async def writer(self, schema_id: int) -> dict[str, Any] | None:
        """Return the schema with this id."""


class ViewRecords:
    """Decodes records of aiokafka's; a schema is asked for once."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._codecs: dict[int, PlainCodec] = {}

    async def change(self, record: Any) -> Change:
        """Return a record as a change; Away when it cannot be read now."""
        headers = tuple((name, (raw or b"").decode("utf-8", "replace")) for name, raw in record.headers)
        value = None if record.value is None else await self._value(record.value)
        key = record.key.decode("utf-8", "replace")
        return Change(key, value, headers, record.timestamp, record.partition, record.offset)

    async def _value(self, framed: bytes) -> dict[str, Any]:
        try:
            schema_id, body = unframe(framed)
            codec = self._codecs.get(schema_id)
            if codec is None:
                schema = await self._schemas.writer(schema_id)
                if schema is None:
                    raise Away("the registry does not know a view's schema")
                codec = self._codecs[schema_id] = PlainCodec(schema)
            return dict(codec.decode(body))
        except (ValueError, ContractMismatch):
            raise Away("a record of the topic is not a view") from None
