"""Data on stdout, in the form that `-o` asks for: a table for a person, JSON for a program."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer


class Form(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


# Every command that writes data takes this option: `output: Output = Form.TABLE`.
Output = Annotated[Form, typer.Option("--output", "-o", help="table for people, json or jsonl for programs")]


def write_rows(rows: Iterable[Mapping[str, Any]], form: Form, columns: Sequence[str]) -> None:
    """Write rows of the same columns: a table, one JSON array, or one JSON object a line."""
    if form is Form.JSONL:
        for row in rows:
            write_line(row)
    elif form is Form.JSON:
        write_json(list(rows))
    else:
        _write_table(rows, columns)


def write_json(content: Any) -> None:
    """Write one JSON document, keys in the order given."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_line(content: Any) -> None:
    """Write one line of JSON and let it go at once: somebody may be following."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _write_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write a line for each row; where the terminal is too narrow for that, a paragraph for each.

    A table that does not fit would break identifiers and paths in two, and nobody could copy them.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in cells:
        table.add_row(*line)
    if not sys.stdout.isatty():  # a pipe has no width: never cut a path in two
        Console(width=1000, markup=False, highlight=False).print(table)
        return
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


_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What a terminal obeys and does not show: controls, and what turns the order of the letters around."""


def _cell(value: Any) -> str:
    # INVARIANT: an event's id is a stranger's word, and who reads a table must see what it is.
    return "" if value is None else _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
