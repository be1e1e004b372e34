"""Random plain JSON for an Avro schema, out of few values, so that equal ones and near ones meet."""

from __future__ import annotations

from random import Random
from typing import Any

STRINGS = ("a", "b", "Ann", "Zoë", "zoë", "Z", "李", "𝔘", "", " ", "é", 'q"uote\\', "LS1 1AA", "tab\there")


class Values:
    """Draws values for the types of one contract."""

    def __init__(self, rng: Random, days: list[str], instants: list[str]) -> None:
        self.rng, self.days, self.instants = rng, days, instants
        self.names: dict[str, Any] = {}

    def learn(self, schema: Any, space: str = "") -> None:
        """Know every named type inside a schema, under its full and its short name."""
        if isinstance(schema, list):
            for branch in schema:
                self.learn(branch, space)
        elif isinstance(schema, dict):
            if "name" in schema and schema.get("type") in ("record", "enum"):
                space = schema.get("namespace", space)
                self.names[schema["name"]] = self.names[f"{space}.{schema['name']}"] = schema
            for field in schema.get("fields", ()):
                self.learn(field["type"], space)
            for inner in ("type", "items", "values"):
                if isinstance(schema.get(inner), (dict, list)):
                    self.learn(schema[inner], space)

    def value(self, schema: Any, null: float = 0.3) -> Any:
        """A value that the schema takes; of a nullable one null with the given chance."""
        rng = self.rng
        if isinstance(schema, list):
            others = [branch for branch in schema if branch != "null"]
            if "null" in schema and (rng.random() < null or not others):
                return None
            return self.value(rng.choice(others), null)
        if isinstance(schema, str):
            return self.value(self.names[schema], null) if schema in self.names else self.primitive(schema)
        if schema.get("logicalType") == "date":
            return rng.choice(self.days)
        if schema.get("logicalType") == "timestamp-millis":
            return rng.choice(self.instants)
        kind = schema["type"]
        if kind == "enum":
            return rng.choice(schema["symbols"])
        if kind == "record":
            return self.record(schema, null)
        if kind == "array":
            return [self.value(schema["items"], null) for _ in range(rng.choice((0, 1, 2)))]
        if kind == "map":
            keys = rng.sample(STRINGS, k=rng.choice((0, 1, 2, 3)))
            return {key: self.value(schema["values"], null) for key in keys}
        return self.value(kind, null)

    def record(self, schema: dict[str, Any], null: float) -> dict[str, Any]:
        """A record; what has a default is left out now and then."""
        return {
            field["name"]: self.value(field["type"], null)
            for field in schema["fields"]
            if "default" not in field or self.rng.random() < 0.7
        }

    def primitive(self, kind: str) -> Any:
        """A value of a primitive type, its bounds included."""
        rng = self.rng
        if kind == "null":
            return None
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "int":
            return rng.choice((0, 1, 2, -1, (1 << 31) - 1, -(1 << 31)))
        if kind == "long":
            return rng.choice((0, 1, 100, 200, -5, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63)))
        if kind in ("double", "float"):
            return rng.choice((0.5, 1, 2.25, -3.0, 1e21, 1e-7) if kind == "double" else (0.5, 2.25, -3.0))
        return rng.choice(STRINGS)
