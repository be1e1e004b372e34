"""Plain JSON straight into Avro binary, as one function for each schema (E2; Avro 1.11 "Binary Encoding").

Every type becomes lines that prepare its parts and expressions that are those parts as bytes; a record's
parts are joined once. The same bytes as fastavro's, which is the reference: blocks without sizes, each array
and map in one block.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

from .avro_source import DEPTH_MAX, Source
from .avro_type import NULL, Array, AvroType, Enum, Fixed, Map, Primitive, Record, Union
from .plain_containers import coder
from .plain_scalars import Check, Problems, scalar_coder

Writer = Callable[[object], bytes]
"""The Avro binary of plain data; any exception says that it was not plain data of the type."""

_DAYS_MAX = 65_536
_KEPT = range(-64, 2048)
_LONG_BITS = 64


class NotOfTheType(ValueError):  # noqa: N818 - what the data is
    """Data that a check would have refused."""


def zigzag(number: int) -> bytes:
    """A long: small numbers of either sign in few bytes, seven bits in each, the lowest first."""
    if not -(1 << _LONG_BITS - 1) <= number < 1 << _LONG_BITS - 1:
        raise NotOfTheType
    rest = (number << 1) ^ (number >> _LONG_BITS - 1)
    written = bytearray()
    while rest > 127:
        written.append(rest & 127 | 128)
        rest >>= 7
    written.append(rest)
    return bytes(written)


class _Longs(dict[int, bytes]):
    """Numbers as Avro has them; the usual ones are kept."""

    def __missing__(self, number: int) -> bytes:
        return zigzag(number)


_OBJECTS: dict[str, object] = {
    "NotOfTheType": NotOfTheType,
    "LONG": _Longs((number, zigzag(number)) for number in _KEPT),
    "join": b"".join,
    "float_of": struct.Struct("<f").pack,
    "double_of": struct.Struct("<d").pack,
}


def compile_writer(type_: AvroType, fitting: bool = False) -> Writer:
    """The writer of a type. `fitting`: a record's unknown fields are left out and a missing one is null; else
    its fields are all there and no others. What a union tells apart is as it must be in either case.
    """
    source = Source("x", _OBJECTS)
    parts = _write(source, type_, "x", fitting)
    source.add(f"return {_joined(parts)}")
    return cast("Writer", source.function())


def _joined(parts: Sequence[str]) -> str:
    return " + ".join(parts) if len(parts) < 3 else f"join(({', '.join(parts)}))"


def _write(source: Source, type_: AvroType, value: str, fitting: bool) -> list[str]:
    """Write the lines that prepare a value; the expressions of its parts, which are bytes, after them."""
    if source.depth > DEPTH_MAX and isinstance(type_, Array | Map | Record | Union):
        return [f"{source.constant(compile_writer(type_, fitting))}({value})"]
    match type_:
        case Record():
            return _write_record(source, type_, value, fitting)
        case Union(branches=branches):
            return _write_union(source, branches, value, fitting)
        case Array(items=items):
            return _write_array(source, items, value, fitting)
        case Map(values=values):
            return _write_map(source, values, value, fitting)
        case Enum(symbols=symbols):
            numbers = {symbol: zigzag(number) for number, symbol in enumerate(symbols)}
            return [f"{source.constant(numbers)}[{value}]"]
        case Fixed():
            return [f"{source.constant(scalar_coder(type_).to_raw)}({value})"]
        case Primitive():
            return _write_primitive(source, type_, value)


def _write_primitive(source: Source, type_: Primitive, value: str) -> list[str]:
    to_raw, held = scalar_coder(type_).to_raw, source.name()
    raw = value if to_raw is None else f"{source.constant(to_raw)}({value})"
    match type_.name:
        case "null":
            source.add(f"if {value} is not None: raise NotOfTheType")
            return ['b""']
        case "boolean":
            return [f"{source.constant(_boolean)}({value})"]
        case "int" if type_.logical == "date":
            return [f"{source.constant(_write_day)}({value})"]
        case "int" | "long" as name:
            bits = 31 if name == "int" else 63
            source.add(f"{held} = {raw}")
            source.add(f"if type({held}) is not int or {held} >> {bits} not in (0, -1): raise NotOfTheType")
            return [f"LONG[{held}]"]
        case "float" | "double" as name:
            source.add(f"{held} = {raw}", f"if type({held}) is bool: raise NotOfTheType")
            return [f"{name}_of({held})"]
        case "bytes":
            source.add(f"{held} = {raw}")
        case _:
            source.add(f"{held} = {raw}.encode()")
    return [f"LONG[len({held})]", held]


def _boolean(value: object) -> bytes:
    if type(value) is not bool:
        raise NotOfTheType
    return b"\x01" if value else b"\x00"


@lru_cache(_DAYS_MAX)
def _write_day(day: str) -> bytes:
    to_raw = scalar_coder(Primitive("int", "date")).to_raw
    return zigzag(cast("Callable[[str], int]", to_raw)(day))


def _write_record(source: Source, record: Record, value: str, fitting: bool) -> list[str]:
    if not fitting:
        source.add(f"if len({value}) != {len(record.fields)}: raise NotOfTheType")
    parts: list[str] = []
    for each in record.fields:
        held = source.name()
        source.add(f"{held} = {value}.get({each.name!r})" if fitting else f"{held} = {value}[{each.name!r}]")
        parts += _write(source, each.type, held, fitting)
    return parts or ['b""']


def _write_union(source: Source, branches: Sequence[AvroType], value: str, fitting: bool) -> list[str]:
    rest = [branch for branch in branches if branch != NULL]
    if len(rest) != 1 or len(branches) == 1:
        return [f"{source.constant(_choosing(branches))}({value})"]
    held = source.name()
    source.add(f"if {value} is None: {held} = {zigzag(branches.index(NULL))!r}")
    with source.block("else:"):
        parts = _write(source, rest[0], value, fitting)
        source.add(f"{held} = {_joined([repr(zigzag(branches.index(rest[0]))), *parts])}")
    return [held]


def _choosing(branches: Sequence[AvroType]) -> Writer:
    """The writer of a union of several types: of the first one that the value fits."""
    choices: list[tuple[Check, bytes, Writer]] = [
        (coder(branch, named_branches=False).check, zigzag(place), compile_writer(branch))
        for place, branch in enumerate(branches)
    ]

    def write(value: object) -> bytes:
        for check, place, write_branch in choices:
            problems: Problems = []
            check(value, problems)
            if not problems:
                return place + write_branch(value)
        raise NotOfTheType

    return write


def _write_array(source: Source, items: AvroType, value: str, fitting: bool) -> list[str]:
    source.add(f"if type({value}) is not list: raise NotOfTheType")
    written, item = source.name(), source.name()
    source.add(f"{written} = [LONG[len({value})]] if {value} else []")
    with source.block(f"for {item} in {value}:"):
        _collect(source, written, _write(source, items, item, fitting))
    return [f"join({written})", 'b"\\x00"']


def _write_map(source: Source, values: AvroType, value: str, fitting: bool) -> list[str]:
    written, key, text, item = source.name(), source.name(), source.name(), source.name()
    source.add(f"{written} = [LONG[len({value})]] if {value} else []")
    with source.block(f"for {key}, {item} in {value}.items():"):
        source.add(f"{text} = {key}.encode()")
        _collect(source, written, [f"LONG[len({text})]", text, *_write(source, values, item, fitting)])
    return [f"join({written})", 'b"\\x00"']


def _collect(source: Source, written: str, parts: Sequence[str]) -> None:
    source.add(f"{written} += ({', '.join(parts)},)")
