"""Reads an Avro schema into a tree (Avro 1.11 specification, "Schema Declaration").

What Postroom cannot treat safely is refused here: a recursive type, an array of items without a size, a
logical type without a plain-JSON form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from .avro_type import (
    NAME,
    PARTIAL_DATE,
    PRIMITIVES,
    WIDER,
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    SchemaInvalid,
    Union,
    branch_name,
)

LOGICAL_TYPES: Mapping[str, frozenset[str]] = {
    "int": frozenset({"date", "time-millis"}),
    "long": frozenset({"timestamp-millis", "timestamp-micros", "time-micros"}),
    "string": frozenset({"uuid", PARTIAL_DATE}),
    "bytes": frozenset({"decimal"}),
    "fixed": frozenset({"decimal"}),
}
#: How Avro writes what people call a type; what a beginner writes first.
_WRITTEN: Mapping[str, str] = {
    "date": '{"type": "int", "logicalType": "date"}',
    "datetime": '{"type": "long", "logicalType": "timestamp-millis"}',
    "timestamp": '{"type": "long", "logicalType": "timestamp-millis"}',
    "partial-date": '{"type": "string", "logicalType": "partial-date"}',
    "decimal": '{"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}',
    "bool": '"boolean"',
    "integer": '"long"',
    "number": '"long", or a decimal',
    "text": '"string"',
}
_FULL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def parse(schema: object) -> AvroType:
    """The tree of an Avro schema given as parsed JSON; SchemaInvalid names the place and the problem."""
    return _Parser().read(schema, "", "")


class _Parser:
    """Reads one schema; knows the names that were defined so far and those being defined."""

    def __init__(self) -> None:
        self._named: dict[str, AvroType] = {}
        self._open: set[str] = set()

    def read(self, schema: object, namespace: str, where: str) -> AvroType:
        if isinstance(schema, str):
            return self._reference(schema, namespace, where)
        if isinstance(schema, list):
            return self._union(schema, namespace, where)
        if not isinstance(schema, dict):
            raise SchemaInvalid(where, "a type is a name, a list (union) or an object")
        kind = schema.get("type")
        match kind:
            case "record":
                return self._record(schema, namespace, where)
            case "enum":
                return self._enum(schema, namespace, where)
            case "fixed":
                return self._fixed(schema, namespace, where)
            case "array":
                return self._array(schema, namespace, where)
            case "map":
                return Map(self.read(schema.get("values"), namespace, _under(where, "*")))
            case str() if kind in PRIMITIVES:
                logical, precision, scale = _logical(schema, kind, where)
                return Primitive(kind, logical, precision, scale)
            case _:
                return self.read(kind, namespace, where)

    def _reference(self, name: str, namespace: str, where: str) -> AvroType:
        if name in PRIMITIVES:
            return Primitive(name)
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full in self._open:
            raise SchemaInvalid(where, f"the type {full} contains itself; recursive types are not taken")
        if full not in self._named:
            hint = f"; Avro writes it {_WRITTEN[name]}" if name in _WRITTEN else ""
            raise SchemaInvalid(where, f"the type {full} is not defined before this place{hint}")
        return self._named[full]

    def _define(
        self, schema: Mapping[str, object], namespace: str, where: str
    ) -> tuple[str, str, frozenset[str]]:
        name, own = schema.get("name"), schema.get("namespace", namespace)
        if not isinstance(name, str) or _FULL_NAME.fullmatch(name) is None:
            raise SchemaInvalid(where, "a record, enum or fixed needs a `name` of letters, digits and _")
        if not isinstance(own, str) or (own and _FULL_NAME.fullmatch(own) is None):
            raise SchemaInvalid(where, "`namespace` must be dotted names")
        full = name if "." in name or not own else f"{own}.{name}"
        if full in self._named or full in self._open:
            raise SchemaInvalid(where, f"the type {full} is defined twice")
        inner = full.rpartition(".")[0]
        aliases = frozenset(
            alias if "." in alias or not inner else f"{inner}.{alias}"
            for alias in _texts(schema, "aliases", where)
        )
        return full, inner, aliases

    def _record(self, schema: Mapping[str, object], namespace: str, where: str) -> Record:
        full, inner, aliases = self._define(schema, namespace, where)
        raw_fields = schema.get("fields")
        if not isinstance(raw_fields, list):
            raise SchemaInvalid(where, "a record needs a list of `fields`")
        self._open.add(full)
        fields: list[Field] = []
        for raw in raw_fields:
            read = self._field(raw, inner, where)
            if any(read.name == other.name for other in fields):
                raise SchemaInvalid(_under(where, read.name), "the field stands twice in its record")
            fields.append(read)
        self._open.discard(full)
        record = Record(full, tuple(fields), aliases, str(schema.get("doc", "")))
        self._named[full] = record
        return record

    def _field(self, raw: object, namespace: str, where: str) -> Field:
        if not isinstance(raw, dict):
            raise SchemaInvalid(where, "a field is an object with a name and a type")
        name = raw.get("name")
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            raise SchemaInvalid(where, "a field needs a `name` of letters, digits and _")
        here = _under(where, name)
        if "type" not in raw:
            raise SchemaInvalid(here, "the field has no `type`")
        type_ = self.read(raw["type"], namespace, here)
        default: object = None
        if "default" in raw:
            default = raw_default(type_, raw["default"], here)
        extra = {key: value for key, value in raw.items() if key not in _FIELD_KEYS}
        aliases = frozenset(_texts(raw, "aliases", here))
        doc = str(raw.get("doc", ""))
        return Field(name, type_, "default" in raw, default, aliases, doc, extra)

    def _enum(self, schema: Mapping[str, object], namespace: str, where: str) -> Enum:
        full, _, aliases = self._define(schema, namespace, where)
        symbols = _texts(schema, "symbols", where)
        if not symbols or len(set(symbols)) != len(symbols) or not all(NAME.fullmatch(s) for s in symbols):
            raise SchemaInvalid(where, "an enum needs different `symbols` of letters, digits and _")
        default = schema.get("default")
        if default is not None and default not in symbols:
            raise SchemaInvalid(where, "the enum's default is not one of its symbols")
        enum = Enum(full, symbols, str(default) if default is not None else None, aliases)
        self._named[full] = enum
        return enum

    def _fixed(self, schema: Mapping[str, object], namespace: str, where: str) -> Fixed:
        full, _, aliases = self._define(schema, namespace, where)
        size = schema.get("size")
        if type(size) is not int or size < 1:
            raise SchemaInvalid(where, "a fixed needs a `size` of at least 1")
        logical, precision, scale = _logical(schema, "fixed", where)
        if logical == "decimal" and 10**precision > 2 ** (8 * size - 1):
            raise SchemaInvalid(where, f"{precision} digits do not fit into {size} bytes")
        fixed = Fixed(full, size, logical, precision, scale, aliases)
        self._named[full] = fixed
        return fixed

    def _array(self, schema: Mapping[str, object], namespace: str, where: str) -> Array:
        items = self.read(schema.get("items"), namespace, _under(where, "[]"))
        if _size_min(items) == 0:  # eight damaged bytes could then announce 2**60 items
            raise SchemaInvalid(where, "an array's items must take at least one byte")
        return Array(items)

    def _union(self, schema: list[object], namespace: str, where: str) -> Union:
        branches = tuple(self.read(branch, namespace, where) for branch in schema)
        if any(isinstance(branch, Union) for branch in branches):
            raise SchemaInvalid(where, "a union directly inside a union")
        names = [branch_name(branch) for branch in branches]
        if not names or len(set(names)) != len(names):
            raise SchemaInvalid(where, "a union needs different branches")
        return Union(tuple(_told_apart(branch, names) for branch in branches))


def _told_apart(branch: AvroType, names: list[str]) -> AvroType:
    """A branch of a union, noted if it is a number and the wider one stands there too."""
    if isinstance(branch, Primitive) and WIDER.get(branch.name) in names:
        return replace(branch, beside_wider=True)
    return branch


_FIELD_KEYS = frozenset({"name", "type", "default", "aliases", "doc", "order"})


def _under(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _texts(schema: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    values = schema.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SchemaInvalid(where, f"`{key}` must be a list of names")
    return tuple(values)


def _logical(schema: Mapping[str, object], base: str, where: str) -> tuple[str | None, int, int]:
    logical = schema.get("logicalType")
    if logical is None:
        return None, 0, 0
    if not isinstance(logical, str) or logical not in LOGICAL_TYPES.get(base, frozenset()):
        raise SchemaInvalid(where, f"the logical type {logical!r} on {base} has no plain-JSON form here")
    if logical != "decimal":
        return logical, 0, 0
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if type(precision) is not int or type(scale) is not int or not 0 <= scale <= precision or precision < 1:
        raise SchemaInvalid(where, "a decimal needs `precision` from 1 and `scale` from 0 to precision")
    return logical, precision, scale


def _size_min(type_: AvroType) -> int:
    """The least number of bytes that a value of the type takes in Avro binary."""
    match type_:
        case Primitive(name="null"):
            return 0
        case Record(fields=fields):
            return sum(_size_min(each.type) for each in fields)
        case _:
            return 1


_HOW_DEFAULTS_STAND = "a union's is of its first branch, a date's is a number of days"


def raw_default(type_: AvroType, value: object, where: str) -> object:
    """A default as the schema's JSON writes it, turned into raw Avro data; SchemaInvalid when it does not
    fit.

    Bytes are written as text of the code points 0 to 255; a union's default is of its first branch.
    """
    match type_, value:
        case Primitive(name="null"), None:
            return None
        case Primitive(name="boolean"), bool():
            return value
        case Primitive(name="int"), int() if type(value) is int and -(2**31) <= value < 2**31:
            return value
        case Primitive(name="long"), int() if type(value) is int and -(2**63) <= value < 2**63:
            return value
        case Primitive(name="float" | "double"), int() | float() if type(value) is not bool:
            return float(value)
        case Primitive(name="string"), str():
            return value
        case ((Primitive(name="bytes") | Fixed()), str()) if all(ord(character) < 256 for character in value):
            raw = value.encode("latin-1")
            if not isinstance(type_, Fixed) or len(raw) == type_.size:
                return raw
        case Enum(symbols=symbols), str() if value in symbols:
            return value
        case Array(items=items), list():
            return [raw_default(items, item, where) for item in value]
        case Map(values=values), dict():
            return {key: raw_default(values, item, where) for key, item in value.items()}
        case Record(), dict():
            return _record_default(type_, value, where)
        case Union(branches=branches), _:
            return raw_default(branches[0], value, where)
    raise SchemaInvalid(where, f"the default does not fit the type; {_HOW_DEFAULTS_STAND}")


def _record_default(record: Record, value: Mapping[str, object], where: str) -> dict[str, object]:
    if value.keys() - {each.name for each in record.fields}:
        raise SchemaInvalid(where, "the default has a field that the record has not")
    raw: dict[str, object] = {}
    for each in record.fields:
        if each.name in value:
            raw[each.name] = raw_default(each.type, value[each.name], where)
        elif each.has_default:
            raw[each.name] = each.default
        else:
            raise SchemaInvalid(where, f"the default lacks the field {each.name}")
    return raw
