"""The contracts directory (E5)."""

from pathlib import Path

import pytest

from schemas import ContractProblems, Reason, load_contracts, read_contracts
from schemas.avro_type import Primitive
from schemas.identifiers import Schemes
from tests.contracts_kit import ADDRESS, ADDRESS_TYPE, ATTRIBUTES, DATE, NAME, field, optional, record, write

CASES = Path(__file__).parents[1] / "cases" / "contracts"


def faults(directory: Path) -> set[tuple[str, str, Reason]]:
    with pytest.raises(ContractProblems) as caught:
        load_contracts(directory)
    return {(problem.file, problem.field, problem.reason) for problem in caught.value.problems}


def test_the_cases_contracts_are_read():
    """E5: contracts, attributes, authority, schemes."""
    contracts = load_contracts(CASES)
    assert len(contracts.by_type) == 21
    assert list(contracts.by_type) == sorted(contracts.by_type)
    benefit = contracts.attributes["benefit"]
    assert (benefit.category, benefit.sensitivity, benefit.items, benefit.trust) == (
        "money",
        "sensitive",
        True,
        ("dwp",),
    )
    assert contracts.attributes["practice"].avro_type == Primitive("string")
    assert contracts.attributes["practice"].sensitivity == "special-category"
    assert contracts.authority["gds"] == {("nino", "onelogin")}
    assert ("driver", "nino") in contracts.authority["dwp"]  # unordered: the smaller scheme first
    assert "ctax" in contracts.schemes
    assert contracts.directory == CASES


def test_history_and_packages_are_no_contracts(tmp_path: Path):
    """E5: `history/` holds what was; it is not published."""
    directory = write(tmp_path, {"a/b.v1.avsc": record(NAME), "history/uk.gov.a.b.v1/1.avsc": record()})
    assert list(load_contracts(directory).by_type) == ["uk.gov.a.b.v1"]


def use(type_: object) -> dict:
    return record(field("x", type_, {"attribute": "name"}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("string", optional("string")),
        (ADDRESS_TYPE, ADDRESS_TYPE | {"namespace": "elsewhere", "doc": "other words", "name": "Adresse"}),
        (
            ADDRESS_TYPE,
            ADDRESS_TYPE | {"fields": [*ADDRESS_TYPE["fields"][:2], field("authority", optional("string"))]},
        ),
        ({"type": "enum", "name": "A", "symbols": ["X"]}, {"type": "enum", "name": "B", "symbols": ["X"]}),
        ({"type": "string"}, "string"),
    ],
)
def test_one_type_may_be_spelt_in_several_ways(tmp_path: Path, one: object, other: object):
    """E5: names of types, docs, defaults and a null at the top are not the type."""
    load_contracts(write(tmp_path, {"a/b.v1.avsc": use(one), "a/c.v1.avsc": use(other)}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("string", "bytes"),
        ("int", "long"),
        ("int", DATE),
        ("string", {"type": "string", "logicalType": "partial-date"}),
        (
            {"type": "enum", "name": "A", "symbols": ["X"]},
            {"type": "enum", "name": "A", "symbols": ["X", "Y"]},
        ),
        ({"type": "array", "items": "string"}, {"type": "array", "items": optional("string")}),
        (ADDRESS_TYPE, ADDRESS_TYPE | {"fields": ADDRESS_TYPE["fields"][:2]}),
        (ADDRESS_TYPE, ADDRESS_TYPE | {"fields": ADDRESS_TYPE["fields"][::-1]}),
        (
            ADDRESS_TYPE,
            ADDRESS_TYPE
            | {"fields": [ADDRESS_TYPE["fields"][0] | {"name": "line"}, *ADDRESS_TYPE["fields"][1:]]},
        ),
        ({"type": "fixed", "name": "F", "size": 1}, {"type": "fixed", "name": "F", "size": 2}),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "string"}),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 4},
            {"type": "bytes", "logicalType": "decimal", "precision": 5},
        ),
    ],
)
def test_an_attribute_has_one_type_everywhere(tmp_path: Path, one: object, other: object):
    """E5, E6: the later use is refused, and says where the first one is."""
    directory = write(tmp_path, {"a/b.v1.avsc": use(one), "a/c.v1.avsc": use(other)})
    assert faults(directory) == {("a/c.v1.avsc", "x", Reason.ATTRIBUTE_TYPE)}
    assert "a/b.v1.avsc" in str(read_contracts(directory)[1][0])


