"""The annotation language of contracts (E4), fault by fault."""

from pathlib import Path

import pytest

from schemas import (
    ContractMismatch,
    ContractProblems,
    Kind,
    Reason,
    Role,
    Schemes,
    load_contracts,
    parse_duration,
)
from schemas.contract import AttributeField, Contract, IdentifierField
from tests.contracts_kit import ADDRESS, BENEFIT, DATE, ITEM, NAME, SUBJECT, field, optional, record, write

PATH = "civil/name.v2.avsc"
TEXT_OR_NULL = optional("string")
OTHER = field("other", "string", {"identifier": "nhs", "role": "other"})
STATE = {"type": "enum", "name": "S", "symbols": ["GRANTED", "WITHDRAWN"]}
CONSENT = (
    field("subscriber", "string", {"term": "subscriber"}),
    field("purpose", "string", {"term": "purpose"}),
    field("categories", {"type": "array", "items": "string"}, {"term": "categories"}, default=[]),
    field("state", STATE, {"term": "state"}),
)


def load(tmp_path: Path, schema: dict, path: str = PATH) -> Contract:
    return next(iter(load_contracts(write(tmp_path, {path: schema})).by_type.values()))


def faults(tmp_path: Path, schema: dict, path: str = PATH) -> set[tuple[str, Reason]]:
    with pytest.raises(ContractProblems) as caught:
        load_contracts(write(tmp_path, {path: schema}))
    assert {problem.file for problem in caught.value.problems} == {path}
    assert all(problem.why and problem.mend in str(problem) for problem in caught.value.problems)
    return {(problem.field, problem.reason) for problem in caught.value.problems}


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


