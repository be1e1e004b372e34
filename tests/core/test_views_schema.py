"""The generated schemas of views (V1, C7, ADR 0010)."""

import copy
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import (
    Agreement,
    Attribute,
    ContractMismatch,
    Contracts,
    Grant,
    PlainCodec,
    ViewCodec,
    load_agreements,
    load_contracts,
    view_schema,
)
from schemas.avro_parse import parse
from schemas.avro_type import Record, without_null
from schemas.compatibility import full_obstacles
from schemas.identifiers import Schemes
from tests.avro_strategies import plain_values, schemas

CASES = Path(__file__).parents[1] / "cases"
CONTRACTS = load_contracts(CASES / "contracts")
AGREEMENTS = load_agreements(CASES / "agreements", CONTRACTS)
VIEW = {
    "address": {"postcode": "LS1 1AA", "authority": None},
    "benefit": [
        {"item": "pip", "value": {"weekly_pence": 100, "status": "AWARDED"}},
        {"item": "uc", "value": None},
    ],
    "practice": None,
}


@pytest.mark.parametrize("name", AGREEMENTS)
def test_only_permitted_fields_exist_and_each_is_nullable(name: str):
    """V1: the attributes of the agreement, their fields as narrowed, all nullable with default null."""
    schema = view_schema(AGREEMENTS[name], CONTRACTS)
    assert [each["name"] for each in fields_of(schema)] == [
        grant.attribute for grant in AGREEMENTS[name].attributes
    ]
    for record in records(schema):
        for each in record["fields"]:
            assert each["default"] is None
            assert each["type"][0] == "null"
    assert "postroom" not in json.dumps(schema).replace("uk.gov.postroom", "")
    assert str(AGREEMENTS[name].version) not in schema["namespace"]


def test_fields_narrow_a_record_also_inside_an_attribute_that_repeats():
    """C5, C7."""
    address = fields_of(view_schema(AGREEMENTS["leeds-housing"], CONTRACTS))[0]["type"][1]
    assert [each["name"] for each in address["fields"]] == ["postcode", "authority"]
    benefit = fields_of(view_schema(AGREEMENTS["york-tax"], CONTRACTS))[2]["type"][1]["items"]
    assert [each["name"] for each in benefit["fields"]] == ["item", "value"]
    assert [each["name"] for each in benefit["fields"][1]["type"][1]["fields"]] == ["weekly_pence"]


def test_a_list_has_no_absent_items_and_words_come_along():
    """ADR 0010: items stay as the contract has them; the catalogue's description is the field's doc."""
    address, licence = fields_of(view_schema(AGREEMENTS["dvla-contact"], CONTRACTS))
    assert address["type"][1]["fields"][0]["type"] == ["null", {"type": "array", "items": "string"}]
    assert (address["doc"], licence["doc"]) == ("Where the person lives", "Driving licence")
    assert "doc" not in address["type"][1]["fields"][0]


def test_a_view_goes_there_and_back_without_change():
    """C7: lists of {item, value}, narrowed records, null where denied or unknown."""
    codec = ViewCodec(AGREEMENTS["leeds-housing"], CONTRACTS)
    assert codec.decode(codec.encode(VIEW)) == VIEW
    nothing = dict.fromkeys(VIEW)
    assert codec.decode(codec.encode(nothing)) == nothing


def test_a_subscriber_reads_it_with_plain_fastavro_and_the_registered_schema():
    """V1: no code of ours is needed."""
    codec = ViewCodec(AGREEMENTS["hmrc-estates"], CONTRACTS)
    view = {"name": {"given": "Ann", "family": "Lee"}, "birth": "1990-06-02", "death": None, "employment": []}
    schema = json.loads(json.dumps(codec.schema))
    read = fastavro.schemaless_reader(io.BytesIO(codec.encode(view)), schema, None)
    assert read | {"birth": read["birth"].isoformat()} == view


