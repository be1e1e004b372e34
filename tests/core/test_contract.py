"""The annotation language of contracts (E4), fault by fault."""

from pathlib import Path

import pytest

from schemas import (
    ContractMismatch,
    Kind,
    Role,
    Schemes,
    parse_duration,
)
from schemas.contract import AttributeField, IdentifierField
from tests.contract_file_kit import CONSENT, OTHER, PATH, TEXT_OR_NULL, load
from tests.contracts_kit import ADDRESS, BENEFIT, DATE, ITEM, SUBJECT, field, optional, record


def test_a_contract_says_what_its_schema_says(tmp_path: Path):
    """E4: every part of a fact."""
    schema = record(
        field("account", "string", {"identifier": "*", "role": "subject", "schemes": ["nino", "utr"]}),
        field("nhs", TEXT_OR_NULL, {"identifier": "nhs", "role": "same-person"}, default=None),
        field("new", "string", {"identifier": "nino", "role": "superseded-by"}),
        field("name", TEXT_OR_NULL, {"attribute": "name"}, default=None),
        field("from", DATE, {"term": "effective"}),
        field("to", optional(DATE), {"term": "until"}, default=None),
        field("prior", TEXT_OR_NULL, {"prior": True}, default=None),
        field("note", "bytes", {"operational": True}),
        owners=("dwp", "hmrc"),
        retention="P7Y",
    )
    contract = load(tmp_path, schema)
    assert (contract.type, contract.domain, contract.fact, contract.version) == (
        "uk.gov.civil.name.v2",
        "civil",
        "name",
        2,
    )
    assert (contract.owners, contract.kind, contract.doc, contract.path) == (
        {"dwp", "hmrc"},
        Kind.FACT,
        "d",
        PATH,
    )
    assert contract.retention == parse_duration("P7Y")
    assert contract.subject == IdentifierField(
        "account", "*", Role.SUBJECT, frozenset({"nino", "utr"}), False
    )
    assert contract.links == (
        IdentifierField("nhs", "nhs", Role.SAME_PERSON, None, True),
        IdentifierField("new", "nino", Role.SUPERSEDED_BY, None, False),
    )
    assert contract.other is None
    assert contract.attributes == (AttributeField("name", "name"),)
    assert (contract.item, contract.prior) == (None, "prior")
    assert contract.terms == {"effective": "from", "until": "to"}
    assert contract.schema == schema


def test_an_attribute_may_be_a_term_as_well(tmp_path: Path):
    """E4: a date of birth is both."""
    contract = load(tmp_path, record(field("born", DATE, {"attribute": "name", "term": "effective"})))
    assert contract.attributes == (AttributeField("born", "name"),)
    assert contract.terms == {"effective": "born"}


@pytest.mark.parametrize(
    "type_",
    [
        DATE,
        optional(DATE),
        {"type": "long", "logicalType": "timestamp-millis"},
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "string", "logicalType": "partial-date"},
    ],
)
def test_a_moment_is_a_date_a_partial_date_or_a_timestamp(tmp_path: Path, type_: object):
    """E4, §1."""
    assert load(tmp_path, record(field("from", type_, {"term": "effective"}))).terms == {"effective": "from"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("fact", ()),
        ("fact", (ITEM, BENEFIT)),
        ("annulment", (field("event", "string", {"prior": True}),)),
        ("link", (OTHER,)),
        ("unlink", (OTHER,)),
        ("unlink", (OTHER, field("event", "string", {"prior": True}))),
        ("consent", CONSENT),
        ("consent", (*CONSENT, field("event", TEXT_OR_NULL, {"prior": True}))),
        (
            "consent",
            (
                *CONSENT,
                field("from", optional(DATE), {"term": "valid_from"}),
                field("to", DATE, {"term": "valid_until"}),
                field("why", TEXT_OR_NULL, {"term": "evidence"}),
            ),
        ),
        (
            "consent",
            (
                *CONSENT[:2],
                field(
                    "categories",
                    {
                        "type": "array",
                        "items": {"type": "enum", "name": "C", "symbols": ["identity", "money"]},
                    },
                    {"term": "categories"},
                ),
                CONSENT[3],
            ),
        ),
        (
            "objection",
            (
                *CONSENT[:2],
                field(
                    "state",
                    {"type": "enum", "name": "S", "symbols": ["OBJECTED", "LIFTED"]},
                    {"term": "state"},
                ),
            ),
        ),
        (
            "restriction",
            (field("state", {"type": "enum", "name": "S", "symbols": ["RESTRICTED"]}, {"term": "state"}),),
        ),
        (
            "enrolment",
            (
                field("agreement", "string", {"term": "agreement"}),
                field(
                    "state",
                    {"type": "enum", "name": "S", "symbols": ["ENROLLED", "ENDED"]},
                    {"term": "state"},
                ),
            ),
        ),
        ("consent", (*CONSENT, field("also", TEXT_OR_NULL, {"identifier": "nhs", "role": "same-person"}))),
    ],
)
def test_each_kind_has_its_own_terms(tmp_path: Path, kind: str, fields: tuple):
    """E4, §5; an identifier of the same person may stand in any kind."""
    assert load(tmp_path, record(*fields, kind=kind)).kind == kind


