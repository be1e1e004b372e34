"""`postroom audit person`: who saw what about one citizen, when, and why they were allowed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postroom.commands import noun
from postroom.errors import Exit
from postroom.output import Form, Output, write_rows

COLUMNS = (
    "time",
    "subscriber",
    "agreement",
    "what",
    "fields",
    "shared because",
    "withheld because",
    "caused by",
)

NOTHING = "nothing about this person was shared with anybody, as far as the log goes"


def register(app: typer.Typer) -> None:
    """Add the noun."""
    noun(app, "audit", "The disclosure log.", "Operating").command()(person)


def person(
    identifier: Annotated[str, typer.Argument(help="any identifier of the citizen, as scheme:value")],
    output: Output = Form.TABLE,
) -> None:
    """List every disclosure and retraction about one citizen, under every person id of their identifiers.

    Fields are named, values are not in the log: it holds a salted commitment to them. What was shared rests
    on a consent or on a statute, which is named; what was withheld says why; the event that caused it stands
    last. Exit 1 if nothing was ever shared of them.

    Example: postroom audit person nino:NC000017A
    """
    import json

    from connectors import find_stack
    from connectors.kafka_reader import TopicReader
    from postroom.commands.identity import read_nodes
    from postroom.console import counted, say
    from postroom.installation import require_its_secret
    from postroom.settings import settings
    from processors import DISCLOSURES_TOPIC, Keys

    node = read_nodes(identifier).get(identifier)
    members = (identifier,) if node is None or node.told is None else node.told.members
    current = settings()
    stack = find_stack(current)
    keys = Keys(current.secret_bytes())
    require_its_secret(current, stack, keys)
    persons = {keys.person_id(member) for member in members}
    entries = [
        json.loads(record.value)
        for record in TopicReader(stack.access).read([DISCLOSURES_TOPIC])
        if record.value is not None and record.key is not None and record.key.decode() in persons
    ]
    entries.sort(key=lambda entry: (entry["time"], entry["agreement"], entry["sequence"]))
    rows = map(as_row, entries) if output is Form.TABLE else entries
    write_rows(rows, output, COLUMNS, none="")
    if not entries:
        say(NOTHING)
        raise typer.Exit(Exit.FOUND)
    if output is Form.TABLE:
        say(f"{counted(len(entries), 'entry', 'entries')} in the disclosure log")


def as_row(entry: dict[str, Any]) -> dict[str, str]:
    """Return an entry of the disclosure log as a person reads it: what happened, and why, in words."""
    from processors.explain import why_withheld

    decision = entry["decision"]
    grounds: dict[str, list[str]] = {}
    refusals: dict[str, list[str]] = {}
    for attribute, answer in (decision.get("attributes") or {}).items():
        if "deny" in answer:
            refusals.setdefault(why_withheld(answer["deny"]), []).append(attribute)
        else:
            grounds.setdefault(_ground(answer), []).append(attribute)
    if decision["denied"]:
        grounds, refusals = {}, {why_withheld(decision["denied"]): ["all of it"]}
    return {
        "time": entry["time"],
        "subscriber": entry["subscriber"],
        "agreement": f"{entry['agreement']}@{entry['version']}",
        "what": "written" if entry["reason"] is None else f"taken back ({entry['reason']})",
        "fields": ", ".join(entry["fields"]),
        "shared because": _each(grounds),
        "withheld because": _each(refusals),
        "caused by": f"event {entry['cause']['id']} of {entry['cause']['source']}"
        if entry["cause"]["id"]
        else "time passed, or the rules changed",
    }


def _ground(permit: dict[str, Any]) -> str:
    from processors.explain import rests_on

    ground = rests_on(permit.get("consent"), permit.get("gateway"))
    return ground if permit.get("consent") else f"{permit['permit'].replace('_', ' ')}, {ground}"


def _each(reasons: dict[str, list[str]]) -> str:
    """Each reason once, with the attributes that it is about."""
    return "; ".join(f"{', '.join(attributes)}: {reason}" for reason, attributes in reasons.items())
