"""Plain JSON to Avro and back, compiled per schema (E2, E3).

A schema is compiled once: into closures that check JSON, and when first needed into one function that reads
its bytes and one that writes them (`avro_reader`, `avro_writer`). fastavro reads what another version of the
schema wrote, which is rare, and is the reference for all else. It never hears of logical types; what a day or
a decimal is in JSON stands in `plain_scalars`.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from io import BytesIO
from typing import NamedTuple, cast

import fastavro

from .avro_parse import parse
from .avro_reader import Damaged, Reader, compile_reader
from .avro_type import (
    NULL,
    Array,
    AvroType,
    Map,
    Record,
    SchemaInvalid,
    Union,
    bare_schema,
)
from .avro_writer import Writer, compile_writer
from .plain_containers import Plain, coder
from .plain_scalars import Problems

MAGIC_BYTE = 0
_FRAME = struct.Struct(">bI")
_KNOWN_WRITERS_MAX = 256


class ContractMismatch(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """Data that is not what its schema says (E7 `contract-mismatch`); names places and expectations, never
    values.
    """

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{path}: expected {problem}" for path, problem in problems))
        self.problems = problems


def frame(schema_id: int, body: bytes) -> bytes:
    """The Confluent wire format: byte 0, the schema id in four big-endian bytes, Avro binary (E2)."""
    return _FRAME.pack(MAGIC_BYTE, schema_id) + body


def unframe(value: bytes) -> tuple[int, bytes]:
    """The schema id and the Avro binary of a Confluent-framed value; ValueError when it is not one (E2)."""
    if len(value) < _FRAME.size or value[0] != MAGIC_BYTE:
        raise ValueError("not in the Confluent wire format")
    return _FRAME.unpack_from(value)[1], value[_FRAME.size :]


class PlainCodec:
    """One record schema's codec between plain JSON and Avro binary; SchemaInvalid when the schema is not
    taken.
    """

    def __init__(self, schema: object) -> None:
        type_ = parse(schema)
        if not isinstance(type_, Record):
            raise SchemaInvalid("", "the schema of an event is a record")
        self.type = type_
        self._named_branches = _has_wide_union(type_)
        self._coder = coder(type_, self._named_branches)
        self._bare = fastavro.parse_schema(cast("dict[str, object]", bare_schema(type_)))
        # A writer's schema is given as the same object again and again (a registry's cache); ids of objects
        # that are kept here cannot be given to others meanwhile.
        self._writers: dict[int, tuple[object, _Foreign | None]] = {}

    @cached_property
    def _read(self) -> Reader:
        return compile_reader(self.type)

    @cached_property
    def _write(self) -> Writer:
        return compile_writer(self.type)

    def check(self, data: object) -> Plain:
        """Plain JSON with defaults filled in and every value in its one form; ContractMismatch with all
        problems.
        """
        problems: Problems = []
        plain = self._coder.check(data, problems)
        if problems:
            raise ContractMismatch(tuple(("$" + path, problem) for path, problem in problems))
        return cast("Plain", plain)

    def encode(self, plain: Mapping[str, object]) -> bytes:
        """Avro binary of data that `check` has returned; ContractMismatch when it is something else."""
        try:
            return self._write(plain)
        except Exception:  # whatever other data makes the writer raise, its message may hold a value
            raise ContractMismatch((("$", "data that was checked"),)) from None

    def decode(self, body: bytes, writer: Mapping[str, object] | None = None) -> Plain:
        """Plain JSON of Avro binary, written with this schema or with `writer`; ContractMismatch for any
        damage.

        The caller bounds the size of the body (E7: 1 MiB), and with it what a damaged length can cost.
        """
        return self.reader(writer)(body)

    def reader(self, writer: Mapping[str, object] | None = None) -> Callable[[bytes], Plain]:
        """What `decode` does with all that one writer's schema has written; the schema is looked at when the
        first of it is read.
        """
        read: Reader | None = None

        def plain_of(body: bytes) -> Plain:
            nonlocal read
            try:
                if read is None:
                    read = self._reader(writer)
                return cast("Plain", read(body))
            except ContractMismatch:
                raise
            except Exception as damage:  # IndexError, UnicodeDecodeError, struct.error, … : all is damage
                # Only our own coders raise a bare ValueError, and name what was expected, never a value.
                expected = str(damage) if type(damage) is ValueError else "Avro data of the contract"
                raise ContractMismatch((("$", expected),)) from None

        return plain_of

    def _reader(self, writer: Mapping[str, object] | None) -> Reader:
        foreign = None if writer is None else self._foreign(writer)
        return self._read if foreign is None else partial(self._resolve, foreign=foreign)

    def _resolve(self, body: bytes, foreign: _Foreign) -> object:
        """Read what another version of the schema wrote: strictly as that one, then by fastavro as this."""
        foreign.read(body)
        try:
            raw = fastavro.schemaless_reader(
                BytesIO(body), foreign.bare, self._bare, return_named_type=self._named_branches
            )
        except Exception:  # its message may hold a value
            raise Damaged from None
        raw = copy.deepcopy(raw)  # fastavro hands out one and the same default list to every reader
        to_plain = self._coder.to_plain
        return raw if to_plain is None else to_plain(raw)

    def _foreign(self, writer: Mapping[str, object]) -> _Foreign | None:
        """The writer's schema, ready; None when it writes the same bytes as this one."""
        known = self._writers.get(id(writer))
        if known is not None:
            return known[1]
        try:
            type_ = parse(writer)
            if not isinstance(type_, Record) or type_.name not in {self.type.name, *self.type.aliases}:
                raise SchemaInvalid("", "another type")
            bare = bare_schema(type_)
            ready = (
                None
                if bare == bare_schema(self.type)
                else _Foreign(compile_reader(type_), fastavro.parse_schema(cast("dict[str, object]", bare)))
            )
        except Exception:
            raise ContractMismatch((("$", "a value written with a version of this contract"),)) from None
        if len(self._writers) >= _KNOWN_WRITERS_MAX:
            self._writers.clear()
        self._writers[id(writer)] = (writer, ready)
        return ready


class _Foreign(NamedTuple):
    """Another version of the schema: our reader of it, and what fastavro resolves from."""

    read: Reader
    bare: object


def _has_wide_union(type_: AvroType) -> bool:
    match type_:
        case Union(branches=branches):
            wide = sum(branch != NULL for branch in branches) > 1
            return wide or any(_has_wide_union(branch) for branch in branches)
        case Record(fields=fields):
            return any(_has_wide_union(each.type) for each in fields)
        case Array(items=inner) | Map(values=inner):
            return _has_wide_union(inner)
        case _:
            return False
