"""Contracts as the peers read them."""

from __future__ import annotations

from typing import Any


def plain(schema: Any) -> Any:
    """The schema without annotations and logical types: a day stays the number that it is on the wire."""
    if isinstance(schema, dict):
        return {name: plain(part) for name, part in schema.items() if name not in ("logicalType", "postroom")}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema
