"""Plain JSON to Avro and back, compiled per schema (E2, E3).

The types of a schema are compiled once into closures; on an event's way nothing is looked up again. fastavro
does
the bytes and never hears of logical types; what a day or a decimal is in JSON stands in `plain_scalars`.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Mapping
from io import BytesIO
from typing import cast

import fastavro

from .avro_parse import parse
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
        # that
        # are kept here cannot be given to others meanwhile.
        self._writers: dict[int, tuple[object, object | None]] = {}

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
        out = BytesIO()
        to_raw = self._coder.to_raw
        try:
            raw = to_raw(plain) if to_raw is not None else plain
            fastavro.schemaless_writer(out, self._bare, raw, strict=True)
        except Exception:  # whatever a damaged value makes the writer raise, its message may hold the value
            raise ContractMismatch((("$", "data that was checked"),)) from None
        return out.getvalue()

    def decode(self, body: bytes, writer: Mapping[str, object] | None = None) -> Plain:
        """Plain JSON of Avro binary, written with this schema or with `writer`; ContractMismatch for any
        damage.

        The caller bounds the size of the body (E7: 1 MiB), and with it what a damaged length can cost.
        """
        source = BytesIO(body)
        resolve_from = None if writer is None else self._writer(writer)
        try:
            if resolve_from is None:
                raw = fastavro.schemaless_reader(
                    source, self._bare, None, return_named_type=self._named_branches
                )
            else:
                raw = fastavro.schemaless_reader(
                    source, resolve_from, self._bare, return_named_type=self._named_branches
                )
                raw = copy.deepcopy(raw)  # fastavro hands out one and the same default list to every reader
        except (
            Exception
        ):  # EOFError, IndexError, UnicodeDecodeError, SchemaResolutionError, … : all is damage
            raise ContractMismatch((("$", "Avro data of the contract"),)) from None
        if source.tell() != len(body):
            raise ContractMismatch((("$", "no bytes after the Avro data"),))
        to_plain = self._coder.to_plain
        try:
            return cast("Plain", to_plain(raw) if to_plain is not None else raw)
        except ValueError as unfit:
            raise ContractMismatch((("$", str(unfit)),)) from None

    def _writer(self, writer: Mapping[str, object]) -> object | None:
        """The writer's schema ready for fastavro; None when it writes the same bytes as this one."""
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
                else fastavro.parse_schema(cast("dict[str, object]", bare))
            )
        except Exception:
            raise ContractMismatch((("$", "a value written with a version of this contract"),)) from None
        if len(self._writers) >= _KNOWN_WRITERS_MAX:
            self._writers.clear()
        self._writers[id(writer)] = (writer, ready)
        return ready


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
