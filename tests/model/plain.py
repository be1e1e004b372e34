"""E3: data as plain JSON, checked against an Avro schema and brought into its one normal form."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

from tests.model import times

PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
RANGES = {"int": 1 << 31, "long": 1 << 63}


class MismatchError(Exception):
    """The data is not what the contract says."""


def normal(schema: dict[str, Any], data: Any) -> Any:
    """The data with defaults filled in and timestamps in UTC; MismatchError if it is not the schema's."""
    return _normal(schema, data, {}, "")


def _normal(schema: Any, value: Any, names: dict[str, tuple[Any, str]], space: str) -> Any:
    if isinstance(schema, list):
        return _union(schema, value, names, space)
    if isinstance(schema, str):
        if schema in PRIMITIVES:
            return _primitive(schema, None, value)
        schema, space = names[schema if "." in schema else _full(schema, space)]
        return _named(schema, value, names, space)
    kind = schema["type"]
    if isinstance(kind, (dict, list)):
        return _normal(kind, value, names, space)
    if kind in ("record", "enum", "fixed", "error"):
        space = _learn(schema, names, space)
        return _named(schema, value, names, space)
    if kind == "array":
        if not isinstance(value, list):
            raise MismatchError
        return [_normal(schema["items"], each, names, space) for each in value]
    if kind == "map":
        if not isinstance(value, dict):
            raise MismatchError
        return {_text(key): _normal(schema["values"], each, names, space) for key, each in value.items()}
    if kind in PRIMITIVES:
        return _primitive(kind, schema.get("logicalType"), value)
    return _normal(kind, value, names, space)


def _full(name: str, space: str) -> str:
    return f"{space}.{name}" if space else name


def _learn(schema: dict[str, Any], names: dict[str, tuple[Any, str]], space: str) -> str:
    """Note a named type under its full name; answer the namespace that holds inside it."""
    name = schema["name"]
    full = name if "." in name else _full(name, schema.get("namespace", space))
    inside = full.rpartition(".")[0]
    names[full] = (schema, inside)
    return inside


def _learn_all(schema: Any, names: dict[str, tuple[Any, str]], space: str) -> None:
    """Named types are known from where they first stand in the text, even if the data skips over them."""
    if isinstance(schema, list):
        for branch in schema:
            _learn_all(branch, names, space)
    elif isinstance(schema, dict):
        if schema.get("type") in ("record", "enum", "fixed", "error"):
            space = _learn(schema, names, space)
            for field in schema.get("fields", []):
                _learn_all(field["type"], names, space)
        else:
            for inner in (schema.get("type"), schema.get("items"), schema.get("values")):
                if isinstance(inner, (dict, list)):
                    _learn_all(inner, names, space)


def _named(schema: dict[str, Any], value: Any, names: dict[str, tuple[Any, str]], space: str) -> Any:
    if schema["type"] == "enum":
        if not isinstance(value, str) or value not in schema["symbols"]:
            raise MismatchError
        return value
    if schema["type"] == "fixed":
        raise NotImplementedError("no contract of ours has a fixed")
    if not isinstance(value, dict):
        raise MismatchError
    for field in schema["fields"]:
        _learn_all(field["type"], names, space)
    if set(value) - {field["name"] for field in schema["fields"]}:
        raise MismatchError
    whole = {}
    for field in schema["fields"]:
        if field["name"] in value:
            whole[field["name"]] = _normal(field["type"], value[field["name"]], names, space)
        elif "default" in field:
            whole[field["name"]] = _default(field["type"], field["default"], names, space)
        else:
            raise MismatchError
    return whole


def _union(branches: list[Any], value: Any, names: dict[str, tuple[Any, str]], space: str) -> Any:
    """Unions are unwrapped: the first branch that takes the value."""
    for branch in branches:
        try:
            return _normal(branch, value, names, space)
        except MismatchError:
            continue
    raise MismatchError


def _primitive(kind: str, logical: str | None, value: Any) -> Any:
    if logical == "date":
        return _parsed(times.day, value).isoformat()
    if logical in ("timestamp-millis", "timestamp-micros"):
        return _parsed(lambda text: times.text_of(times.instant(text)), value)
    if kind == "null" and value is None:
        return None
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind in RANGES and type(value) is int and -RANGES[kind] <= value < RANGES[kind]:
        return value
    if kind in ("float", "double") and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind == "string":
        return _text(value)
    raise MismatchError


def _parsed(parse: Any, value: Any) -> Any:
    if not isinstance(value, str):
        raise MismatchError
    try:
        return parse(value)
    except (ValueError, OverflowError):
        raise MismatchError from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise MismatchError
    return value


def _default(schema: Any, default: Any, names: dict[str, tuple[Any, str]], space: str) -> Any:
    """A default stands in the schema in Avro's JSON: days and milliseconds are numbers there."""
    if isinstance(schema, list):
        return _default(schema[0], default, names, space)
    if isinstance(schema, dict) and schema.get("logicalType") == "date":
        return (date(1970, 1, 1) + timedelta(days=default)).isoformat()
    if isinstance(schema, dict) and schema.get("logicalType") == "timestamp-millis":
        return times.text_of(default)
    if isinstance(schema, dict) and schema["type"] == "array":
        return [_default(schema["items"], each, names, space) for each in default]
    return _normal(schema, default, names, space)
