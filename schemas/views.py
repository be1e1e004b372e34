"""The Avro schema of an agreement's view, generated so that any two versions of an agreement agree (V1, ADR
0010).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from .agreement import Agreement, Grant
from .avro import ContractMismatch, PlainCodec
from .avro_type import Array, AvroType, Enum, Fixed, Map, Primitive, Record, Union, without_null
from .avro_writer import Writer, compile_writer
from .catalogue import Attribute, Contracts
from .plain_containers import Plain

NAMESPACE = "uk.gov.postroom.view"

Schema = dict[str, object]

_decode_json = msgspec.json.Decoder().decode


def view_schema(agreement: Agreement, contracts: Contracts) -> Schema:
    """The record schema of `view.<agreement>`: a nullable field with default null for each attribute (V1).

    Nothing in it depends on the agreement's version or on the names in the contracts: a type's name is the
    path to it. Docs may change; types under their names do not.
    """
    own = f"{NAMESPACE}.{agreement.agreement.replace('-', '_')}"
    return {
        "type": "record",
        "name": "View",
        "namespace": own,
        "doc": f"What {agreement.subscriber} may see of one person for {agreement.purpose}.",
        # What no contract states yet has no type: its field comes with the contract, which is compatible.
        "fields": [
            _attribute_field(grant, attribute.avro_type, attribute, own)
            for grant in agreement.attributes
            if (attribute := contracts.attributes[grant.attribute]).avro_type is not None
        ],
    }


def _attribute_field(grant: Grant, type_: AvroType, attribute: Attribute, namespace: str) -> Schema:
    path = f"{namespace}.attribute.{grant.attribute}"
    if not attribute.items:
        return _field(grant.attribute, generate(type_, path, grant.fields), attribute.description)
    fields = [
        _field("item", "string", "Which one."),
        _field("value", generate(type_, f"{path}.value", grant.fields), ""),
    ]
    row = _record(path, fields)
    return _field(grant.attribute, {"type": "array", "items": row}, attribute.description)


def _field(name: str, type_: object, doc: str) -> Schema:
    branches: list[object] = ["null", *(type_ if isinstance(type_, list) else [type_])]
    field: Schema = {"name": name, "type": branches, "default": None}
    return field | {"doc": doc} if doc else field


def _record(path: str, fields: list[Schema]) -> Schema:
    namespace, _, name = path.rpartition(".")
    return {"type": "record", "name": name, "namespace": namespace, "fields": fields}


def generate(type_: AvroType, path: str, only: tuple[str, ...] | None = None) -> object:
    """A contract's type as a view has it: no enums and no fixed, because their symbols and sizes would be
    promises about types that departments own; every field of a record nullable; unions without their null.
    """
    match without_null(type_):
        case Primitive(name=name, logical=None):
            return name
        case Primitive(name="bytes") | Fixed(logical="decimal") as decimal:
            return _decimal(decimal.precision, decimal.scale)
        case Primitive(name=name, logical=logical):
            return {"type": name, "logicalType": logical}
        case Enum():
            return "string"
        case Fixed():
            return "bytes"
        case Array(items=items):
            return {"type": "array", "items": _nullable_part(items, path)}
        case Map(values=values):
            return {"type": "map", "values": _nullable_part(values, path)}
        case Union(branches=branches):
            return [generate(branch, f"{path}.{_branch_name(branch)}") for branch in branches]
        case Record(fields=fields):
            shown = [each for each in fields if only is None or each.name in only]
            return _record(
                path,
                [_field(each.name, generate(each.type, f"{path}.{each.name}"), each.doc) for each in shown],
            )


def _nullable_part(type_: AvroType, path: str) -> object:
    """An item of a list or a value of a map: as it is, with its null if it has one."""
    generated = generate(type_, path)
    if without_null(type_) == type_:
        return generated
    return ["null", *(generated if isinstance(generated, list) else [generated])]


def _decimal(precision: int, scale: int) -> Schema:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def _branch_name(branch: AvroType) -> str:
    return branch.name.rpartition(".")[2] if isinstance(branch, Record) else type(branch).__name__.lower()


class ViewCodec:
    """Writes and reads the views of one agreement, plain JSON on one side, Avro binary on the other (C7)."""

    def __init__(self, agreement: Agreement, contracts: Contracts) -> None:
        self.schema = view_schema(agreement, contracts)
        self._codec, self._write = _compiled(json.dumps(self.schema))
        self._unknown = {
            grant.attribute: None
            for grant in agreement.attributes
            if contracts.attributes[grant.attribute].avro_type is None
        }

    def encode(self, view: Mapping[str, object]) -> bytes:
        """Avro binary of a view. What the schema does not name is left out and what is missing is null: a
        value kept since an earlier contract never stops a view, and nothing unpermitted gets through.
        """
        try:
            return self._write(view)
        except Exception:  # its message may hold a value
            raise ContractMismatch((("$", "a view of the agreement"),)) from None

    def encode_json(self, content: Mapping[str, bytes]) -> bytes:
        """As `encode`, of attributes that are JSON each; one that is absent is null."""
        return self.encode({name: _decode_json(value) for name, value in content.items()})

    def decode(self, body: bytes) -> Plain:
        """The plain JSON of a view; ContractMismatch."""
        return self._codec.decode(body) | self._unknown


@lru_cache(maxsize=1024)
def _compiled(schema: str) -> tuple[PlainCodec, Writer]:
    """What a view's schema compiles to, once a schema: new rules leave most as they were, and a worker
    that takes them up stands still meanwhile (V9).
    """
    codec = PlainCodec(json.loads(schema))
    return codec, compile_writer(codec.type, fitting=True)