def test_data_of_a_contract_goes_both_ways(tmp_path: Path):
    """E2, E3: from_json fills defaults; Avro gives the same; a mismatch says where."""
    contract = load(tmp_path, record(ADDRESS, field("since", DATE, {"term": "effective"})))
    plain = contract.from_json(
        {"nino": "AB123456C", "address": {"lines": [], "postcode": "LS1"}, "since": "2026-01-01"}
    )
    assert plain["address"] == {"lines": [], "postcode": "LS1", "authority": None}
    assert contract.from_avro(contract.to_avro(plain)) == plain
    assert contract.from_avro(contract.to_avro(plain), contract.schema) == plain
    with pytest.raises(ContractMismatch, match=r"\$\.address\.postcode"):
        contract.from_json({"nino": "AB123456C", "address": {"lines": []}, "since": "2026-01-01"})


def test_every_identifier_that_no_scheme_takes_is_found(tmp_path: Path):
    """E4, I1: each field by its name, without the value; a link that is null says nothing."""
    schema = record(
        field("account", "string", {"identifier": "*", "role": "subject", "schemes": ["nino", "utr"]}),
        field("nhs", TEXT_OR_NULL, {"identifier": "nhs", "role": "same-person"}, default=None),
        field("new", "string", {"identifier": "nino", "role": "superseded-by"}),
        field("name", TEXT_OR_NULL, {"attribute": "name"}, default=None),
    )
    contract, schemes = load(tmp_path, schema), Schemes({})

    def found(**data: object) -> dict[str, str]:
        return {name: str(invalid) for name, invalid in contract.invalid_identifiers(data, schemes)}

    assert [each.name for each in contract.identifiers] == ["account", "nhs", "new"]
    assert found(account="nino:AB123456C", nhs=None, new="ab 12 34 56 c", name="x") == {}
    wrong = found(account="nhs:9912003888", nhs="9912003889", new="AB123456", name="x")
    assert wrong == {
        "account": "nhs: a scheme that this field does not take",
        "nhs": "nhs: not ten digits with a valid check digit",
        "new": "nino: not the shape of a National Insurance number",
    }
    assert found(account=7, new="ab 12 34 56 c") == {}


def test_the_other_side_of_a_link_is_an_identifier_as_well(tmp_path: Path):
    """E4: the role `other` is looked at as the subject is."""
    schema = record(SUBJECT, OTHER, kind="link")
    contract = load(tmp_path, schema, "matching/link.v1.avsc")
    assert contract.linking == (contract.other,)
    assert contract.identifiers == (contract.subject, contract.other)
    data = {contract.subject.name: "AB123456C", "other": "1"}
    assert [name for name, _ in contract.invalid_identifiers(data, Schemes({}))] == ["other"]