def test_what_the_schema_does_not_name_does_not_get_out():
    """V1: only permitted fields exist in it, even if a stage forgot to narrow; what is missing is null."""
    codec = ViewCodec(AGREEMENTS["leeds-housing"], CONTRACTS)
    careless = {
        "address": {"postcode": "LS1", "lines": ["secret"]},
        "name": {"given": "Ann"},
        "benefit": [{"item": "uc", "value": {}}],
    }
    assert codec.decode(codec.encode(careless)) == {
        "address": {"postcode": "LS1", "authority": None},
        "benefit": [{"item": "uc", "value": {"weekly_pence": None, "status": None}}],
        "practice": None,
    }
    assert b"secret" not in codec.encode(careless)


def test_what_no_contract_states_yet_is_null_and_comes_with_its_contract():
    """C7, V1: a field more is a compatible change."""
    later = catalogue({"a": WIDE, "b": "string"})
    now = replace(later, attributes={**later.attributes, "b": replace(later.attributes["b"], avro_type=None)})
    codec = ViewCodec(agreement("a", "b"), now)
    assert [each["name"] for each in fields_of(codec.schema)] == ["a"]
    assert codec.decode(codec.encode({"a": None, "b": None})) == {"a": None, "b": None}
    assert full_obstacles(parse(view_schema(agreement("a", "b"), later)), parse(codec.schema)) == []


@pytest.mark.parametrize("view", [{"practice": 7}, {"benefit": {}}, {"address": {"postcode": b"LS1"}}, "x"])
def test_what_has_no_place_in_the_schema_is_a_mismatch_that_does_not_repeat_it(view: Any):
    """V1; an error never holds a value."""
    with pytest.raises(ContractMismatch, match="a view of the agreement") as caught:
        ViewCodec(AGREEMENTS["leeds-housing"], CONTRACTS).encode(view)
    assert caught.value.__suppress_context__


def test_no_name_of_a_type_comes_from_a_contract_and_none_clashes():
    """ADR 0010: attributes of one shape, records of one name in two attributes, nested ones too."""
    contracts = catalogue(
        {
            "a": WIDE,
            "b": WIDE,
            "a_b": {"type": "record", "name": "b", "fields": [{"name": "x", "type": "int"}]},
            "View": WIDE,
        },
        repeating={"b"},
    )
    schema = view_schema(agreement("a", "b", "a_b", "View"), contracts)
    PlainCodec(copy.deepcopy(schema))
    names = [f"{record['namespace']}.{record['name']}" for record in records(schema)]
    assert len(set(names)) == len(names)
    assert all(name.startswith("uk.gov.postroom.view.an_agreement.") for name in names)


WIDE = {
    "type": "record",
    "name": "Shared",
    "fields": [
        {"name": "x", "type": {"type": "record", "name": "Inner", "fields": [{"name": "y", "type": "int"}]}},
        {"name": "inner_again", "type": {"type": "array", "items": "Inner"}},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
        {"name": "es", "type": {"type": "array", "items": ["null", "E"]}},
        {"name": "f", "type": {"type": "fixed", "name": "F", "size": 2}},
        {
            "name": "d",
            "type": {
                "type": "fixed",
                "name": "D",
                "size": 4,
                "logicalType": "decimal",
                "precision": 6,
                "scale": 2,
            },
        },
        {"name": "u", "type": ["null", "string", "Inner", {"type": "array", "items": "E"}]},
        {"name": "p", "type": {"type": "string", "logicalType": "partial-date"}},
    ],
}


