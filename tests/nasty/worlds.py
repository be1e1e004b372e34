"""Other directories of contracts and agreements: random, valid, and unlike those of `tests/cases`.

What a world may hold is what E4 and E5 allow and the cases do not show: domains that share attributes,
nested records, maps, timestamps, `*` subjects in facts, several linking fields in one contract, declared
schemes that are exclusive, consents until a timestamp, scopes on consent.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.model.identifiers import BUILT_IN

DATE = {"type": "int", "logicalType": "date"}
TIMESTAMP = {"type": "long", "logicalType": "timestamp-millis"}
PATTERNS = ("[0-9]{4}", "[a-zA-Z]{2}-[0-9]{2}", "X[0-9A-F]{3,5}", "[0-9]{8}")
RETENTIONS = ("P7Y", "P1Y", "P18M", "P30D", "P100Y", "P1Y2M3DT4H5M6S", "P8W", "PT36H")
CATEGORIES = ("identity", "money", "health")
TYPES: tuple[Any, ...] = (
    "string",
    "boolean",
    "long",
    "double",
    DATE,
    TIMESTAMP,
    {"type": "array", "items": "string"},
    {"type": "map", "values": "long"},
    {"type": "enum", "name": "Colour", "namespace": "world.types", "symbols": ["RED", "GREEN", "BLUE"]},
    {
        "type": "record",
        "name": "Place",
        "namespace": "world.types",
        "fields": [
            {"name": "town", "type": "string"},
            {"name": "since", "type": ["null", DATE], "default": None},
            {"name": "seen", "type": ["null", TIMESTAMP], "default": None},
            {"name": "rooms", "type": "int", "default": 2},
        ],
    },
    {
        "type": "record",
        "name": "House",
        "namespace": "world.types",
        "fields": [
            {"name": "town", "type": ["null", "string"], "default": None},
            {
                "name": "owner",
                "type": {
                    "type": "record",
                    "name": "Owner",
                    "fields": [
                        {"name": "names", "type": {"type": "array", "items": "string"}, "default": []},
                        {"name": "kin", "type": {"type": "map", "values": ["null", "string"]}, "default": {}},
                    ],
                },
            },
            {"name": "second", "type": ["null", "Owner"], "default": None},
            {"name": "bought", "type": DATE, "default": 10957},
            {"name": "tags", "type": {"type": "array", "items": ["null", DATE, "boolean"]}, "default": []},
            {"name": "sold", "type": ["null", DATE, "long"], "default": None},
        ],
    },
)

Field = dict[str, Any]


def make_world(seed: int, directory: Path) -> tuple[Path, Path]:
    """Write a world below a directory; answer its contracts and its agreements."""
    world = _World(Random(f"world {seed}"))
    contracts, agreements = directory / "contracts", directory / "agreements"
    for path, schema in world.contracts():
        _write(contracts / path, json.dumps(schema, indent=1))
    _write(contracts / "attributes.yaml", yaml.safe_dump({"attributes": world.attributes}))
    _write(contracts / "authority.yaml", yaml.safe_dump(world.authority()))
    _write(contracts / "identifiers.yaml", yaml.safe_dump({"schemes": world.declared}))
    for name, agreement in world.agreements().items():
        _write(agreements / f"{name}.yaml", yaml.safe_dump(agreement))
    return contracts, agreements


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class _World:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.owners = rng.sample(
            ("gro", "dwp", "hmrc", "nhs", "council-leeds", "dvla-2"), k=rng.randint(2, 4)
        )
        self.declared = {
            name: {
                "description": "An account",
                "owner": rng.choice(self.owners),
                "pattern": rng.choice(PATTERNS),
                "exclusive": rng.random() < 0.4,
            }
            for name in rng.sample(("ctax", "blue-badge", "acc", "zeta"), k=rng.randint(1, 3))
        }
        self.schemes = rng.sample(list(BUILT_IN), k=rng.randint(2, 4)) + sorted(self.declared)
        self.attributes: dict[str, dict[str, Any]] = {}
        self.types: dict[str, Any] = {}
        for number in range(rng.randint(3, 6)):
            self.add_attribute(
                f"thing-{number}" if rng.random() < 0.3 else f"thing_{number}", rng.choice(TYPES)
            )
        if rng.random() < 0.7:
            self.add_attribute("death", DATE)
            self.attributes["death"]["items"] = False
        self.nullable = {name for name in self.types if rng.random() < 0.4}
        self.stated: set[str] = set()  # an agreement may only name what some contract states

    def add_attribute(self, name: str, schema: Any) -> None:
        rng = self.rng
        name = name.replace("-", "_")
        self.types[name] = deepcopy(schema)
        self.attributes[name] = {
            "category": rng.choice(CATEGORIES),
            "description": f"A {name}",
            "sensitivity": rng.choice(("standard", "standard", "sensitive", "special-category")),
            "items": rng.random() < 0.35,
            "trust": rng.sample(self.owners, k=rng.randint(0, len(self.owners))),
        }

    def authority(self) -> dict[str, list[list[str]]]:
        """Everybody may link everything: authority is the gate's question, not replay's."""
        every = [*BUILT_IN, *sorted(self.declared)]
        pairs = [[one, other] for place, one in enumerate(every) for other in every[place:]]
        return {owner: deepcopy(pairs) for owner in self.owners}

    # ---- contracts ----

    def contracts(self) -> list[tuple[str, dict[str, Any]]]:
        rng = self.rng
        made = [self.fact(number) for number in range(rng.randint(3, 6))]
        while not self.stated:
            made.append(self.fact(len(made)))
        made += [self.pair_kind("link", n) for n in range(rng.randint(1, 2))] + [self.pair_kind("unlink", 0)]
        subject = {"name": "subject", "type": "string", "postroom": {"identifier": "*", "role": "subject"}}
        made += [
            self.contract("corrections", "annulment", 1, "annulment", [subject, self.prior("string")]),
            self.contract(
                "consents", "decision", 2, "consent", self.shuffled([subject, *self.consent_fields()])
            ),
            self.contract(
                "consents",
                "objection",
                1,
                "objection",
                self.shuffled(
                    [subject, *self.terms("subscriber", "purpose"), self.states("OBJECTED", "LIFTED")]
                ),
            ),
            self.contract(
                "guard", "restriction", 1, "restriction", [subject, self.states("RESTRICTED", "LIFTED")]
            ),
            self.contract(
                "sharing",
                "enrolment",
                1,
                "enrolment",
                [subject, *self.terms("agreement"), self.states("ENROLLED", "ENDED")],
            ),
        ]
        return made

    def contract(
        self, domain: str, fact: str, version: int, kind: str, fields: list[Field]
    ) -> tuple[str, Any]:
        rng = self.rng
        owners = (
            self.owners if kind != "fact" else rng.sample(self.owners, k=rng.randint(1, len(self.owners)))
        )
        if kind not in ("fact", "annulment") and rng.random() < 0.3:
            fields = [*fields, self.prior(["null", "string"])]  # it may stand there, and says nothing
        said: dict[str, Any] = {"owners": sorted(owners), "retention": rng.choice(RETENTIONS)}
        if kind != "fact" or rng.random() < 0.5:
            said["kind"] = kind
        schema = {
            "type": "record",
            "name": fact.replace("-", "_").capitalize(),
            "namespace": f"uk.gov.{domain}".replace("-", "_"),
            "doc": "Something happened",
            "postroom": said,
            "fields": _known_once(deepcopy(fields)),
        }
        return f"{domain}/{fact}.v{version}.avsc", schema

    def shuffled(self, fields: list[Field]) -> list[Field]:
        return self.rng.sample(fields, k=len(fields))

    def identifier(self, name: str, role: str, nullable: bool = False) -> Field:
        rng = self.rng
        said: dict[str, Any] = {"identifier": rng.choice(self.schemes), "role": role}
        if rng.random() < 0.3:
            said["identifier"] = "*"
            if rng.random() < 0.5:
                said["schemes"] = rng.sample(self.schemes, k=min(3, len(self.schemes)))
        field: Field = {"name": name, "type": ["null", "string"] if nullable else "string", "postroom": said}
        if nullable:
            field["default"] = None
        return field

    def fact(self, number: int) -> tuple[str, Any]:
        rng = self.rng
        items = rng.random() < 0.4
        chosen = [name for name, said in self.attributes.items() if said["items"] == items]
        chosen = rng.sample(chosen, k=min(len(chosen), rng.choice((0, 1, 1, 2, 3))))
        fields = [self.identifier("subject", "subject")]
        for link in range(rng.choice((0, 1, 1, 2))):
            role = rng.choice(("same-person", "same-person", "superseded-by"))
            fields.append(self.identifier(f"link_{link}", role, nullable=True))
        self.stated.update(chosen)
        terms = {"effective", "until"}
        for name in chosen:
            field: Field = {"name": name, "type": self.types[name], "postroom": {"attribute": name}}
            if name in self.nullable:
                field |= {"type": ["null", self.types[name]], "default": None}
            if terms and self.types[name] in (DATE, TIMESTAMP) and rng.random() < 0.4:
                field["postroom"]["term"] = rng.choice(sorted(terms))
                terms.discard(field["postroom"]["term"])
            fields.append(field)
        if chosen and items:
            fields.append({"name": "which", "type": "string", "postroom": {"item": True}})
        for term in sorted(terms):
            if rng.random() < 0.6:
                fields.append(self.when(f"is_{term}", term))
        if rng.random() < 0.6:
            fields.append(self.prior(["null", "string"]))
        if rng.random() < 0.4:
            fields.append({"name": "note", "type": rng.choice(TYPES), "postroom": {"operational": True}})
        domain = rng.choice(("civil", "work", "benefits-2"))
        return self.contract(
            domain, f"fact-{number}", rng.choice((1, 1, 2, 10)), "fact", self.shuffled(fields)
        )

    def pair_kind(self, kind: str, number: int) -> tuple[str, Any]:
        fields = [self.identifier("one", "subject"), self.identifier("two", "other")]
        if number == 0:  # one of each can speak of every pair
            for field in fields:
                field["postroom"] = {"identifier": "*", "role": field["postroom"]["role"]}
        elif self.rng.random() < 0.4:
            fields.append(self.identifier("also", "same-person", nullable=True))
        return self.contract(
            "identity", f"{kind}-{number}" if number else kind, 1, kind, self.shuffled(fields)
        )

    def prior(self, schema: Any) -> Field:
        field: Field = {"name": "prior", "type": schema, "postroom": {"prior": True}}
        if isinstance(schema, list):
            field["default"] = None
        return field

    def when(self, name: str, term: str) -> Field:
        schema = self.rng.choice((DATE, TIMESTAMP))
        return {"name": name, "type": ["null", schema], "default": None, "postroom": {"term": term}}

    def terms(self, *names: str) -> list[Field]:
        return [{"name": f"the_{name}", "type": "string", "postroom": {"term": name}} for name in names]

    def states(self, *symbols: str) -> Field:
        name = symbols[0].capitalize() + "State"
        schema = {"type": "enum", "name": name, "symbols": list(symbols)}
        return {"name": "state", "type": schema, "postroom": {"term": "state"}}

    def consent_fields(self) -> list[Field]:
        fields = [*self.terms("subscriber", "purpose"), self.states("GRANTED", "PAUSED", "WITHDRAWN")]
        categories = {
            "name": "about",
            "type": {"type": "array", "items": "string"},
            "postroom": {"term": "categories"},
        }
        fields.append(categories | ({"default": []} if self.rng.random() < 0.5 else {}))
        for term in ("valid_from", "valid_until"):
            if self.rng.random() < 0.8:
                fields.append(self.when(term, term))
        return fields

    # ---- agreements ----

    def agreements(self) -> dict[str, dict[str, Any]]:
        return {f"flow-{number}": self.agreement(number) for number in range(self.rng.randint(3, 7))}

    def agreement(self, number: int) -> dict[str, Any]:
        rng = self.rng
        basis = rng.choice(("consent", "consent", "public_task", "legal_obligation", "contract"))
        grants = [
            self.grant(name) for name in rng.sample(sorted(self.stated), k=rng.randint(1, len(self.stated)))
        ]
        said: dict[str, Any] = {
            "agreement": f"flow-{number}",
            "version": rng.randint(1, 9),
            "subscriber": rng.choice([*self.owners, "nobody-else"]),
            "purpose": rng.choice(("care", "money", "reminders")),
            "basis": basis,
            "valid": {"from": "2025-01-01", "until": rng.choice(("2027-12-31", "2029-12-31", "2026-06-01"))},
            "subject": "pairwise" if rng.random() < 0.5 else rng.choice(self.schemes),
            "scope": self.scope(basis, grants),
            "attributes": grants,
            "delete_within": "P1D",
        }
        if basis not in ("consent", "contract"):
            said["gateway"] = "Some Act 1999 s.1"
        if said["subject"] == "pairwise" and rng.random() < 0.4:
            said["pairwise_group"] = "shared"
        for name, values in (
            ("honours_objection", (True, False)),
            ("sees_restricted", (True, False)),
            ("after_death", ("stop", "continue")),
        ):
            if rng.random() < 0.6:
                said[name] = rng.choice(values)
        if said["scope"] == "deceased":
            said["after_death"] = "continue"  # with stop it could give nothing, and is refused
        return said

    def grant(self, name: str) -> dict[str, Any]:
        schema = self.types[name]
        if isinstance(schema, dict) and schema["type"] == "record" and self.rng.random() < 0.6:
            names = [field["name"] for field in schema["fields"]]
            return {"attribute": name, "fields": self.rng.sample(names, k=self.rng.randint(1, len(names)))}
        return {"attribute": name}

    def scope(self, basis: str, grants: list[dict[str, Any]]) -> Any:
        rng = self.rng
        if rng.random() < 0.5:
            return "everyone"
        if rng.random() < (0.15 if basis == "consent" else 0.4):
            return "enrolled"
        names = [grant["attribute"] for grant in grants] if basis == "consent" else sorted(self.stated)
        if "death" in names and rng.random() < 0.4:
            return "deceased"
        for name in rng.sample(names, k=len(names)):
            schema = self.types[name]
            fields = next((grant.get("fields") for grant in grants if grant["attribute"] == name), None)
            if isinstance(schema, dict) and schema["type"] == "record":
                if fields is None or "town" in fields or basis != "consent":
                    return {"where": {"attribute": name, "field": "town", "in": ["Ann", "leeds", "Zoë"]}}
            elif isinstance(schema, dict) and schema["type"] == "enum":
                return {"where": {"attribute": name, "in": ["RED", "BLUE"]}}
            elif schema == "string":
                return {"where": {"attribute": name, "in": ["a", "b", "é"]}}
            elif schema == "long":
                return {"where": {"attribute": name, "in": [100, 0, (1 << 63) - 1]}}
        return "everyone"


def _known_once(fields: list[Field]) -> list[Field]:
    """Avro defines a named type where it first stands; after that its name is all."""
    seen: set[str] = set()

    def once(schema: Any) -> Any:
        if isinstance(schema, list):
            return [once(branch) for branch in schema]
        if not isinstance(schema, dict):
            return schema
        if schema.get("type") in ("record", "enum"):
            name = f"{schema['namespace']}.{schema['name']}" if "namespace" in schema else schema["name"]
            if name in seen and "namespace" in schema:
                return name
            seen.add(name)
            for field in schema.get("fields", ()):
                field["type"] = once(field["type"])
            return schema
        for inner in ("items", "values"):
            if inner in schema:
                schema[inner] = once(schema[inner])
        return schema

    for field in fields:
        field["type"] = once(field["type"])
    return fields
