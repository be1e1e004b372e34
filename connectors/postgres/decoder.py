"""Records of a view's topic as changes of its table, each decoded by the schema that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.kafka_reader import RawRecord
from connectors.postgres.sink import Change
from connectors.postgres.view_table import Rows, without_nul
from connectors.trouble import Trouble
from schemas import ContractMismatch, PlainCodec, unframe


class Decoder:
    """View records as changes of a table; `schema_by_id` asks the registry."""

    def __init__(self, schema_by_id: Callable[[int], Mapping[str, Any] | None]) -> None:
        self._schema_by_id = schema_by_id
        self._schemas: dict[int, tuple[Mapping[str, Any], PlainCodec]] = {}

    def change(self, record: RawRecord, rows: Rows) -> Change | None:
        """One record; None for one without a key, which no view has. Trouble when it is no view."""
        if record.key is None:
            return None
        headers = [(name, value.decode("utf-8", "replace")) for name, value in record.headers]
        first = dict(reversed(headers))
        try:
            row = None if record.value is None else self._row(record.value, rows)
            sequence = int(first["postroom_sequence"])
        except (ContractMismatch, ValueError, KeyError):
            raise Trouble(
                "a record of the view's topic is not a view",
                where=f"{record.topic}, partition {record.partition}, offset {record.offset}",
                mend="whoever wrote it is not Postroom: look who may (`postroom access list`)",
            ) from None
        return Change(
            str(without_nul(record.key.decode("utf-8", "replace"))),
            row,
            sequence,
            first.get("postroom_agreement", ""),
            record.timestamp_ms,
            tuple(value for name, value in headers if name == "postroom_supersedes"),
        )

    def _row(self, framed: bytes, rows: Rows) -> dict[str, object]:
        schema_id, body = unframe(framed)
        if schema_id not in self._schemas:
            schema = self._schema_by_id(schema_id)
            if schema is None:
                raise Trouble(
                    "the registry does not know a view's schema",
                    where=f"schema id {schema_id}",
                    mend="POSTROOM_REGISTRY must be the one that the workers use",
                )
            self._schemas[schema_id] = schema, PlainCodec(schema)
        schema, codec = self._schemas[schema_id]
        return rows.row(codec.decode(body), schema)
