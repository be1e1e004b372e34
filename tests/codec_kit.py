"""Schemas of one field, as the tests of codecs use them."""

from typing import Any

from schemas import PlainCodec

DATE = {"type": "int", "logicalType": "date"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}


def record(*fields: dict[str, Any], name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def one(type_: object, **more: object) -> PlainCodec:
    return PlainCodec(record({"name": "f", "type": type_, **more}))
