"""`postroom audit person`: who saw what about one citizen, when, and why they were allowed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postroom.commands import noun
from postroom.output import Form, Output, write_rows

COLUMNS = ("time", "subscriber", "agreement", "kind", "fields", "because", "cause")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    noun(app, "audit", "The disclosure log.", "Operating").command()(person)


def person(
    identifier: Annotated[str, typer.Argument(help="any identifier of the citizen, as scheme:value")],
    output: Output = Form.TABLE,
) -> None:
    """List every disclosure and retraction about one citizen, under every person id of their identifiers.

    Fields are named, values are not in the log: it holds a salted commitment to them.

    Example: postroom audit person nino:NC000017A
    """
    import json

    from connectors import find_stack
    from connectors.kafka_reader import TopicReader
    from postroom.commands.identity import read_nodes
    from postroom.settings import settings
    from processors import DISCLOSURES_TOPIC, Keys

    node = read_nodes(identifier).get(identifier)
    members = (identifier,) if node is None or node.told is None else node.told.members
    current = settings()
    keys = Keys(current.secret_bytes())
    persons = {keys.person_id(member) for member in members}
    entries = [
        json.loads(record.value)
        for record in TopicReader(find_stack(current).access).read([DISCLOSURES_TOPIC])
        if record.value is not None and record.key is not None and record.key.decode() in persons
    ]
    entries.sort(key=lambda entry: (entry["time"], entry["agreement"], entry["sequence"]))
    if output is Form.TABLE:
        write_rows(map(_row, entries), output, COLUMNS)
    else:
        write_rows(entries, output, COLUMNS)


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "time": entry["time"],
        "subscriber": entry["subscriber"],
        "agreement": f"{entry['agreement']}@{entry['version']}",
        "kind": entry["kind"] if entry["reason"] is None else f"{entry['kind']} ({entry['reason']})",
        "fields": ", ".join(entry["fields"]),
        "because": _because(entry["decision"]),
        "cause": f"{entry['cause']['source']} {entry['cause']['id']}".strip() or "time passed",
    }


def _because(decision: dict[str, Any]) -> str:
    """The reasons, the shortest way: why nothing, or each basis and denial once."""
    if decision["denied"]:
        return str(decision["denied"])
    said = []
    for answer in decision.get("attributes", {}).values():
        text = answer.get("deny") or answer.get("gateway") or answer["permit"]
        if answer.get("consent"):
            text = "consent {1} of {0}".format(*answer["consent"])
        said.append(text)
    return "; ".join(dict.fromkeys(said))
