"""A mapping file as it is written: its keys, their forms and defaults, and where each one stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag

from producers.mapped.moments import FormatWrong, read_format
from schemas import Duration, owner_of, parse_duration, parse_type
from schemas.written import Written, read_into
from schemas.yaml_lines import Lines, YamlInvalid, line_of, load


class Fault(NamedTuple):
    """What is wrong with a mapping: the line of its file, the key, the problem; never a value of a row."""

    line: int
    key: str
    problem: str

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.key}: {self.problem}"
            if self.key
            else f"line {self.line}: {self.problem}"
        )


class MappingWrong(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """A mapping that cannot be used, with all that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def _format(text: str) -> str:
    try:
        read_format(text)
    except FormatWrong as wrong:
        raise ValueError(str(wrong)) from None
    return text


def _source(text: str) -> str:
    if owner_of(text) is None:
        raise ValueError("expected urn:gov:<owner>:<system>, as urn:gov:dwp:carers")
    return text


def _type(text: str) -> str:
    if parse_type(text) is None:
        raise ValueError("expected the type of a contract, uk.gov.<domain>.<fact>.v<N>")
    return text


def _within(text: str) -> str:
    try:
        if parse_duration(text) != Duration():
            return text
    except ValueError:
        pass
    raise ValueError("expected an ISO 8601 duration, as P1DT6H for a file that comes every night")


Format = Annotated[str, AfterValidator(_format)]
Zone = Literal["Europe/London", "UTC"]


class _Form(Written):
    model_config = ConfigDict(strict=True, frozen=True)


def _two_forms(written: Mapping[str, object]) -> Iterator[str]:
    if written.get("date") is not None and written.get("timestamp") is not None:
        yield "give one of date and timestamp"


class CellForm(_Form):
    """Where one value comes from: a column and how it is written there, or a constant."""

    column: str | None = Field(None, min_length=1)
    value: Any = None
    scheme: str | None = None
    date: Format | None = None
    timestamp: Format | None = None
    zone: Zone = "Europe/London"
    values: dict[str, str | int | float | bool | None] | None = Field(None, min_length=1)
    split: str | None = Field(None, min_length=1, max_length=3)
    thousands: Literal[",", ".", " ", "'"] | None = None
    decimal: Literal[".", ","] = "."

    @classmethod
    def between(cls, written: Mapping[str, object]) -> Iterator[str]:
        """One source of the value, and what fits it."""
        of_column = written.get("column") is not None
        how = written.keys() & cls.model_fields.keys() - {"value"}
        if of_column == ("value" in written):
            yield "give exactly one of column and value"
        elif how and not of_column:
            yield f"{', '.join(sorted(how))} says how a column is read, and a value has none"
        if written.get("thousands") == written.get("decimal", "."):
            yield "thousands and decimal are the same character"
        yield from _two_forms(written)


class TimeForm(_Form):
    """When the department recorded a row: a column, or the day in the file's own name."""

    column: str | None = Field(None, min_length=1)
    name: Format | None = None
    date: Format | None = None
    timestamp: Format | None = None
    zone: Zone = "Europe/London"

    @classmethod
    def between(cls, written: Mapping[str, object]) -> Iterator[str]:
        """One source of the time, and one form of it."""
        if (written.get("column") is None) == (written.get("name") is None):
            yield "give exactly one of column and name"
        yield from _two_forms(written)


class IdForm(_Form):
    """What makes a row the same event when it is sent again: some columns."""

    columns: list[str] = Field(min_length=1)
    key_file: str | None = Field(None, min_length=1)


ONE, SEVERAL = "one", "several"


def _cell_branch(value: object) -> str:
    return SEVERAL if isinstance(value, list) else ONE


def _id_branch(value: object) -> str:
    return SEVERAL if isinstance(value, dict) else ONE


Cell = Annotated[
    Annotated[CellForm, Tag(ONE)] | Annotated[list[CellForm], Tag(SEVERAL)], Discriminator(_cell_branch)
]


class MappingForm(_Form):
    """The keys of a mapping file."""

    contract: Annotated[str, AfterValidator(_type)]
    source: Annotated[str, AfterValidator(_source)]
    format: Literal["csv", "jsonl"] = "csv"
    encoding: Literal["utf-8", "iso-8859-1", "windows-1252"] = "utf-8"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    columns: list[str] | None = Field(None, min_length=1)
    nothing: list[str] = [""]
    id: Annotated[
        Annotated[Literal["row"], Tag(ONE)] | Annotated[IdForm, Tag(SEVERAL)], Discriminator(_id_branch)
    ]
    time: TimeForm
    fields: dict[str, Cell] = Field(min_length=1)
    refuse_above_percent: float = Field(20, ge=0, le=100)
    when_done: Literal["keep", "delete"] = "keep"
    expect_within: Annotated[str, AfterValidator(_within)] | None = None

    @classmethod
    def between(cls, written: Mapping[str, object]) -> Iterator[str]:
        """What only CSV has, and columns that can be told apart."""
        given = written.keys() & {"encoding", "delimiter", "columns"}
        if written.get("format") == "jsonl" and given:
            yield f"JSON Lines have no {', '.join(sorted(given))}"
        columns = written.get("columns")
        names = [each for each in columns if isinstance(each, str)] if isinstance(columns, list) else []
        if len(set(names)) != len(names):
            yield "columns: a name stands twice"


def read_form(text: str) -> tuple[MappingForm, Lines]:
    """A mapping file's content, and the line of every place; MappingWrong."""
    try:
        data, lines = load(text)
    except YamlInvalid as invalid:
        raise MappingWrong([Fault(invalid.line, "", invalid.problem)]) from None
    if not isinstance(data, dict):
        raise MappingWrong([Fault(1, "", "a mapping has keys: contract, source, id, time, fields, …")])
    form, faults = read_into(MappingForm, data)
    if form is None:
        raise MappingWrong(
            [Fault(line_of(lines, place), ".".join(map(str, place)), problem) for place, problem in faults]
        )
    return form, lines
