"""Data on stdout, in the form that `-o` asks for: a table for a person, JSON for a program."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from postroom.console import say


class Form(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


# Every command that writes data takes this option: `output: Output = Form.TABLE`.
Output = Annotated[Form, typer.Option("--output", "-o", help="table for people, json or jsonl for programs")]


def write_rows(
    rows: Iterable[Mapping[str, Any]], form: Form, columns: Sequence[str], none: str = "none"
) -> None:
    """Write rows of the same columns: a table, one JSON array, or one JSON object a line.

    Where there is no row a table would be a bare heading, and nobody knows whether that is good: instead
    `none` says so in words, on stderr; empty where the command says something itself. JSON stays `[]`.
    """
    if form is Form.JSONL:
        for row in rows:
            write_line(row)
    elif form is Form.JSON:
        write_json(list(rows))
    else:
        cells = [[_cell(row.get(column)) for column in columns] for row in rows]
        if cells:
            _write_table(cells, columns)
        elif none:
            say(none)


def write_json(content: Any) -> None:
    """Write one JSON document, keys in the order given."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_line(content: Any) -> None:
    """Write one line of JSON and let it go at once: somebody may be following."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _write_table(cells: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    """Write a line for each row; where the terminal is too narrow for that, a paragraph for each.

    A table that does not fit would break identifiers and paths in two, and nobody could copy them.
    """
    if not sys.stdout.isatty():
        _write_lines(cells, columns)
        return

    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in cells:
        table.add_row(*line)
    console = Console(markup=False, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    whole = set(drawn.get().split())
    if all(word in whole for line in cells for cell in line for word in cell.split()):
        console.print(table)
        return
    for line in cells:
        paragraph = Table.grid(padding=(0, 2))
        for column, cell in zip(columns, line, strict=True):
            paragraph.add_row(column, cell)
        console.print(paragraph, "")


def _write_lines(cells: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    """Write a heading and exactly one line for each row, whole, however long: a pipe has no width, and what
    reads from it takes lines.
    """
    # INVARIANT: a row is one line. A newline in a stranger's word would forge a row for whoever counts them.
    lines = [columns, *([cell.replace("\n", "\\u000a") for cell in line] for line in cells)]
    widths = [min(PADDED_MAX, max(map(len, column))) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("   ".join(padded).rstrip() + "\n")


PADDED_MAX = 80
"""Characters to which cells of a pipe are made equally wide; a longer one, as a view is, is left so."""

_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What a terminal obeys and does not show: controls, and what turns the order of the letters around."""


def _cell(value: Any) -> str:
    # INVARIANT: an event's id is a stranger's word, and who reads a table must see what it is.
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return "" if value is None else _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
