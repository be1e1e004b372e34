"""The gate: each fault of a contract by field and reason (E4, E6)."""

from pathlib import Path

import pytest

from schemas import Reason, check_directory, without_doc
from tests.contract_file_kit import CONSENT, OTHER, STATE, TEXT_OR_NULL, faults
from tests.contracts_kit import BENEFIT, DATE, ITEM, NAME, SUBJECT, field, record, write

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


@pytest.mark.parametrize(
    "name",
    ["civil/name.v2.json", "civil/name.v2.AVSC", "civil/name.v2.avsc.txt", "civil/name.v2", "name.avcs",
     "civil/name.v2.avro", "civil/deep/name.v2.yaml"],
)  # fmt: skip
def test_a_file_that_looks_like_a_contract_and_is_not_read_is_told(tmp_path: Path, name: str):
    """E6: it lies beside the contracts and nobody would ever register it."""
    (write(tmp_path, {"civil/name.v1.avsc": record(NAME)}) / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("{}", encoding="utf-8")
    contracts, problems = check_directory(tmp_path)
    assert [(each.file, each.reason) for each in problems] == [(name, Reason.MISPLACED)]
    assert list(contracts.by_type) == ["uk.gov.civil.name.v1"]


@pytest.mark.parametrize(
    "name", ["civil/README.md", "civil/.name.v2.avsc.swp", "civil/__init__.py", "x.json"]
)
def test_other_files_beside_contracts_are_nobodys_matter(tmp_path: Path, name: str):
    """A directory of contracts may be a package, hold notes, or be open in an editor."""
    write(tmp_path, {"civil/name.v1.avsc": record(NAME)})
    (tmp_path / name).write_text("{}", encoding="utf-8")
    assert check_directory(tmp_path)[1] == []


def test_a_field_that_does_not_say_what_it_is_is_named_and_not_refused(tmp_path: Path):
    """No rule asks for a `doc`; the gate hints at it."""
    said = record(SUBJECT | {"doc": "Whom."}, NAME | {"doc": " "})
    contracts, problems = check_directory(write(tmp_path, {"civil/name.v1.avsc": said}))
    assert problems == []
    [contract] = contracts.by_type.values()
    assert without_doc(contract) == ["name"]
    said["doc"] = ""
    [contract] = check_directory(write(tmp_path, {"civil/name.v1.avsc": said}))[0].by_type.values()
    assert without_doc(contract) == ["the contract", "name"]