def test_an_enum_is_text_and_a_fixed_is_bytes():
    """ADR 0010: a department may add a symbol; a type never changes under its name."""
    record = fields_of(view_schema(agreement("a"), catalogue({"a": WIDE})))[0]["type"][1]
    types = {each["name"]: each["type"] for each in record["fields"]}
    assert types["e"] == ["null", "string"]
    assert types["es"] == ["null", {"type": "array", "items": ["null", "string"]}]
    assert types["f"] == ["null", "bytes"]
    assert types["d"][1]["logicalType"] == "decimal"
    assert types["p"][1] == {"type": "string", "logicalType": "partial-date"}
    more = copy.deepcopy(WIDE)
    more["fields"][2]["type"]["symbols"] = ["A", "B", "C"]
    before, after = (view_schema(agreement("a"), catalogue({"a": each})) for each in (WIDE, more))
    assert before == after


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_values_of_any_type_are_preserved_exactly(data: st.DataObject):
    """V1: whatever a contract states arrives as the same plain JSON."""
    type_ = data.draw(schemas())
    contracts = catalogue({"a": type_, "b": type_}, repeating={"b"})
    values = plain_values(type_)
    view = {
        "a": data.draw(st.none() | values),
        "b": data.draw(
            st.none() | st.lists(st.fixed_dictionaries({"item": st.just("i"), "value": values}), max_size=2)
        ),
    }
    codec = ViewCodec(agreement("a", "b"), contracts)
    assert json.dumps(codec.decode(codec.encode(view)), sort_keys=True) == json.dumps(view, sort_keys=True)
    content = {name: json.dumps(value).encode() for name, value in view.items() if value is not None}
    assert codec.encode_json(content) == codec.encode(view)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_two_versions_of_an_agreement_are_compatible(data: st.DataObject):
    """V1: attributes come and go, fields are narrowed and widened; fastavro really reads it."""
    types = {name: data.draw(schemas()) for name in ("a", "b")}
    contracts = catalogue(types, repeating={"b"})
    grants = st.lists(st.sampled_from("ab"), min_size=1, unique=True)
    one, other = (
        agreement(*(data.draw(narrowed(name, types[name])) for name in data.draw(grants))) for _ in range(2)
    )
    old, new = view_schema(one, contracts), view_schema(other, contracts)
    assert full_obstacles(parse(new), parse(old)) == []
    writer = ViewCodec(one, contracts)
    view = {
        grant.attribute: data.draw(st.none() | plain_values(types[grant.attribute]))
        for grant in one.attributes
        if grant.attribute == "a"
    }
    read = PlainCodec(new).decode(writer.encode(view), old)
    assert read.keys() == {grant.attribute for grant in other.attributes}


@pytest.mark.parametrize(
    ("one", "other"),
    [(one, other) for one in AGREEMENTS for other in AGREEMENTS if one < other],
)
def test_agreements_over_the_same_attributes_could_be_versions_of_each_other(one: str, other: str):
    """V1, with the real types of the cases."""
    renamed = replace(AGREEMENTS[other], agreement=one)
    new, old = (parse(view_schema(each, CONTRACTS)) for each in (renamed, AGREEMENTS[one]))
    assert full_obstacles(new, old) == []


def fields_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return schema["fields"]


def records(schema: Any) -> list[dict[str, Any]]:
    """Every record in a schema."""
    if isinstance(schema, list):
        return [record for each in schema for record in records(each)]
    if not isinstance(schema, dict):
        return []
    inner = [schema.get("items"), schema.get("values"), *(each["type"] for each in schema.get("fields", []))]
    return ([schema] if schema.get("type") == "record" else []) + records(inner)


def catalogue(types: dict[str, Any], repeating: frozenset[str] | set[str] = frozenset()) -> Contracts:
    attributes = {
        name: Attribute(name, "c", "words", "standard", name in repeating, (), parse(type_))
        for name, type_ in types.items()
    }
    return Contracts({}, attributes, {}, Schemes({}), Path())


def agreement(*grants: str | Grant) -> Agreement:
    attributes = tuple(grant if isinstance(grant, Grant) else Grant(grant, None) for grant in grants)
    return replace(AGREEMENTS["leeds-housing"], agreement="an-agreement", attributes=attributes)


def narrowed(name: str, type_: Any) -> st.SearchStrategy[Grant]:
    tree = without_null(parse(type_))
    assert isinstance(tree, Record)
    names = [each.name for each in tree.fields]
    some = st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple)
    return (st.none() | some).map(lambda fields: Grant(name, fields))
