"""A readable page of every contract: who publishes it, what each field means, and an example (E4)."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable

from .avro_type import (
    PARTIAL_DATE,
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    Union,
    nullable,
    without_null,
)
from .catalogue import Contracts
from .contract import Contract, IdentifierField, Kind
from .identifiers import BUILT_IN
from .pattern_example import example_of

_SPELT = {
    "date": "date `YYYY-MM-DD`",
    PARTIAL_DATE: "date, or only `YYYY-MM` or `YYYY`",
    "time-millis": "time",
    "time-micros": "time",
    "timestamp-millis": "timestamp (RFC 3339)",
    "timestamp-micros": "timestamp (RFC 3339)",
    "uuid": "UUID",
    "string": "text",
    "int": "whole number",
    "long": "whole number",
    "float": "number",
    "double": "number",
    "boolean": "true or false",
    "bytes": "bytes (base64)",
}
_UNDOES = {Kind.ANNULMENT: "annuls", Kind.FACT: "corrects"}
_EXAMPLES: dict[str, object] = {
    "date": "2026-06-01",
    PARTIAL_DATE: "1986-05",
    "time-millis": "09:30:00",
    "time-micros": "09:30:00",
    "timestamp-millis": "2026-06-01T09:30:00Z",
    "timestamp-micros": "2026-06-01T09:30:00Z",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "string": "text",
    "int": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "boolean": True,
    "bytes": "",
    "null": None,
}


def page(contracts: Contracts, types: Iterable[str] | None = None) -> str:
    """The Markdown page of the contracts of some types, or of all."""
    chosen = [contract for name, contract in contracts.by_type.items() if types is None or name in set(types)]
    parts = ["# Contracts", ""]
    parts += [f"- [{contract.type}](#{_anchor(contract.type)}): {contract.doc}" for contract in chosen]
    for contract in chosen:
        parts += ["", *_section(contract, contracts)]
    return "\n".join(parts) + "\n"


def _section(contract: Contract, contracts: Contracts) -> list[str]:
    owners = ", ".join(f"`{owner}`" for owner in sorted(contract.owners))
    said = contract.schema.get("postroom")
    retention = said.get("retention") if isinstance(said, dict) else ""
    return [
        f"## {contract.type}",
        "",
        contract.doc,
        "",
        f"Published by {owners}. Kind `{contract.kind}`, kept for `{retention}`. Topic `{contract.type}`, "
        f"subject `{contract.type}-value`.",
        "",
        "| field | type | what it means |",
        "| --- | --- | --- |",
        *(_row(field, contract, contracts) for field in contract.codec.type.fields),
        "",
        "```json",
        json.dumps(example(contract, contracts), ensure_ascii=False),
        "```",
    ]


def _row(field: Field, contract: Contract, contracts: Contracts) -> str:
    optional = ", may be left out" if field.has_default else ", may be null" if nullable(field.type) else ""
    words = ". ".join(filter(None, (meaning(field.name, contract, contracts), field.doc.rstrip("."))))
    return f"| `{field.name}` | {spelt(field.type)}{optional} | {_cell(words)} |"


def meaning(name: str, contract: Contract, contracts: Contracts) -> str:
    """What a field is to its contract (E4), in words."""
    for identifier in contract.identifiers:
        if identifier.name == name:
            return f"**{identifier.role}**: {_scheme(identifier, contracts)}"
    words = [
        f"attribute **{each.attribute}** ({contracts.attributes[each.attribute].category})"
        for each in contract.attributes
        if each.name == name
    ]
    words += [f"term **{term}**" for term, field in contract.terms.items() if field == name]
    if name == contract.item:
        words.append("**item**: which one of an attribute that repeats")
    if name == contract.prior:
        undoes = _UNDOES.get(contract.kind, "names, which is for the reader alone")
        words.append(f"**prior**: the id of the earlier event that this one {undoes}")
    return ", ".join(words) or "operational: never enters the record"


def _scheme(identifier: IdentifierField, contracts: Contracts) -> str:
    declared = contracts.schemes.declared.get(identifier.scheme)
    if declared is not None:
        return f"a `{identifier.scheme}` ({declared.description.rstrip('.')}, `{declared.pattern}`)"
    if identifier.scheme != "*":
        return f"a `{identifier.scheme}`"
    if identifier.schemes is None:
        return "`scheme:value` of any scheme"
    return "`scheme:value` of " + ", ".join(f"`{scheme}`" for scheme in sorted(identifier.schemes))


def spelt(type_: AvroType) -> str:
    """A type in words."""
    match without_null(type_):
        case (
            Primitive(logical="decimal", precision=precision, scale=scale)
            | Fixed(logical="decimal", precision=precision, scale=scale)
        ):
            return f"decimal text of {precision} digits, {scale} of them decimals"
        case Primitive(name=name, logical=logical):
            return _SPELT.get(logical or name, name)
        case Enum(symbols=symbols):
            return "one of " + ", ".join(f"`{symbol}`" for symbol in symbols)
        case Fixed(size=size):
            return f"{size} bytes (base64)"
        case Array(items=items):
            return f"list of {spelt(items)}"
        case Map(values=values):
            return f"names with {spelt(values)}"
        case Record(fields=fields):
            return "object of " + ", ".join(f"`{each.name}` ({spelt(each.type)})" for each in fields)
        case Union(branches=branches):
            return " or ".join(map(spelt, branches))


def example(contract: Contract, contracts: Contracts) -> dict[str, object]:
    """An event of a contract that its gate would take, about nobody."""
    data = {each.name: _example_value(each.type) for each in contract.codec.type.fields}
    for identifier in contract.identifiers:
        data[identifier.name] = _example_identifier(identifier, contracts)
    if contract.kind is Kind.FACT and contract.prior is not None:
        data[contract.prior] = None  # an event that corrects nothing
    return {
        "specversion": "1.0",
        "id": "example-1",
        "source": f"urn:gov:{min(contract.owners)}:example",
        "type": contract.type,
        "time": "2026-06-01T09:30:00Z",
        "data": data,
    }


def _example_identifier(identifier: IdentifierField, contracts: Contracts) -> str | None:
    scheme = identifier.scheme
    if scheme == "*":
        scheme = min(identifier.schemes or ("nino",), key=contracts.schemes.rank)
    value = BUILT_IN[scheme].example if scheme in BUILT_IN else None
    if value is None:
        pattern = contracts.schemes.declared[scheme].pattern
        value = example_of(pattern)
        if value is None:  # it defies guessing
            return None if identifier.nullable else f"(a {scheme}: {pattern})"
    return f"{scheme}:{value}" if identifier.scheme == "*" else value


def _example_value(type_: AvroType) -> object:
    match without_null(type_):
        case Primitive(logical="decimal", scale=scale) | Fixed(logical="decimal", scale=scale):
            return "0" + ("." + "0" * scale if scale else "")
        case Primitive(name=name, logical=logical):
            return _EXAMPLES[logical or name]
        case Enum(symbols=symbols):
            return symbols[0]
        case Fixed(size=size):
            return b64encode(bytes(size)).decode()
        case Array(items=items):
            return [_example_value(items)]
        case Map(values=values):
            return {"name": _example_value(values)}
        case Record(fields=fields):
            return {each.name: _example_value(each.type) for each in fields}
        case Union(branches=branches):
            return _example_value(branches[0])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _anchor(heading: str) -> str:
    return "".join(c for c in heading.lower() if c.isalnum() or c in "-_ ").replace(" ", "-")
