"""Contracts directories made for a test: start from a sound one, change one thing."""

import copy
import json
from pathlib import Path
from typing import Any

ATTRIBUTES = """\
attributes:
  name: {category: identity, description: Name, sensitivity: standard, items: false, trust: [gro]}
  address: {category: contact, description: Address, sensitivity: standard, items: false, trust: []}
  benefit: {category: money, description: Benefit, sensitivity: sensitive, items: true, trust: [dwp]}
  employment: {category: work, description: Job, sensitivity: standard, items: true, trust: [hmrc]}
"""
AUTHORITY = "dwp: [[nino, nhs], [utr, nino]]\n"
IDENTIFIERS = (
    "schemes:\n  ctax: {description: Account, owner: council-leeds, pattern: '[0-9]{8}', exclusive: false}\n"
)
DATE = {"type": "int", "logicalType": "date"}


def optional(type_: Any) -> list[Any]:
    return ["null", type_]


def field(name: str, type_: Any, postroom: Any = None, **more: Any) -> dict[str, Any]:
    made = {"name": name, "type": type_, **more}
    return made if postroom is None else made | {"postroom": postroom}


def record(
    *fields: dict[str, Any], owners: tuple[str, ...] = ("dwp",), name: str = "Event", **postroom: Any
) -> dict[str, Any]:
    """A contract's schema; the subject is field `nino` unless some field is a subject."""
    said = {"owners": list(owners), "retention": "P7Y", **postroom}
    named = {key: value for key, value in said.items() if value is not None}
    has_subject = any(
        isinstance(each.get("postroom"), dict) and each["postroom"].get("role") == "subject"
        for each in fields
    )
    every = fields if has_subject else (SUBJECT, *fields)
    return {
        "type": "record",
        "name": name,
        "doc": "d",
        "postroom": named,
        "fields": copy.deepcopy(list(every)),
    }


SUBJECT = field("nino", "string", {"identifier": "nino", "role": "subject"})
NAME = field("name", "string", {"attribute": "name"})
ADDRESS_TYPE = {
    "type": "record",
    "name": "Address",
    "fields": [
        field("lines", {"type": "array", "items": "string"}),
        field("postcode", "string"),
        field("authority", optional("string"), default=None),
    ],
}
ADDRESS = field("address", ADDRESS_TYPE, {"attribute": "address"})
ITEM = field("claim", "string", {"item": True})
BENEFIT = field("award", "long", {"attribute": "benefit"})


def write(directory: Path, contracts: dict[str, Any], **files: str) -> Path:
    """A contracts directory; `contracts` maps a path to a schema, `files` replaces the YAML files' text."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {"attributes": ATTRIBUTES, "authority": AUTHORITY, "identifiers": IDENTIFIERS} | files
    for name, text in texts.items():
        (directory / f"{name}.yaml").write_text(text, encoding="utf-8")
    for path, schema in contracts.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(schema if isinstance(schema, str) else json.dumps(schema), encoding="utf-8")
    return directory
