"""Whether a later version of a contract still means what an earlier one said (E4, E6, docs/adr/0078).

Avro compares what can be read. What a value is about stands in the annotations, and whoever reads a stored
event again, for a replay or because a store is made anew, reads it by those of today.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Obstacle = tuple[str, str]
"""(path below the contract, what changed)."""

ANNOTATION = "postroom"
_NARROWS = "schemes"
"""Which schemes a field takes says who may be named, not what it means that they are."""


def other_meanings(new: Schema, old: Schema) -> Iterator[Obstacle]:
    """What was said under the old schema and would mean another thing under the new one."""
    # INVARIANT: a field that enters no record never does, or values are shared that were not given for it.
    was, now = (_annotation(schema).get("kind", "fact") for schema in (old, new))
    if was != now:
        yield "", f"its kind was {was} and became {now}"
    before = {field["name"]: _meaning(field) for field in old["fields"]}  # empty where no gate had seen it
    for field in new["fields"]:
        for name in (field["name"], *sorted(field.get("aliases", ()))):
            if name in before:
                if before[name] and before[name] != _meaning(field):
                    yield field["name"], f"it was {_said(before[name])} and became {_said(_meaning(field))}"
                break


def _annotation(schema: Schema) -> Mapping[str, Any]:
    """What it says of itself; nothing where somebody wrote another thing past the gate."""
    said = schema.get(ANNOTATION)
    return said if isinstance(said, dict) else {}


def _meaning(field: Schema) -> dict[str, Any]:
    return {key: each for key, each in _annotation(field).items() if key != _NARROWS}


def _said(meaning: Mapping[str, Any]) -> str:
    return json.dumps(meaning, sort_keys=True)
