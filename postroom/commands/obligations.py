"""`postroom obligations list`: what subscribers owe to delete, until when, and whether they did (V4)."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from postroom.commands import noun
from postroom.errors import Exit
from postroom.output import Form, Output, write_rows

COLUMNS = ("state", "subscriber", "agreement", "key", "fields", "since", "deadline", "obligation")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "obligations", "What subscribers owe to delete.", "Operating")
    group.command("list")(list_obligations)


def list_obligations(
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those whose deadline has passed.")] = False,
    subscriber: Annotated[str | None, typer.Option(help="only this subscriber's")] = None,
    output: Output = Form.TABLE,
) -> None:
    """List obligations that are open or overdue; with --overdue exit 1 if there is one.

    A subscriber acknowledges one by a CloudEvent (JSON) on the topic `acknowledgements`, its source
    urn:gov:<subscriber>:<system>, its data {"obligation": "o-…"}.

    Example: postroom obligations list --overdue -o jsonl
    """
    from connectors import find_stack
    from connectors.kafka_reader import TopicReader
    from postroom.settings import settings
    from postroom.topics import changelog
    from processors.engine.changelog import TASK_KEY, body_of
    from processors.obligations import read_obligation
    from schemas import format_instant

    now_ms = time.time_ns() // 1_000_000
    rows = []
    for key, record in TopicReader(find_stack(settings()).access).latest(changelog("obligations")).items():
        if key == TASK_KEY or record.value is None:
            continue
        entry = read_obligation(body_of(record.value))
        state, owed = entry.state(now_ms), entry.owed
        if owed is None or state == "done" or (overdue and state != "overdue"):
            continue
        if subscriber is not None and owed.subscriber != subscriber:
            continue
        rows.append(
            {
                "state": state,
                "subscriber": owed.subscriber,
                "agreement": owed.agreement,
                "key": owed.key,
                "fields": list(owed.attributes),
                "since": format_instant(owed.since_ms),
                "deadline": format_instant(owed.deadline_ms),
                "obligation": owed.obligation,
            }
        )
    rows.sort(key=lambda row: (row["deadline"], row["obligation"]))
    write_rows(rows, output, COLUMNS, none="no obligation is overdue" if overdue else "no obligation is open")
    if overdue and rows:
        raise typer.Exit(Exit.FOUND)
