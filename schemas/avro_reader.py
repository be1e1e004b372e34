"""Avro binary straight into plain JSON, as one function for each schema (E2; Avro 1.11 "Binary Encoding").

Stricter than fastavro, which is the reference: a boolean is 0 or 1, an index is not negative, a number has no
more than its 64 bits, an item's bytes must be there. A length reserves nothing: text and bytes are cut from
what is there, and one cut short leaves the end past the end of the body.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

from .avro_source import DEPTH_MAX, Source
from .avro_type import NULL, Array, AvroType, Enum, Fixed, Map, Primitive, Record, Union
from .plain_scalars import Convert, scalar_coder

Reader = Callable[[bytes], object]
"""The value that a body is, all of it; any exception is damage. A bare ValueError says what was expected."""

_DAYS_MAX = 65_536
_UNSIGNED_END = 1 << 64
_INT_END = 1 << 32


class Damaged(Exception):  # noqa: N818 - what the bytes are
    """Bytes that are not Avro binary of the schema."""


def unsigned(body: bytes, place: int) -> tuple[int, int]:
    """The number, zigzag left alone, that begins at a place, and where it ends: at most 64 bits."""
    number = shift = 0
    while True:
        byte = body[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise Damaged
    if number >= _UNSIGNED_END:
        raise Damaged
    return number, place


def unsigned_int(body: bytes, place: int) -> tuple[int, int]:
    """As `unsigned`, of at most 32 bits."""
    number, place = unsigned(body, place)
    if number >= _INT_END:
        raise ValueError("a whole number that fits an int")
    return number, place


def index(body: bytes, place: int) -> tuple[int, int]:
    """Twice the number, which is not negative, that begins at a place, and where it ends."""
    number, place = unsigned(body, place)
    if number & 1:
        raise Damaged
    return number, place


def extent(body: bytes, place: int) -> tuple[int, int]:
    """Where the text or bytes begin whose length stands at a place, and where they end."""
    number, place = index(body, place)
    end = place + (number >> 1)
    if end > len(body):
        raise Damaged
    return place, end


def count(body: bytes, place: int) -> tuple[int, int]:
    """How many items the block holds whose count stands at a place, and where the first begins."""
    number, place = unsigned(body, place)
    if not number & 1:
        return number >> 1, place
    _, place = index(body, place)  # a negative count has the size of the block after it; we read on anyway
    return (number >> 1) + 1, place


_OBJECTS: dict[str, object] = {
    "Damaged": Damaged,
    "unsigned": unsigned,
    "unsigned_int": unsigned_int,
    "index": index,
    "extent": extent,
    "count": count,
    "float_at": struct.Struct("<f").unpack_from,
    "double_at": struct.Struct("<d").unpack_from,
}


def compile_reader(type_: AvroType) -> Reader:
    """The reader of a type: `b` is the body, `p` the place reached, `n` the number just read."""
    source = Source("b", _OBJECTS)
    source.add("p = 0")
    value = _read(source, type_)
    with source.block("if p != len(b):"):
        source.add("raise ValueError('no bytes after the Avro data') if p < len(b) else Damaged")
    source.add(f"return {value}")
    return cast("Reader", source.function())


def _compile_part(type_: AvroType) -> Callable[..., object]:
    """The reader of a part, from the place given; it tells the place after it too."""
    source = Source("b, p", _OBJECTS)
    value = _read(source, type_)
    source.add(f"return {value}, p")
    return source.function()


def _read(source: Source, type_: AvroType) -> str:
    """Write the lines that read a type; the expression that is its value after them."""
    if source.depth > DEPTH_MAX and isinstance(type_, Array | Map | Record | Union):
        inner, value = source.constant(_compile_part(type_)), source.name()
        source.add(f"{value}, p = {inner}(b, p)")
        return value
    match type_:
        case Record(fields=fields):
            values = {each.name: _read(source, each.type) for each in fields}
            value = source.name()
            source.add(f"{value} = {{{', '.join(f'{name!r}: {held}' for name, held in values.items())}}}")
            return value
        case Union(branches=branches):
            return _read_union(source, branches)
        case Array(items=items):
            return _read_array(source, items)
        case Map(values=values_type):
            return _read_map(source, values_type)
        case Enum(symbols=symbols):
            value = source.name()
            _number(source, "129", "index")
            source.add(f"{value} = {source.constant(symbols)}[n >> 1]")
            return value
        case Fixed(size=size):
            value = source.name()
            source.add(f"{value} = b[p:p + {size}]; p += {size}")
            source.add("if p > len(b): raise Damaged")
            return _formed(source, value, scalar_coder(type_).to_plain)
        case Primitive():
            return _read_primitive(source, type_)


def _number(source: Source, unusual: str, otherwise: str) -> None:
    """Read a number into `n`: one byte, unless it has one of the unusual bits."""
    source.add("n = b[p]; p += 1", f"if n & {unusual}: n, p = {otherwise}(b, p - 1)")


def _formed(source: Source, value: str, to_plain: Convert | None) -> str:
    if to_plain is None:
        return value
    formed = source.name()
    source.add(f"{formed} = {source.constant(to_plain)}({value})")
    return formed


def _read_primitive(source: Source, type_: Primitive) -> str:
    to_plain, value = scalar_coder(type_).to_plain, source.name()
    match type_.name:
        case "null":
            return "None"
        case "boolean":
            source.add("n = b[p]; p += 1", "if n > 1: raise Damaged", f"{value} = n == 1")
            return value
        case "int" | "long" as name:
            _number(source, "128", "unsigned_int" if name == "int" else "unsigned")
            source.add(f"{value} = n >> 1 ^ -(n & 1)")
            if type_.logical is None:
                return value  # in its bits already
            if type_.logical == "date":
                to_plain = lru_cache(_DAYS_MAX)(cast("Convert", to_plain))
        case "float" | "double" as name:
            source.add(f"{value}, = {name}_at(b, p); p += {4 if name == 'float' else 8}")
        case _:
            _extent(source)
            source.add(f"{value} = {'b[p:e]' if type_.name == 'bytes' else 'b[p:e].decode()'}; p = e")
    return _formed(source, value, to_plain)


def _extent(source: Source) -> None:
    source.add("n = b[p]; p += 1", "if n & 129: p, e = extent(b, p - 1)", "else: e = p + (n >> 1)")


def _read_union(source: Source, branches: Sequence[AvroType]) -> str:
    value = source.name()
    _number(source, "129", "index")
    for place, branch in enumerate(branches):
        with source.block(f"{'elif' if place else 'if'} n == {2 * place}:"):
            source.add(f"{value} = {'None' if branch == NULL else _read(source, branch)}")
    source.add("else: raise Damaged")
    return value


def _read_array(source: Source, items: AvroType) -> str:
    values = source.name()
    source.add(f"{values} = []")
    with source.block("while True:"):
        _blocks(source)
        with source.block("for _ in range(n):"):
            source.add(f"{values}.append({_read(source, items)})")
    return values


def _read_map(source: Source, values_type: AvroType) -> str:
    values, key = source.name(), source.name()
    source.add(f"{values} = {{}}")
    with source.block("while True:"):
        _blocks(source)
        with source.block("for _ in range(n):"):
            _extent(source)
            source.add(f"{key} = b[p:e].decode(); p = e")
            source.add(f"{values}[{key}] = {_read(source, values_type)}")
    return values


def _blocks(source: Source) -> None:
    source.add("n = b[p]; p += 1", "if n & 129: n, p = count(b, p - 1)", "else: n >>= 1", "if not n: break")
