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
    "taken back because",
    "not in it because",
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

    Fields are named, values are not in the log: it holds a salted commitment to them. `fields` are those that
    the subscriber received, or had and lost. `shared because` says what each rests on, a consent or a
    statute; `taken back because` why it was lost; `not in it because` speaks of the agreement's other
    attributes, which were not delivered. `caused by` names an event, by the id that its department gave it
    and its source: a consent, a fact, a link, whatever was said last that bore on this. That department finds
    it under this id; it is no person's number. Exit 1 if nothing was ever shared of them.

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


NO_VALUE = "permitted, but there was no value to share"
"""Why a permitted attribute is not in a view (C7)."""
LOST = {
    "ended": "no value is left to share",
    "corrected": "the person is known under another key now, or is another",
}
"""Why a view was taken back of which a field is permitted, by the retraction's reason (V2)."""


def as_row(entry: dict[str, Any]) -> dict[str, str]:
    """Return an entry of the disclosure log as a person reads it: what happened, and why, in words."""
    retraction, cause = entry["reason"], entry["cause"]
    shared, lost, left_out = _why(entry)
    return {
        "time": entry["time"],
        "subscriber": entry["subscriber"],
        "agreement": f"{entry['agreement']}@{entry['version']}",
        "what": "written" if retraction is None else f"taken back ({retraction})",
        "fields": ", ".join(entry["fields"]),
        "shared because": _each(shared),
        "taken back because": _each(lost),
        "not in it because": _each(left_out),
        "caused by": f"event {cause['id']} of {cause['source']}"
        if cause["id"]
        else "no event: time passed, or the rules changed",
    }


Reasons = dict[str, list[str]]
"""Attributes by the reason that they have in common, in words."""


def _why(entry: dict[str, Any]) -> tuple[Reasons, Reasons, Reasons]:
    """Why each field was shared, why each was taken back, and why the other attributes were not delivered.

    INVARIANT: only what is among the entry's fields was in the view. A permit is no delivery (C7).
    """
    from processors.explain import why_withheld

    decision, retraction = entry["decision"], entry["reason"]
    shared: Reasons = {}
    lost: Reasons = {}
    left_out: Reasons = {}
    if decision["denied"]:
        return shared, {why_withheld(decision["denied"]): ["all of it"]}, left_out
    for attribute, answer in (decision.get("attributes") or {}).items():
        denied = why_withheld(answer["deny"]) if "deny" in answer else None
        if attribute not in entry["fields"]:
            left_out.setdefault(denied or NO_VALUE, []).append(attribute)
        elif retraction is not None:
            lost.setdefault(denied or LOST.get(retraction, retraction), []).append(attribute)
        else:
            shared.setdefault(denied or _ground(answer), []).append(attribute)
    return shared, lost, left_out


def _ground(permit: dict[str, Any]) -> str:
    from processors.explain import rests_on

    ground = rests_on(permit.get("consent"), permit.get("gateway"))
    return ground if permit.get("consent") else f"{permit['permit'].replace('_', ' ')}, {ground}"


def _each(reasons: Reasons) -> str:
    """Each reason once, with the attributes that it is about."""
    return "; ".join(f"{', '.join(attributes)}: {reason}" for reason, attributes in reasons.items())
