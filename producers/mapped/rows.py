"""Rows of CSV (RFC 4180) and JSON Lines, read as a stream in bounded memory, each with its place.

Numbers are those of a spreadsheet: the header is row 1. A row that cannot be read is given with what is wrong
with it and the next one follows; what puts the whole file in doubt ends the reading (`FileWrong`).
"""

from __future__ import annotations

import codecs
import csv
import difflib
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

import msgspec

from producers.files import read_lines
from producers.mapped.conversions import AT_SOURCE
from producers.mapped.forms import MappingForm
from producers.mapped.records import QuoteNeverCloses, Record, read_records
from schemas import KeyTwice, json_path, json_value

ROW_BYTES_MAX = 1_048_576
"""What a row may hold, as an event (E7)."""
COLUMNS_MAX = 2_000
NAME_SHOWN_MAX = 60


class Place(NamedTuple):
    """Where a row begins: its number, its line in the file, and the bytes before it."""

    row: int = 1
    line: int = 1
    offset: int = 0


START = Place()


class Row(NamedTuple):
    """One row that says something: `cells` by column, or `problem` and `mend` when it cannot be read.

    `raw` is what stands in the file, None when that is longer than a row may be. `lines` counts those that it
    takes; `behind` is where the next one begins.
    """

    place: Place
    behind: Place
    cells: dict[str, object] | None
    raw: bytes | None
    problem: str = ""
    mend: str = ""

    @property
    def lines(self) -> int:
        return self.behind.line - self.place.line


class FileWrong(Exception):  # noqa: N818 - what is so of a file
    """A file that cannot be taken at all: what is wrong, and what to do about it. Holds nothing of it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


class Header(NamedTuple):
    """The columns of a file, the bytes of the header's row, and where what follows begins."""

    columns: tuple[str, ...]
    raw: bytes
    behind: Place


def read_header(stream: IO[bytes], form: MappingForm, wanted: Sequence[str]) -> Header:
    """What the file says of its columns, looked at for all that a mapping wants; FileWrong.

    The stream is left at the first row. What stands in a file without a header could be anybody's data, so
    a name that the mapping does not know is shown only beside others that it does know.
    """
    start = stream.read(4)
    if not start:
        raise FileWrong("it is empty", "a file without news has its header; or send none")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileWrong("it is UTF-16", "have it written as UTF-8")
    skipped = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
    stream.seek(skipped)
    if form.format == "jsonl" or form.columns is not None:
        columns = tuple(form.columns or ())
        return Header(columns, b"", Place(1, 1, skipped))
    try:
        record = next(read_records(stream, form.delimiter.encode(), ROW_BYTES_MAX), None)
    except QuoteNeverCloses:
        raise FileWrong("a quote in its header does not close", "double a quote inside quotes") from None
    if record is None or record.content is None:
        raise FileWrong(
            "its first row is no header", "the first row names the columns, or name them in `columns`"
        )
    stream.seek(skipped + record.size_bytes)
    names = _names(record.content, form)
    _look_at(names, form, wanted)
    return Header(names, record.content, Place(2, 1 + record.lines, skipped + record.size_bytes))


def _names(content: bytes, form: MappingForm) -> tuple[str, ...]:
    mend = "the first row names the columns, or name them in `columns`"
    if b"\r" in content:
        raise FileWrong("its lines end with a carriage return alone", "have it written with LF or CRLF")
    try:
        text = content.decode(form.encoding)
        names = tuple(
            name.strip() for name in next(csv.reader([text], strict=True, delimiter=form.delimiter), ())
        )
    except UnicodeDecodeError:
        raise FileWrong(f"its header is not {form.encoding}", "say its `encoding` in the mapping") from None
    except csv.Error:
        raise FileWrong("the quotes of its header do not match", mend) from None
    if not any(names):
        raise FileWrong("its first row is blank", mend)
    if len(names) > COLUMNS_MAX:
        raise FileWrong(f"it has more than {COLUMNS_MAX} columns", "say its `delimiter` in the mapping")
    return names


