"""Fields of a contract or a view as ODCS properties: types, what they mean, what must hold of them."""

from __future__ import annotations

from collections.abc import Iterable

from ..avro_type import (
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
from ..catalogue import Contracts
from ..contract import Contract, IdentifierField
from ..identifiers import BUILT_IN

Json = dict[str, object]

_LOGICAL = {
    "date": "date",
    "time-millis": "time",
    "time-micros": "time",
    "timestamp-millis": "timestamp",
    "timestamp-micros": "timestamp",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
}
_PARTIAL = "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"


def contract_fields(contract: Contract, contracts: Contracts) -> list[Json]:
    """The fields of a contract, each with its annotation (E4) and the sensitivity of its attribute (E5)."""
    stated = {each.name: contracts.attributes[each.attribute] for each in contract.attributes}
    identifiers = {each.name: each for each in contract.identifiers}
    terms = {field: term for term, field in contract.terms.items()}
    rows = []
    for field in contract.codec.type.fields:
        row = described(field)
        if field.name in stated:
            attribute = stated[field.name]
            row |= {
                "classification": attribute.sensitivity,
                "tags": [f"attribute:{attribute.name}", f"category:{attribute.category}"],
            }
        elif field.name in identifiers:
            row |= _identifier(identifiers[field.name], contracts)
        elif field.name in terms:
            row["tags"] = [f"term:{terms[field.name]}"]
        elif field.name in (contract.item, contract.prior):
            row["tags"] = ["item" if field.name == contract.item else "prior"]
        else:
            row["tags"] = ["operational"]
        rows.append(row)
    return rows


def _identifier(identifier: IdentifierField, contracts: Contracts) -> Json:
    row: Json = {"tags": [f"identifier:{identifier.scheme}", f"role:{identifier.role}"]}
    built_in, declared = BUILT_IN.get(identifier.scheme), contracts.schemes.declared.get(identifier.scheme)
    if built_in is None and declared is None:
        return row
    pattern = built_in.pattern.pattern if built_in else declared.pattern if declared else ""
    quality: Json = {
        "metric": "invalidValues",
        "arguments": {"pattern": f"^(?:{pattern})$"},
        "mustBe": 0,
        "dimension": "conformity",
        "description": "After normalisation; a check digit must be right too. Intake rejects others (E7).",
    }
    return row | {"quality": [quality]}


def described(field: Field) -> Json:
    """One field: its name, its types, whether it may be null, and its values if they are listed."""
    row: Json = {"name": field.name} | _typed(field.type)
    row["required"] = not nullable(field.type)
    if field.doc:
        row["description"] = field.doc
    return row


def _typed(type_: AvroType) -> Json:
    """The logical and the physical type of a field, a list's item or a map's value."""
    match without_null(type_):
        case Primitive(logical="decimal") | Fixed(logical="decimal"):
            return {"logicalType": "number", "physicalType": "decimal"}
        case Primitive(logical=logical) if logical == PARTIAL_DATE:
            options: Json = {"pattern": _PARTIAL}
            return {"logicalType": "string", "physicalType": logical, "logicalTypeOptions": options}
        case Primitive(name=name, logical=logical):
            return {"logicalType": _LOGICAL.get(logical or name, "string"), "physicalType": logical or name}
        case Enum(symbols=symbols):
            return {"logicalType": "string", "physicalType": "enum", "quality": [_among(symbols)]}
        case Fixed():
            return {"logicalType": "string", "physicalType": "fixed"}
        case Array(items=items):
            return {"logicalType": "array", "physicalType": "array", "items": _typed(items)}
        case Record(fields=fields):
            return {
                "logicalType": "object",
                "physicalType": "record",
                "properties": [described(each) for each in fields],
            }
        case Map() | Union() as other:
            return {"physicalType": type(other).__name__.lower()}


def _among(symbols: Iterable[str]) -> Json:
    return {
        "metric": "invalidValues",
        "arguments": {"validValues": [*symbols]},
        "mustBe": 0,
        "dimension": "conformity",
    }
