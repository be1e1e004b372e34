"""`postroom view AGREEMENT`: a view topic as its subscriber reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.errors import UserError
from postroom.output import Form, Output, write_line, write_rows

if TYPE_CHECKING:
    from connectors.kafka_views import ReadRecord

PANEL = "Events"
COLUMNS = ("key", "value", "sequence", "agreement")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(view)


def view(
    agreement: Annotated[str, typer.Argument(help="its name, as in the agreements directory")],
    key: Annotated[str | None, typer.Option(help="only this key")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, every change, retractions too.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Read what an agreement's subscriber reads: the latest view under each key, or every change.

    A retraction is a record with value null and the reason among its headers; without --follow a key that
    was retracted is not shown.

    Example: postroom view council-leeds-housing -o jsonl
    """
    from connectors import find_stack
    from connectors.kafka_views import AvroReader
    from postroom.composition import load_rules_files, reachable_registry
    from postroom.settings import settings
    from processors import view_topic

    current = settings()
    _, agreements = load_rules_files(current.contracts_dir, current.agreements_dir)
    if agreement not in agreements:
        raise UserError(
            "there is no such agreement", where=agreement, mend="one of: " + ", ".join(sorted(agreements))
        )
    stack = find_stack(current)
    reader = AvroReader(stack.access, reachable_registry(stack))
    records = reader.read(view_topic(agreement), follow=follow)
    wanted = (record for record in records if key is None or record.key == key)
    if follow:
        for record in wanted:
            write_line(_document(record))
        return
    latest = _latest(wanted)
    if output is Form.TABLE:
        write_rows((_row(record) for record in latest), output, COLUMNS)
    else:
        write_rows((_document(record) for record in latest), output, COLUMNS)


def _latest(records: Iterable[ReadRecord]) -> Iterator[ReadRecord]:
    by_key: dict[str, ReadRecord] = {}
    for record in records:
        by_key[record.key] = record
    return (by_key[key] for key in sorted(by_key) if by_key[key].value is not None)


def _document(record: ReadRecord) -> dict[str, Any]:
    return {"key": record.key, "value": record.value, "headers": record.headers}


def _row(record: ReadRecord) -> dict[str, Any]:
    return {
        "key": record.key,
        "value": json.dumps(record.value, ensure_ascii=False),
        "sequence": record.headers.get("postroom_sequence"),
        "agreement": record.headers.get("postroom_agreement"),
    }
