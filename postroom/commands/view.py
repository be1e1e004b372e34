"""`postroom view AGREEMENT`: a view topic as its subscriber reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.console import say
from postroom.errors import Exit, UserError
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
    was retracted is not shown. An agreement that is not in force says since or until when. Exit 1 if there is
    no view under the --key.

    Example: postroom view council-leeds-housing -o jsonl
    """
    from connectors import find_stack
    from connectors.kafka_views import AvroReader
    from postroom.composition import load_rules_files, reachable_registry
    from postroom.settings import settings
    from processors import view_topic
    from schemas.documents.words import not_in_force

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
    outside = not_in_force(agreements[agreement], time.time_ns() // 1_000_000)
    if follow:
        if outside is not None:
            say(f"{agreement} {outside}")
        for record in wanted:
            write_line(_document(record))
        return
    latest = list(_latest(wanted))
    row = _row if output is Form.TABLE else _document
    write_rows(map(row, latest), output, COLUMNS, none="")
    if outside is not None:
        left = "; what is still there has not been taken back (`postroom status`)" if latest else ""
        say(f"{agreement} {outside}{left}")
    elif not latest and key is None:
        say(f"{agreement} has no view yet: {_WHY_NOT}")
    elif not latest:
        say(f"there is no view under that key: there never was one, or it ended; {_WHY_NOT}")
    if key is not None and not latest:
        raise typer.Exit(Exit.FOUND)


# INVARIANT: the same words whatever the reason. A reader of views may not learn which it is: that a citizen
# is protected, or withdrew, is nobody's who only reads (V2).
_WHY_NOT = (
    "no consent or no lawful basis, nobody said anything, not all of it has come yet, or no worker runs "
    "(`postroom status`); who may know asks `postroom agreement explain`"
)


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
