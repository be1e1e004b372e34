"""`postroom identity show|disputes`: who is one person with whom, and what somebody must settle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.commands import noun
from postroom.errors import Exit
from postroom.inputs import require_identifier
from postroom.output import Form, Output, write_json, write_rows

if TYPE_CHECKING:
    from processors.node import Answer, Node

DISPUTE_COLUMNS = ("one", "other", "reason", "since")
PAIR_COLUMNS = ("other", "stated", "by", "event", "time", "dispute")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "identity", "Identifiers, the pairs that link them, and disputes.", "Operating")
    group.command()(show)
    group.command()(disputes)


def disputes(output: Output = Form.TABLE) -> None:
    """List the edges that join nothing, with the reason, for a person to settle by a link or an unlink event.

    Exit 1 if there is one. These are identifiers of citizens: mind who reads them.

    Example: postroom identity disputes -o jsonl
    """
    from connectors import find_stack
    from connectors.kafka_reader import TopicReader
    from postroom.settings import settings
    from processors import DISPUTES_TOPIC
    from processors.node import read_dispute
    from schemas import format_instant

    reader = TopicReader(find_stack(settings()).access)
    rows = []
    for record in reader.latest(DISPUTES_TOPIC).values():
        one, other, reason = read_dispute(record.value or b"")
        since = format_instant(record.timestamp_ms)
        rows.append({"one": one, "other": other, "reason": reason, "since": since})
    rows.sort(key=lambda row: (row["one"], row["other"]))
    write_rows(rows, output, DISPUTE_COLUMNS, none="no pair is disputed")
    if rows:
        raise typer.Exit(Exit.FOUND)


def show(
    identifier: Annotated[str, typer.Argument(help="as scheme:value, for instance nino:AB123456C")],
    output: Output = Form.TABLE,
) -> None:
    """Show an identifier's person, and every statement about its pairs, with disputes.

    Exit 1 if nothing was stated about it.

    Example: postroom identity show nino:NC000017A
    """
    from postroom.console import say
    from schemas import format_instant

    nodes = read_nodes(identifier)
    node = nodes.get(identifier)
    if node is None:
        say("nothing was stated about a pair of this identifier: it is a person by itself")
        if output is not Form.TABLE:
            _write_document(identifier, None, [])
        raise typer.Exit(Exit.FOUND)
    told, disputed = node.told, _disputes_of(identifier)
    rows: list[dict[str, Any]] = []
    for other in sorted({*node.said, *nodes} - {identifier}):
        said_by_other = nodes[other].said.get(identifier, ()) if other in nodes else ()
        rows.extend(
            {
                "other": other,
                "stated": statement.kind,
                "by": statement.source,
                "event": statement.id,
                "time": format_instant(statement.time),
                "dispute": disputed.get(other),
            }
            for statement in sorted((*node.said.get(other, ()), *said_by_other))
        )
    if output is Form.TABLE:
        if told is not None:
            say(f"person {told.person}: {', '.join(told.members)}")
            if told.restricted:
                say("this person is protected (restricted)")
        write_rows(rows, output, PAIR_COLUMNS, none="no statement about its pairs counts any more")
        return
    _write_document(identifier, told, rows)


def _write_document(identifier: str, told: Answer | None, rows: list[dict[str, Any]]) -> None:
    write_json(
        {
            "identifier": identifier,
            "person": None if told is None else told.person,
            "members": [identifier] if told is None else list(told.members),
            "superseded": [] if told is None else list(told.superseded),
            "pairs": rows,
        }
    )


def _disputes_of(identifier: str) -> dict[str, str]:
    """The reason of each of its disputes, by the other end."""
    from connectors import find_stack
    from connectors.kafka_reader import TopicReader
    from postroom.settings import settings
    from processors import DISPUTES_TOPIC
    from processors.node import read_dispute

    found = {}
    for record in TopicReader(find_stack(settings()).access).latest(DISPUTES_TOPIC).values():
        one, other, reason = read_dispute(record.value or b"")
        if identifier in (one, other):
            found[other if one == identifier else one] = reason
    return found


def read_nodes(identifier: str) -> Mapping[str, Node]:
    """Return what persons keeps of an identifier and of whoever says something of it, from its changelog.

    An identifier keeps no list of those who speak of it (adr/0013), so all are searched: the whole changelog
    has just been read anyway.
    """
    from connectors import find_stack
    from connectors.kafka_reader import TopicReader
    from postroom.composition import load_rules_files
    from postroom.settings import settings
    from postroom.topics import changelog
    from processors.engine.changelog import TASK_KEY, body_of
    from processors.node import is_page, read_node

    current = settings()
    contracts, _ = load_rules_files(current.contracts_dir, current.agreements_dir)
    require_identifier(contracts.schemes, identifier)
    latest = TopicReader(find_stack(current).access).latest(changelog("persons"))

    named = identifier.encode()
    nodes = {
        key.decode(): read_node(body_of(record.value or b""))
        for key, record in latest.items()
        if key != TASK_KEY and not is_page(key) and named in (record.value or b"")
    }
    if identifier not in nodes:
        return {}
    return {name: node for name, node in nodes.items() if name == identifier or identifier in node.said}
