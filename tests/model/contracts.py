"""E4, E5, C5: contracts, attributes and agreements, read from their files and trusted to be well made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tests.model.identifiers import Schemes
from tests.model.times import NEVER_MS, beginning, end


@dataclass(frozen=True)
class Contract:
    """One annotated schema. `annotations` has every field's `postroom` by the field's name."""

    type: str
    schema: dict[str, Any]
    owners: frozenset[str]
    kind: str
    retention: str
    annotations: dict[str, dict[str, Any]]

    def field_of_term(self, term: str) -> str | None:
        return next((name for name, said in self.annotations.items() if said.get("term") == term), None)

    def field_marked(self, mark: str) -> str | None:
        return next((name for name, said in self.annotations.items() if said.get(mark) is True), None)

    def fields_in_role(self, role: str) -> list[str]:
        return [name for name, said in self.annotations.items() if said.get("role") == role]

    @property
    def identifier_fields(self) -> list[str]:
        return [name for name, said in self.annotations.items() if "identifier" in said]

    @property
    def attribute_fields(self) -> list[str]:
        return [name for name, said in self.annotations.items() if "attribute" in said]


@dataclass(frozen=True)
class Attribute:
    """One line of attributes.yaml."""

    name: str
    category: str
    special: bool
    items: bool
    trust: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """C5, with its defaults filled in and its validity as instants."""

    name: str
    version: int
    subscriber: str
    purpose: str
    basis: str
    valid_from_ms: int
    valid_until_ms: int
    subject: str
    group: str | None
    scope: Any
    attributes: tuple[tuple[str, tuple[str, ...] | None], ...]
    honours_objection: bool
    sees_restricted: bool
    stops_at_death: bool


@dataclass(frozen=True)
class Rules:
    """All that is agreed before the first event."""

    contracts: dict[str, Contract]
    attributes: dict[str, Attribute]
    schemes: Schemes
    agreements: dict[str, Agreement]


@lru_cache(maxsize=8)
def read_rules(contracts: Path, agreements: Path) -> Rules:
    """Everything under the two directories, read once: hundreds of sets are asked about the same ones."""
    identifiers = contracts / "identifiers.yaml"
    declared = yaml.safe_load(identifiers.read_text())["schemes"] if identifiers.exists() else {}
    return Rules(
        contracts={
            contract.type: contract for contract in map(read_contract, sorted(contracts.glob("*/*.v*.avsc")))
        },
        attributes=read_attributes(contracts / "attributes.yaml"),
        schemes=Schemes(declared or {}),
        agreements=read_agreements(agreements),
    )


def read_contract(path: Path) -> Contract:
    """`<domain>/<fact>.v<N>.avsc` is the contract of type `uk.gov.<domain>.<fact>.v<N>` (E1, E4)."""
    schema = json.loads(path.read_text())
    said = schema["postroom"]
    return Contract(
        type=f"uk.gov.{path.parent.name}.{path.name.removesuffix('.avsc')}",
        schema=schema,
        owners=frozenset(said["owners"]),
        kind=said.get("kind", "fact"),
        retention=said["retention"],
        annotations={field["name"]: field["postroom"] for field in schema["fields"]},
    )


def read_attributes(path: Path) -> dict[str, Attribute]:
    """attributes.yaml (E5)."""
    return {
        name: Attribute(
            name,
            said["category"],
            said["sensitivity"] == "special-category",
            bool(said.get("items", False)),
            tuple(said.get("trust") or ()),
        )
        for name, said in yaml.safe_load(path.read_text())["attributes"].items()
    }


def read_agreements(directory: Path) -> dict[str, Agreement]:
    """Of the files that state one agreement the greatest version counts (C5)."""
    agreements: dict[str, Agreement] = {}
    for path in sorted(directory.glob("*.yaml")):
        agreement = _agreement(yaml.safe_load(path.read_text()))
        known = agreements.get(agreement.name)
        if known is None or known.version < agreement.version:
            agreements[agreement.name] = agreement
    return dict(sorted(agreements.items()))


def _agreement(said: dict[str, Any]) -> Agreement:
    until = said["valid"].get("until")
    return Agreement(
        name=said["agreement"],
        version=said["version"],
        subscriber=said["subscriber"],
        purpose=said["purpose"],
        basis=said["basis"],
        valid_from_ms=beginning(_yaml_time(said["valid"]["from"])),
        valid_until_ms=NEVER_MS if until is None else end(_yaml_time(until)),
        subject=said["subject"],
        group=said.get("pairwise_group"),
        scope=said["scope"],
        attributes=tuple(
            (each["attribute"], None if each.get("fields") is None else tuple(each["fields"]))
            for each in said["attributes"]
        ),
        honours_objection=said.get("honours_objection", True),
        sees_restricted=said.get("sees_restricted", False),
        stops_at_death=said.get("after_death", "stop") == "stop",
    )


def _yaml_time(value: Any) -> str:
    """YAML makes dates and datetimes of what we wrote; E3's text is wanted."""
    return value if isinstance(value, str) else str(value.isoformat())