def _look_at(names: tuple[str, ...], form: MappingForm, wanted: Sequence[str]) -> None:
    """Every column that the mapping wants is there, once."""
    missing = [name for name in wanted if name not in names]
    known = len(wanted) - len(missing)
    if missing and 2 * known < len(wanted):
        why = f"{known} of the {len(wanted)} columns that the mapping wants are there"
        others = [
            word
            for mark, word in _DELIMITERS.items()
            if mark != form.delimiter and len(names) == 1 and mark in names[0]
        ]
        mend = f"is its `delimiter` {others[0]}?" if others else "has it a header? if not, name its `columns`"
        raise FileWrong(f"its header is another: {why}", mend)
    if missing:
        hints = [hint for name in missing if (hint := _near(name, names))]
        mend = "; ".join(hints) or "have it written with them, or change the mapping"
        raise FileWrong(f"it has no column {', '.join(map(repr, missing))}", mend)
    twice = sorted({name for name in wanted if names.count(name) > 1})
    if twice:
        raise FileWrong(f"the column {', '.join(map(repr, twice))} stands twice", "have it written once")


_DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}


def _near(name: str, names: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(
        name, [n for n in names if n.isprintable() and len(n) <= NAME_SHOWN_MAX], n=1
    )
    return f"it has {found[0]!r}" if found else ""


def read_rows(stream: IO[bytes], form: MappingForm, header: Header, at: Place = START) -> Iterator[Row]:
    """The rows of a file from a place on (START: the first), those that say nothing left out; FileWrong.

    The place is one that a row of the same file was `behind`.
    """
    begin = max(at, header.behind)
    stream.seek(begin.offset)
    if form.format == "jsonl":
        yield from _json_rows(stream, begin)
    else:
        yield from _csv_rows(stream, form, header, begin)


def _json_rows(stream: IO[bytes], place: Place) -> Iterator[Row]:
    for line in read_lines(stream, ROW_BYTES_MAX):
        behind = Place(place.row + 1, place.line + 1, place.offset + line.size_bytes)
        if not line.blank:
            yield _json_row(place, behind, line.content)
        place = behind


def _json_row(place: Place, behind: Place, content: bytes | None) -> Row:
    if content is None:
        return Row(place, behind, None, None, *_TOO_LONG)
    try:
        cells = json_value(content)
    except KeyTwice as twice:
        problem = f"has {json_path(twice.paths[0], names_shown_to=1)} twice"
        return Row(place, behind, None, content, problem, "write each key once in its object")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Row(place, behind, None, content, "is not JSON in UTF-8", "one object of JSON a line")
    if not isinstance(cells, dict):
        return Row(place, behind, None, content, "is no object of JSON", "one object of JSON a line")
    return Row(place, behind, cells, content)


_TOO_LONG = ("is longer than 1 MiB", "documents belong behind a reference; or a quote was never closed")


def _csv_rows(stream: IO[bytes], form: MappingForm, header: Header, place: Place) -> Iterator[Row]:
    try:
        for record in read_records(stream, form.delimiter.encode(), ROW_BYTES_MAX):
            behind = Place(place.row + 1, place.line + record.lines, place.offset + record.size_bytes)
            row = _csv_row(place, behind, record, form, header.columns)
            if row.cells is None or any(row.cells.values()):
                yield row
            place = behind
    except QuoteNeverCloses:
        what = f"a quote that opens in row {place.row} (line {place.line}) is not closed within 1 MiB"
        mend = "double a quote inside quotes; until then nobody knows where the rows behind it begin"
        raise FileWrong(what, mend) from None


def _csv_row(place: Place, behind: Place, record: Record, form: MappingForm, columns: tuple[str, ...]) -> Row:
    content = record.content
    if content is None:
        return Row(place, behind, None, None, *_TOO_LONG)

    def bad(problem: str, mend: str = AT_SOURCE) -> Row:
        return Row(place, behind, None, content, problem, mend)

    if not content.strip():
        return Row(place, behind, {}, content)
    if b"\0" in content:
        return bad("holds a NUL character")
    try:
        text = content.decode(form.encoding)
    except UnicodeDecodeError:
        return bad(
            f"is not {form.encoding}", "say its `encoding` in the mapping, or have it written as UTF-8"
        )
    try:
        cells = next(csv.reader([text], strict=True, delimiter=form.delimiter), [])
    except csv.Error:
        return bad(
            "has quotes that do not match", "double a quote inside quotes; a cell holds at most 128 KiB"
        )
    if len(cells) != len(columns):
        return bad(
            f"has {len(cells)} columns, and the header {len(columns)}",
            "quote a cell that holds a delimiter"
            if len(cells) > len(columns)
            else "write empty cells too; or the file is not whole",
        )
    return Row(place, behind, dict(zip(columns, cells, strict=True)), content)
