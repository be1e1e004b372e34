"""Two references for our Avro codec: fastavro, and the specification of Avro read word by word."""

import copy
import io
import struct
from typing import Any

import fastavro

from schemas.avro_parse import parse
from schemas.avro_type import (
    NARROW,
    NULL,
    Array,
    AvroType,
    Enum,
    Fixed,
    Map,
    Primitive,
    Record,
    Union,
    bare_schema,
    wire_name,
)
from schemas.plain_containers import coder
from schemas.plain_scalars import scalar_coder


class Refused(Exception):  # noqa: N818 - what became of them
    """Bytes that are not Avro of the schema; `lenient` when fastavro takes them all the same."""

    def __init__(self, why: str, lenient: bool = False) -> None:
        super().__init__(why)
        self.lenient = lenient


class Fastavro:
    """Plain JSON to Avro and back by fastavro, which knows nothing of logical types."""

    def __init__(self, schema: Any) -> None:
        self.type = parse(schema)
        self._bare = fastavro.parse_schema(copy.deepcopy(bare_schema(self.type)))
        self._to_plain = coder(self.type, named_branches=True).to_plain

    def encode(self, plain: Any) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._bare, raw_of(self.type, plain), strict=True)
        return out.getvalue()

    def decode(self, body: bytes) -> Any:
        source = io.BytesIO(body)
        raw = fastavro.schemaless_reader(source, self._bare, None, return_named_type=True)
        if source.tell() != len(body):
            raise Refused("bytes after the data")
        return raw if self._to_plain is None else self._to_plain(raw)


def raw_of(type_: AvroType, plain: Any) -> Any:
    """What fastavro writes: days as numbers, every union with the name of its branch."""
    match type_:
        case Record(fields=fields):
            if plain.keys() != {each.name for each in fields}:
                raise ValueError
            return {each.name: raw_of(each.type, plain[each.name]) for each in fields}
        case Array(items=items):
            return [raw_of(items, item) for item in plain]
        case Map(values=values):
            return {key: raw_of(values, item) for key, item in plain.items()}
        case Union(branches=branches):
            if plain is None and NULL in branches:
                return None
            branch = next(each for each in branches if _fits(each, plain))
            return wire_name(branch), raw_of(branch, plain)
        case _:
            to_raw = scalar_coder(type_).to_raw
            raw = plain if to_raw is None else to_raw(plain)
            # Beside a wider number, fastavro is told the branch by a record's name; the bytes are the same.
            return {NARROW: raw} if isinstance(type_, Primitive) and type_.beside_wider else raw


def _fits(type_: AvroType, plain: Any) -> bool:
    problems: list[Any] = []
    coder(type_, named_branches=True).check(plain, problems)
    return not problems


def fit(type_: AvroType, value: Any) -> Any:
    """A value in the fields of a view's schema, no more and no fewer (V1); wide unions as they are."""
    match type_:
        case Record(fields=fields) if isinstance(value, dict):
            return {each.name: fit(each.type, value.get(each.name)) for each in fields}
        case Array(items=items) if isinstance(value, list):
            return [fit(items, item) for item in value]
        case Map(values=values) if isinstance(value, dict):
            return {key: fit(values, item) for key, item in value.items()}
        case Union(branches=branches) if len(branches) == 2 and NULL in branches:
            return None if value is None else fit(next(each for each in branches if each != NULL), value)
        case _:
            return value


class Slow:
    """Reads Avro binary one rule after the other (Avro 1.11 "Binary Encoding"); strict."""

    def __init__(self, body: bytes) -> None:
        self.rest = body

    def whole(self, type_: AvroType) -> Any:
        value = self.value(type_)
        if self.rest:
            raise Refused("bytes after the data")
        return value

    def take(self, size: int) -> bytes:
        if size < 0 or size > len(self.rest):
            raise Refused("a length beyond the data")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def long(self) -> int:
        groups = []
        while True:
            (byte,) = self.take(1)
            groups.append(byte % 128)
            if byte < 128:
                break
        number = sum(group * 128**place for place, group in enumerate(groups))
        if len(groups) > 10 or number >= 2**64:
            raise Refused("more than 64 bits", lenient=True)
        return -(number + 1) // 2 if number % 2 else number // 2

    def place(self, end: int) -> int:
        place = self.long()
        if place < 0:
            raise Refused("a negative index", lenient=True)
        if place >= end:
            raise Refused("no such index")
        return place

    def blocks(self) -> Any:
        """The number of items in each block."""
        while count := self.long():
            if count < 0 and self.long() < 0:
                raise Refused("a block of negative size", lenient=True)
            if abs(count) > len(self.rest):
                raise Refused("more items than bytes", lenient=count == -(2**63))
            yield abs(count)

    def value(self, type_: AvroType) -> Any:
        match type_:
            case Record(fields=fields):
                return {each.name: self.value(each.type) for each in fields}
            case Array(items=items):
                return [self.value(items) for block in self.blocks() for _ in range(block)]
            case Map(values=values):
                return {
                    self.value(Primitive("string")): self.value(values)
                    for block in self.blocks()
                    for _ in range(block)
                }
            case Union(branches=branches):
                return self.value(branches[self.place(len(branches))])
            case _:
                return self._formed(type_, self._scalar(type_))

    def _formed(self, type_: Any, raw: Any) -> Any:
        to_plain = scalar_coder(type_).to_plain
        try:
            return raw if to_plain is None else to_plain(raw)
        except ValueError:
            raise Refused("no plain form") from None

    def _scalar(self, type_: AvroType) -> Any:
        match type_:
            case Enum(symbols=symbols):
                return symbols[self.place(len(symbols))]
            case Fixed(size=size):
                return self.take(size)
            case Primitive(name="null"):
                return None
            case Primitive(name="boolean"):
                (byte,) = self.take(1)
                if byte > 1:
                    raise Refused("neither false nor true", lenient=True)
                return byte == 1
            case Primitive(name="int" | "long" as name):
                number = self.long()
                if name == "int" and not -(2**31) <= number < 2**31:
                    raise Refused("more than 32 bits")
                return number
            case Primitive(name="float"):
                return struct.unpack("<f", self.take(4))[0]
            case Primitive(name="double"):
                return struct.unpack("<d", self.take(8))[0]
            case Primitive(name="bytes"):
                return self.take(self.long())
            case _:
                try:
                    return self.take(self.long()).decode("utf-8")
                except UnicodeDecodeError:
                    raise Refused("no UTF-8") from None
