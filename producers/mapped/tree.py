"""The fields of a mapping as a tree beside the contract's: what is had from where, and what may be left out.

A record that may be left out is, when no column below it says anything: nobody has a name of two empty texts.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from producers.mapped.conversions import AT_SOURCE, Convert, Unfit, unfit
from producers.mapped.forms import CellForm
from producers.mapped.problem import RowProblem
from schemas import AvroType
from schemas.avro_type import Array, Field, Record, nullable, without_null

NOTHING = object()
"""What a part builds that says nothing."""

MakeConvert = Callable[[str, CellForm, AvroType], Convert | None]
"""Makes the function of one column for a field, or says what keeps it from being made."""
SayFault = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value: of a column, or a constant."""

    column: str | None
    value: object
    convert: Convert

    def columns(self) -> Iterator[str]:
        if self.column is not None:
            yield self.column

    def build(self, cells: Mapping[str, object], problems: list[RowProblem]) -> object:
        if self.column is None:
            return self.value
        cell = cells[self.column]
        if cell is None:
            return NOTHING
        try:
            return self.convert(cell)
        except Unfit as problem:
            problems.append(RowProblem(self.column, problem.expected, problem.mend))
            return None

    def column_at(self, path: str, whole: str) -> str:
        return whole if self.column is None else self.column


@dataclass(frozen=True, slots=True)
class Several:
    """A list of some columns, without those that say nothing."""

    parts: tuple[Leaf, ...]

    def columns(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.columns()

    def build(self, cells: Mapping[str, object], problems: list[RowProblem]) -> object:
        built = [part.build(cells, problems) for part in self.parts]
        said = [value for value in built if value is not NOTHING]
        return said or NOTHING

    def column_at(self, path: str, whole: str) -> str:
        return ", ".join(self.columns()) or whole


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a record: what builds it, and what is to be done when that says nothing."""

    source: Leaf | Several | Branch
    may_be_missing: bool
    is_null_then: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """A record."""

    parts: dict[str, Part] = field(default_factory=dict)

    def columns(self) -> Iterator[str]:
        for part in self.parts.values():
            yield from part.source.columns()

    def says_something(self, cells: Mapping[str, object]) -> bool:
        columns = list(self.columns())
        return not columns or any(cells[column] is not None for column in columns)

    def build(self, cells: Mapping[str, object], problems: list[RowProblem]) -> object:
        built: dict[str, object] = {}
        for name, part in self.parts.items():
            source = part.source
            if isinstance(source, Branch) and part.may_be_missing and not source.says_something(cells):
                value: object = NOTHING
            else:
                value = source.build(cells, problems)
            if value is not NOTHING:
                built[name] = value
            elif part.is_null_then:
                built[name] = None
            elif not part.may_be_missing:
                column = ", ".join(source.columns())
                problems.append(RowProblem(column, "a value: the contract must have one", AT_SOURCE))
        return built

    def column_at(self, path: str, whole: str) -> str:
        name, _, rest = path.partition(".")
        part = self.parts.get(name.partition("[")[0])
        return whole if part is None else part.source.column_at(rest, whole)


def plan(
    record: Record,
    fields: Mapping[str, CellForm | list[CellForm]],
    make: MakeConvert,
    fault: SayFault,
) -> Branch:
    """The tree of a mapping's fields; each that does not go with the contract is told to `fault`."""
    root = _branch(record, "", dict(fields), make, fault)
    known = set(_paths(record, ""))
    for name in fields:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"; did you mean {near[0]}?"
                if near
                else f"; it has {', '.join(f.name for f in record.fields)}"
            )
            fault(name, f"the contract has no such field{hint}")
        elif any(other.startswith(f"{name}.") for other in fields):
            fault(name, "it is given as a whole and in parts")
    return root


def _branch(
    record: Record,
    prefix: str,
    fields: dict[str, CellForm | list[CellForm]],
    make: MakeConvert,
    fault: SayFault,
) -> Branch:
    parts: dict[str, Part] = {}
    for each in record.fields:
        path = f"{prefix}{each.name}"
        source = _source(each, path, fields, make, fault)
        if source is not None:
            parts[each.name] = Part(source, each.has_default, nullable(each.type) and not each.has_default)
        elif not each.has_default and path not in fields:
            _tell_missing(each, path, parts, fault)
    return Branch(parts)


def _tell_missing(each: Field, path: str, parts: dict[str, Part], fault: SayFault) -> None:
    """A field without default must be had from somewhere, and null where that may be."""
    if nullable(each.type):
        parts[each.name] = Part(Leaf(None, None, lambda cell: cell), True, True)
    else:
        fault("", f"nothing says where {path} comes from, and the contract must have it")


def _source(
    each: Field, path: str, fields: dict[str, CellForm | list[CellForm]], make: MakeConvert, fault: SayFault
) -> Leaf | Several | Branch | None:
    form = fields.get(path)
    wanted = without_null(each.type)
    if isinstance(form, list):
        if not isinstance(wanted, Array):
            fault(path, "several columns make a list, and the contract wants none here")
            return None
        leaves = [_leaf(path, part, wanted.items, make, fault) for part in form]
        return Several(tuple(leaf for leaf in leaves if leaf is not None))
    if form is not None:
        return _leaf(path, form, each.type, make, fault)
    if isinstance(wanted, Record) and any(name.startswith(f"{path}.") for name in fields):
        return _branch(wanted, f"{path}.", fields, make, fault)
    return None


def _leaf(path: str, form: CellForm, type_: AvroType, make: MakeConvert, fault: SayFault) -> Leaf | None:
    if form.column is None:
        for problem in unfit(form.value, type_):
            fault(path, f"value: expected {problem}")
        return Leaf(None, form.value, lambda cell: cell)
    convert = make(path, form, type_)
    return None if convert is None else Leaf(form.column, None, convert)


def _paths(record: Record, prefix: str) -> Iterator[str]:
    for each in record.fields:
        yield f"{prefix}{each.name}"
        inner = without_null(each.type)
        if isinstance(inner, Record):
            yield from _paths(inner, f"{prefix}{each.name}.")