def test_an_attribute_that_no_contract_states_has_no_type(tmp_path: Path):
    """E5: it may be declared before it is used."""
    contracts = load_contracts(write(tmp_path, {"a/b.v1.avsc": record(ADDRESS)}))
    assert contracts.attributes["name"].avro_type is None
    assert contracts.attributes["address"].avro_type is not None


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (
            {"attributes": "attributes: {n: {category: c}}"},
            ("attributes.yaml", "n.description", Reason.CATALOGUE_INVALID),
        ),
        (
            {"attributes": ATTRIBUTES.replace("standard", "secret", 1)},
            ("attributes.yaml", "name.sensitivity", Reason.CATALOGUE_INVALID),
        ),
        (
            {"attributes": ATTRIBUTES.replace("items: false", "items: no", 1)},
            ("attributes.yaml", "name.items", Reason.CATALOGUE_INVALID),
        ),
        (
            {"attributes": ATTRIBUTES.replace("[gro]", "gro")},
            ("attributes.yaml", "name.trust", Reason.CATALOGUE_INVALID),
        ),
        (
            {"attributes": ATTRIBUTES.replace("[gro]", "[GRO]")},
            ("attributes.yaml", "name.trust", Reason.CATALOGUE_INVALID),
        ),
        (
            {"attributes": ATTRIBUTES.replace("category: identity", "category: [a, b]")},
            ("attributes.yaml", "name.category", Reason.CATALOGUE_INVALID),
        ),
        (
            {"attributes": ATTRIBUTES.replace("description: Name,", "description: Name, colour: red,")},
            ("attributes.yaml", "name.colour", Reason.CATALOGUE_INVALID),
        ),
        (
            {"attributes": ATTRIBUTES + "  a-b: {category: c, description: d}\n"},
            ("attributes.yaml", "a-b", Reason.CATALOGUE_INVALID),
        ),
        ({"attributes": ATTRIBUTES + "other: 1\n"}, ("attributes.yaml", "other", Reason.CATALOGUE_INVALID)),
        ({"attributes": "attributes: [a]"}, ("attributes.yaml", "attributes", Reason.CATALOGUE_INVALID)),
        ({"attributes": "attributes: {a: 1}"}, ("attributes.yaml", "a", Reason.CATALOGUE_INVALID)),
        (
            {"attributes": ATTRIBUTES + "  name: {category: c, description: d}\n"},
            ("attributes.yaml", "", Reason.UNREADABLE),
        ),
        ({"attributes": "a: [b"}, ("attributes.yaml", "", Reason.UNREADABLE)),
        ({"authority": "dwp: [[nino]]"}, ("authority.yaml", "dwp", Reason.CATALOGUE_INVALID)),
        ({"authority": "dwp: [[nino, horse]]"}, ("authority.yaml", "dwp", Reason.UNKNOWN_SCHEME)),
        ({"authority": "dwp: nino"}, ("authority.yaml", "dwp", Reason.CATALOGUE_INVALID)),
        ({"authority": "DWP: []"}, ("authority.yaml", "DWP", Reason.CATALOGUE_INVALID)),
        (
            {"identifiers": "schemes: {nino: {description: d, owner: dwp, pattern: a}}"},
            ("identifiers.yaml", "nino", Reason.CATALOGUE_INVALID),
        ),
        (
            {"identifiers": "schemes: {x: {description: d, owner: dwp, pattern: '['}}"},
            ("identifiers.yaml", "x.pattern", Reason.CATALOGUE_INVALID),
        ),
        (
            {"identifiers": "schemes: {X: {description: d, owner: dwp, pattern: a}}"},
            ("identifiers.yaml", "X", Reason.CATALOGUE_INVALID),
        ),
        (
            {"identifiers": "schemes: {x: {description: d, owner: dwp, pattern: a, exclusive: 1}}"},
            ("identifiers.yaml", "x.exclusive", Reason.CATALOGUE_INVALID),
        ),
    ],
)
def test_the_tables_are_checked_row_by_row(tmp_path: Path, files: dict, fault: tuple):
    """E5: what is wrong in a table is said with its row and key."""
    assert fault in faults(write(tmp_path, {"a/b.v1.avsc": record()}, **files))


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"type": "record", "type": "enum"}'])
def test_a_contract_that_cannot_be_read_is_named(tmp_path: Path, text: str):
    """E6: the file and the reason, and the others are still read."""
    directory = write(tmp_path, {"a/b.v1.avsc": text, "a/c.v1.avsc": record()})
    contracts, problems = read_contracts(directory)
    assert list(contracts.by_type) == ["uk.gov.a.c.v1"]
    assert [problem.file for problem in problems] == ["a/b.v1.avsc"]


def test_a_missing_directory_is_a_problem(tmp_path: Path):
    """§8: a wrong path is said, not read as an empty catalogue."""
    assert faults(tmp_path / "nowhere") == {(str(tmp_path / "nowhere"), "", Reason.UNREADABLE)}


def test_what_a_row_leaves_out_has_a_default(tmp_path: Path):
    """E5: an attribute does not repeat and trusts nobody first; a scheme is not exclusive."""
    directory = write(
        tmp_path,
        {"a/b.v1.avsc": record()},
        attributes="attributes: {n: {category: c, description: d}}",
        identifiers="schemes: {x: {description: d, owner: dwp, pattern: '[0-9]+'}}",
    )
    contracts = load_contracts(directory)
    attribute = contracts.attributes["n"]
    assert (attribute.items, attribute.trust, attribute.sensitivity) == (False, (), "standard")
    assert "x" not in contracts.schemes.exclusive
    (directory / "identifiers.yaml").unlink()
    (directory / "authority.yaml").unlink()
    assert load_contracts(directory).authority == {}
    assert load_contracts(directory).schemes.names == Schemes({}).names
