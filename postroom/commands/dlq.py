"""`postroom dlq list`: what intake rejected, where it is and why; never what it holds (E7)."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from postroom.commands import noun
from postroom.errors import Exit
from postroom.output import Form, Output, write_rows

COLUMNS = ("time", "reason", "type", "source", "id", "topic", "partition", "offset")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "dlq", "Dead letters: events that intake rejected.", "Operating")
    group.command("list")(list_letters)


def list_letters(
    reason: Annotated[str | None, typer.Option(help="only this reason of E7")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="only this event type")] = None,
    output: Output = Form.TABLE,
) -> None:
    """List the dead letters. The payload stays on the department's own topic, under its access rules.

    Exit 1 if there is one.

    Example: postroom dlq list --reason identifier-invalid -o jsonl
    """
    from connectors import find_stack
    from connectors.kafka_reader import TopicReader
    from postroom.settings import settings
    from processors import DEAD_LETTERS_TOPIC
    from schemas import format_instant

    rows = []
    for record in TopicReader(find_stack(settings()).access).read([DEAD_LETTERS_TOPIC]):
        letter = json.loads(record.value or b"{}")
        if (reason is None or letter["reason"] == reason) and (type_ is None or letter["type"] == type_):
            rows.append({"time": format_instant(letter.pop("timestamp_ms")), **letter})
    rows.sort(key=lambda row: (row["time"], row["topic"], row["partition"], row["offset"]))
    write_rows(rows, output, COLUMNS)
    if rows:
        raise typer.Exit(Exit.FOUND)