FAULTY = [
    ("no annotation", record(field("x", "string")), ("x", Reason.ANNOTATION_MISSING)),
    (
        "two forms",
        record(field("x", "string", {"item": True, "prior": True})),
        ("x", Reason.ANNOTATION_INVALID),
    ),
    ("no form", record(field("x", "string", {})), ("x", Reason.ANNOTATION_INVALID)),
    ("a text", record(field("x", "string", "operational")), ("x", Reason.ANNOTATION_INVALID)),
    ("an unknown form", record(field("x", "string", {"secret": True})), ("x", Reason.ANNOTATION_INVALID)),
    (
        "a form and more",
        record(field("x", "string", {"operational": True, "y": 1})),
        ("x", Reason.ANNOTATION_INVALID),
    ),
    ("not true", record(field("x", "string", {"operational": False})), ("x", Reason.ANNOTATION_INVALID)),
    (
        "operational term",
        record(field("x", DATE, {"operational": True, "term": "until"})),
        ("x", Reason.ANNOTATION_INVALID),
    ),
    ("no role", record(field("x", "string", {"identifier": "nhs"})), ("x", Reason.ANNOTATION_INVALID)),
    (
        "a role alone",
        record(field("x", "string", {"operational": True, "role": "other"})),
        ("x", Reason.ANNOTATION_INVALID),
    ),
    (
        "unknown role",
        record(field("x", "string", {"identifier": "nhs", "role": "boss"})),
        ("x", Reason.ROLE_MISPLACED),
    ),
    (
        "unknown scheme",
        record(field("x", "string", {"identifier": "horse", "role": "same-person"})),
        ("x", Reason.UNKNOWN_SCHEME),
    ),
    (
        "a scheme that is no text",
        record(field("x", "string", {"identifier": 7, "role": "same-person"})),
        ("x", Reason.UNKNOWN_SCHEME),
    ),
    (
        "unknown scheme in schemes",
        record(field("x", "string", {"identifier": "*", "role": "same-person", "schemes": ["horse"]})),
        ("x", Reason.UNKNOWN_SCHEME),
    ),
    (
        "schemes without *",
        record(field("x", "string", {"identifier": "nhs", "role": "same-person", "schemes": ["nhs"]})),
        ("x", Reason.ANNOTATION_INVALID),
    ),
    (
        "empty schemes",
        record(field("x", "string", {"identifier": "*", "role": "same-person", "schemes": []})),
        ("x", Reason.ANNOTATION_INVALID),
    ),
    (
        "no subject",
        record(field("x", "string", {"identifier": "nhs", "role": "subject"}))
        | {"fields": [field("x", "string", {"operational": True})]},
        ("", Reason.SUBJECT_MISSING),
    ),
    (
        "two subjects",
        record(SUBJECT, field("x", "string", {"identifier": "nhs", "role": "subject"})),
        ("x", Reason.SUBJECT_REPEATED),
    ),
    (
        "a null subject",
        record(field("x", TEXT_OR_NULL, {"identifier": "nhs", "role": "subject"})),
        ("x", Reason.FIELD_TYPE),
    ),
    (
        "a numeric subject",
        record(field("x", "long", {"identifier": "nhs", "role": "subject"})),
        ("x", Reason.FIELD_TYPE),
    ),
    (
        "an array of links",
        record(
            field("x", {"type": "array", "items": "string"}, {"identifier": "nhs", "role": "same-person"})
        ),
        ("x", Reason.FIELD_TYPE),
    ),
    ("other in a fact", record(OTHER), ("other", Reason.ROLE_MISPLACED)),
    ("no other", record(kind="link"), ("", Reason.OTHER_MISSING)),
    ("two others", record(OTHER, OTHER | {"name": "o2"}, kind="unlink"), ("o2", Reason.ROLE_MISPLACED)),
    ("a null other", record(OTHER | {"type": TEXT_OR_NULL}, kind="link"), ("other", Reason.FIELD_TYPE)),
    (
        "unknown attribute",
        record(field("x", "string", {"attribute": "shoes"})),
        ("x", Reason.UNKNOWN_ATTRIBUTE),
    ),
    ("an attribute twice", record(NAME, NAME | {"name": "x"}), ("x", Reason.ATTRIBUTE_REPEATED)),
    ("an attribute in a link", record(OTHER, NAME, kind="link"), ("name", Reason.ATTRIBUTE_MISPLACED)),
    ("unknown term", record(field("x", DATE, {"term": "whenever"})), ("x", Reason.UNKNOWN_TERM)),
    ("a term of another kind", record(field("x", "string", {"term": "purpose"})), ("x", Reason.UNKNOWN_TERM)),
    (
        "a moment in a link",
        record(OTHER, field("x", DATE, {"term": "effective"}), kind="link"),
        ("x", Reason.UNKNOWN_TERM),
    ),
    (
        "a term twice",
        record(field("x", DATE, {"term": "until"}), field("y", DATE, {"term": "until"})),
        ("y", Reason.ATTRIBUTE_REPEATED),
    ),
    ("a moment that is text", record(field("x", "string", {"term": "until"})), ("x", Reason.FIELD_TYPE)),
    ("a moment that is a number", record(field("x", "long", {"term": "until"})), ("x", Reason.FIELD_TYPE)),
    (
        "an attribute that is no moment",
        record(field("x", "string", {"attribute": "name", "term": "until"})),
        ("x", Reason.FIELD_TYPE),
    ),
    (
        "a state that is text",
        record(*CONSENT[:3], field("state", "string", {"term": "state"}), kind="consent"),
        ("state", Reason.FIELD_TYPE),
    ),
    (
        "a state of another kind",
        record(field("state", STATE, {"term": "state"}), kind="restriction"),
        ("state", Reason.FIELD_TYPE),
    ),
    (
        "a null purpose",
        record(CONSENT[0], field("purpose", TEXT_OR_NULL, {"term": "purpose"}), *CONSENT[2:], kind="consent"),
        ("purpose", Reason.FIELD_TYPE),
    ),
    (
        "one category",
        record(*CONSENT[:2], field("c", "string", {"term": "categories"}), CONSENT[3], kind="consent"),
        ("c", Reason.FIELD_TYPE),
    ),
    (
        "unknown category",
        record(
            *CONSENT[:2],
            field(
                "c",
                {"type": "array", "items": {"type": "enum", "name": "C", "symbols": ["identity", "shoes"]}},
                {"term": "categories"},
            ),
            CONSENT[3],
            kind="consent",
        ),
        ("c", Reason.UNKNOWN_CATEGORY),
    ),
    *(
        (
            f"no {CONSENT[i]['name']}",
            record(*CONSENT[:i], *CONSENT[i + 1 :], kind="consent"),
            ("", Reason.TERM_MISSING),
        )
        for i in range(4)
    ),
    ("no item", record(BENEFIT), ("", Reason.ITEM)),
    ("an item without need", record(ITEM, NAME), ("claim", Reason.ITEM)),
    ("an item without attribute", record(ITEM), ("claim", Reason.ITEM)),
    ("two items", record(ITEM, ITEM | {"name": "x"}, BENEFIT), ("x", Reason.ITEM)),
    ("a null item", record(ITEM | {"type": TEXT_OR_NULL}, BENEFIT), ("claim", Reason.FIELD_TYPE)),
    ("some attributes repeat", record(ITEM, BENEFIT, NAME), ("award", Reason.ITEM)),
    ("an annulment of nothing", record(kind="annulment"), ("", Reason.PRIOR)),
    (
        "an annulment of null",
        record(field("p", TEXT_OR_NULL, {"prior": True}), kind="annulment"),
        ("p", Reason.PRIOR),
    ),
    (
        "two priors in a consent",
        record(
            *CONSENT,
            field("p", TEXT_OR_NULL, {"prior": True}),
            field("q", TEXT_OR_NULL, {"prior": True}),
            kind="consent",
        ),
        ("q", Reason.PRIOR),
    ),
    (
        "two priors",
        record(field("p", TEXT_OR_NULL, {"prior": True}), field("q", "string", {"prior": True})),
        ("q", Reason.PRIOR),
    ),
    ("a numeric prior", record(field("p", "long", {"prior": True})), ("p", Reason.FIELD_TYPE)),
    ("no owners", record(owners=()), ("", Reason.OWNERS_MISSING)),
    ("a bad owner", record(owners=("DWP",)), ("", Reason.OWNERS_MISSING)),
    ("no retention", record(retention=None), ("", Reason.RETENTION_MISSING)),
    ("a bad retention", record(retention="7 years"), ("", Reason.RETENTION_MISSING)),
    ("unknown kind", record(kind="rumour"), ("", Reason.UNKNOWN_KIND)),
    ("unknown key", record(colour="red"), ("", Reason.ANNOTATION_INVALID)),
    ("bad Avro", record(field("x", "strin", {"operational": True})), ("x", Reason.SCHEMA_INVALID)),
]


@pytest.mark.parametrize(("schema", "fault"), [row[1:] for row in FAULTY], ids=[row[0] for row in FAULTY])
def test_the_gate_names_the_field_and_the_reason(tmp_path: Path, schema: dict, fault: tuple[str, Reason]):
    """E4, E6: exactly this fault and no other."""
    assert faults(tmp_path, schema) == {fault}


def test_a_record_without_annotation_lacks_everything(tmp_path: Path):
    """E6: all problems at once."""
    schema = record(SUBJECT)
    del schema["postroom"]
    assert faults(tmp_path, schema) == {("", Reason.OWNERS_MISSING), ("", Reason.RETENTION_MISSING)}


@pytest.mark.parametrize(
    "path",
    ["name.v1.avsc", "civil/name.avsc", "civil/name.v0.avsc", "civil/Name.v1.avsc", "civil/x/name.v1.avsc"],
)
def test_a_contract_stands_where_its_type_says(tmp_path: Path, path: str):
    """E1, E4: <domain>/<fact>.v<N>.avsc names the type; a file that is anywhere else is not overlooked."""
    assert faults(tmp_path, record(NAME), path) == {("", Reason.MISPLACED)}


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
