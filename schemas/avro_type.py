"""An Avro schema as a small tree with every named type in its place (Avro 1.11 specification, "Schema
Declaration").

The codec, the comparison of attributes, the compatibility check and the generated views all walk this tree,
so none of them has to know how Avro spells names, namespaces and references. What Postroom cannot treat
safely is refused here: a recursive type, an array of items without a size, a logical type without a
plain-JSON form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

PARTIAL_DATE = "partial-date"

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SchemaInvalid(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """A schema that is not Avro, or that Postroom does not take; `where` is the path of fields to it."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}" if where else problem)
        self.where = where
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Primitive:
    """A primitive type, perhaps with a logical one on top."""

    name: str
    logical: str | None = None
    precision: int = 0
    scale: int = 0
    beside_wider: bool = False
    """It stands in a union with the number that Avro would widen it to: only the branch tells them apart."""


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum; `default` is what a reader takes for a symbol that it does not know."""

    name: str
    symbols: tuple[str, ...]
    default: str | None = None
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Fixed:
    """A fixed number of bytes, perhaps a decimal."""

    name: str
    size: int
    logical: str | None = None
    precision: int = 0
    scale: int = 0
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record; with `has_default`, `default` is raw Avro data."""

    name: str
    type: AvroType
    has_default: bool = False
    default: object = None
    aliases: frozenset[str] = frozenset()
    doc: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A record, its fields in their order."""

    name: str
    fields: tuple[Field, ...]
    aliases: frozenset[str] = frozenset()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Array:
    """A list of items of one type."""

    items: AvroType


@dataclass(frozen=True, slots=True)
class Map:
    """Values of one type under text keys."""

    values: AvroType


@dataclass(frozen=True, slots=True)
class Union:
    """One of several types."""

    branches: tuple[AvroType, ...]


AvroType = Primitive | Enum | Fixed | Record | Array | Map | Union

NULL = Primitive("null")
WIDER = {"int": "long", "float": "double"}
"""Numbers that one union may hold both of."""

NARROW = "value"
"""The one field of the record that a number beside a wider one is read and written as."""


def nullable(type_: AvroType) -> bool:
    """Whether null is one of the type's values."""
    return type_ == NULL or (isinstance(type_, Union) and NULL in type_.branches)


def without_null(type_: AvroType) -> AvroType:
    """The type with the null taken out of a union at its top; a union of one is that one."""
    if not isinstance(type_, Union):
        return type_
    rest = tuple(branch for branch in type_.branches if branch != NULL)
    return rest[0] if len(rest) == 1 else Union(rest)


def branch_name(type_: AvroType) -> str:
    """How Avro tells the branches of a union apart: the full name, or the name of an unnamed type."""
    match type_:
        case Primitive(name=name) | Enum(name=name) | Fixed(name=name) | Record(name=name):
            return name
        case Array():
            return "array"
        case Map():
            return "map"
        case Union():
            raise SchemaInvalid("", "a union directly inside a union")


def sorts_to_canonical_json(type_: AvroType) -> bool:
    """Whether compact JSON with sorted names of any plain data of the type is its RFC 8785 form already.

    Floating point numbers have a form of their own there, and the keys of a map, which need not be ASCII, an
    order; all else is text, whole numbers, booleans, nulls and the ASCII names of fields.
    """
    match type_:
        case Primitive(name=name):
            return name not in ("float", "double")
        case Array(items=items):
            return sorts_to_canonical_json(items)
        case Union(branches=branches):
            return all(map(sorts_to_canonical_json, branches))
        case Record(fields=fields):
            return all(sorts_to_canonical_json(each.type) for each in fields)
        case Map():
            return False
        case Enum() | Fixed():
            return True


def wire_name(type_: AvroType) -> str:
    """How the codec's own schema tells the branches of a union apart (:func:`bare_schema`)."""
    narrow = isinstance(type_, Primitive) and type_.beside_wider
    return f"postroom.narrow.{branch_name(type_)}" if narrow else branch_name(type_)


def bare_schema(type_: AvroType, defined: set[str] | None = None) -> object:
    """The tree as an Avro schema without docs, annotations and logical types: what is on the wire."""
    defined = set() if defined is None else defined
    match type_:
        case Primitive(name=name, beside_wider=True):
            # A record of one field has the bytes of that field, and a name, by which its branch is known.
            only = {"name": NARROW, "type": name}
            return _once(wire_name(type_), {"type": "record", "fields": [only]}, defined)
        case Primitive(name=name):
            return name
        case Array(items=items):
            return {"type": "array", "items": bare_schema(items, defined)}
        case Map(values=values):
            return {"type": "map", "values": bare_schema(values, defined)}
        case Union(branches=branches):
            return [bare_schema(branch, defined) for branch in branches]
    if type_.name in defined:
        return type_.name
    defined.add(type_.name)
    bare: dict[str, object] = {"name": type_.name, "aliases": sorted(type_.aliases)}
    match type_:
        case Enum(symbols=symbols, default=default):
            return (
                bare | {"type": "enum", "symbols": list(symbols)} | ({"default": default} if default else {})
            )
        case Fixed(size=size):
            return bare | {"type": "fixed", "size": size}
        case Record(fields=fields):
            return bare | {"type": "record", "fields": [_bare_field(each, defined) for each in fields]}


def _once(name: str, schema: dict[str, object], defined: set[str]) -> object:
    """A named type where it stands first, its name where it stands again."""
    if name in defined:
        return name
    defined.add(name)
    return {"name": name} | schema


def default_json(type_: AvroType, raw: object) -> object:
    """A default as the codec's own schema writes it, records complete: fastavro hands it out as it stands."""
    match type_, raw:
        case Union(branches=branches), _:
            return default_json(branches[0], raw)
        case Primitive(beside_wider=True), _:
            return {NARROW: raw}
        case _, bytes():
            return raw.decode("latin-1")
        case Array(items=items), list():
            return [default_json(items, item) for item in raw]
        case Map(values=values), dict():
            return {key: default_json(values, value) for key, value in raw.items()}
        case Record(fields=fields), dict():
            return {each.name: default_json(each.type, raw[each.name]) for each in fields}
        case _:
            return raw


def _bare_field(each: Field, defined: set[str]) -> dict[str, object]:
    bare: dict[str, object] = {"name": each.name, "type": bare_schema(each.type, defined)}
    if each.has_default:
        bare["default"] = default_json(each.type, each.default)
    if each.aliases:
        bare["aliases"] = sorted(each.aliases)
    return bare
