"""The contract gate: authority, compatibility with the history, attributes for ever (E6)."""

import json
from pathlib import Path

import pytest

from schemas import Reason, check, check_directory, load_contracts, read_history, registered_version, unfrozen
from schemas.contract import IdentifierField, Role
from schemas.gate import incompatible, pairs_of
from schemas.identifiers import Schemes
from schemas.problem import MEND
from tests.contracts_kit import (
    ADDRESS,
    ADDRESS_TYPE,
    DATE,
    ITEM,
    NAME,
    SUBJECT,
    field,
    optional,
    record,
    write,
)

ROOT = Path(__file__).parents[2]
PATH = "civil/name.v1.avsc"
TYPE = "uk.gov.civil.name.v1"
ANY_SUBJECT = field("who", "string", {"identifier": "*", "role": "subject"})
NOTE = field("note", optional("string"), {"operational": True}, default=None)


def link(scheme: str, role: str = "same-person", **more: object) -> dict:
    return field("linked", "string", {"identifier": scheme, "role": role, **more})


def problems(directory: Path) -> list[tuple[str, str, Reason]]:
    return [(problem.file, problem.field, problem.reason) for problem in check_directory(directory)[1]]


@pytest.mark.parametrize("directory", ["tests/cases/contracts", "schemas"])
def test_our_own_contracts_pass(directory: str):
    """E6: the demo's contracts and those of the cases."""
    assert check_directory(ROOT / directory)[1] == []


def test_every_reason_says_what_to_do():
    """E6: a refusal that does not say how to mend it is half a refusal."""
    assert set(MEND) == set(Reason)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"identifier": "ninno", "role": "same-person"}, "there is no scheme 'ninno'; did you mean nino?"),
        (
            {"identifier": "nhs", "role": "same_person"},
            "there is no role 'same_person'; did you mean same-person?",
        ),
        ({"identifier": "nhs"}, "`identifier` needs `role` too"),
        ({"operational": True, "note": "x"}, "`operational` does not go with `note`"),
        ({"attribute": "adress"}, "there is no attribute 'adress'; did you mean address?"),
        ({"attribute": "zzz"}, "there is no attribute 'zzz'"),
    ],
)
def test_what_a_beginner_writes_is_told_what_was_probably_meant(
    tmp_path: Path, broken: dict[str, object], why: str
):
    """E6: each name that is not known with the one that is near, what lacks and what is too much by name."""
    directory = write(tmp_path / "contracts", {PATH: record(field("more", "string", broken))})
    (found,) = check_directory(directory)[1]
    assert found.why.startswith(why)


def test_a_subject_of_an_unknown_scheme_is_not_said_to_be_missing(tmp_path: Path):
    """E6: one mistake, one problem; the mark is there, its scheme is wrong."""
    wrong = field("who", "string", {"identifier": "ninno", "role": "subject"})
    directory = write(tmp_path / "contracts", {PATH: {**record(), "fields": [wrong]}})
    assert problems(directory) == [(PATH, "who", Reason.UNKNOWN_SCHEME)]


@pytest.mark.parametrize("word", ["date", "timestamp", "text", "decimal", "integer", "bool"])
def test_a_type_in_peoples_words_is_told_in_avros(tmp_path: Path, word: str):
    """E6: nobody has to know that Avro's date is an annotated int; what it says to write is taken."""
    directory = write(tmp_path / "contracts", {PATH: record(field("note", word, {"operational": True}))})
    (found,) = check_directory(directory)[1]
    written = json.loads(found.why.partition("; Avro writes it ")[2])
    write(tmp_path / "contracts", {PATH: record(field("note", written, {"operational": True}))})
    assert problems(directory) == []


AUTHORITY = "dwp: [[nino, nhs], [utr, nino]]\nhmrc: [[nino, utr]]\n"


@pytest.mark.parametrize(
    ("schema", "refused"),
    [
        (record(link("nhs")), []),
        (record(link("utr")), []),
        (record(link("utr", "superseded-by"), owners=("hmrc", "dwp")), []),
        (record(link("nhs"), owners=("hmrc", "dwp")), ["hmrc has no authority over nhs with nino"]),
        (record(link("nhs"), owners=("nhs",)), ["nhs has no authority over nhs with nino"]),
        (record(link("driver")), ["dwp has no authority over driver with nino"]),
        (record(link("nino", "superseded-by")), ["dwp has no authority over nino with nino"]),
        (record(link("driver", "other"), kind="link"), ["dwp has no authority over driver with nino"]),
        (record(link("driver", "other"), kind="unlink"), ["dwp has no authority over driver with nino"]),
        (record(link("nhs", "other"), kind="unlink"), []),
        (record(link("*", schemes=["nhs", "utr"])), []),
        (record(link("*", schemes=["nhs", "driver"])), ["dwp has no authority over driver with nino"]),
        (
            record(
                field("who", "string", {"identifier": "*", "role": "subject", "schemes": ["nhs", "utr"]}),
                link("nino"),
            ),
            [],
        ),
        (
            record(
                field("who", "string", {"identifier": "*", "role": "subject", "schemes": ["nhs", "utr"]}),
                link("nhs"),
            ),
            ["dwp has no authority over nhs with nhs, nhs with utr"],
        ),
        (
            record(link("*")),
            [
                "dwp has no authority over ctax with nino, driver with nino, nino with nino, "
                "nino with onelogin, nino with passport"
            ],
        ),
        (
            record(ANY_SUBJECT, link("*", "other"), kind="link"),
            [
                "dwp has no authority over ctax with ctax, ctax with driver, "
                "ctax with nhs, ctax with nino, ctax with onelogin and 21 more"
            ],
        ),
        (record(ANY_SUBJECT, field("event", "string", {"prior": True}), kind="annulment"), []),
    ],
)
def test_every_owner_needs_authority_over_every_pair_that_can_occur(
    tmp_path: Path, schema: dict, refused: list[str]
):
    """E6: unordered pairs; `*` over every pair that can occur; a subject alone links nothing."""
    found = check_directory(write(tmp_path, {PATH: schema}, authority=AUTHORITY))[1]
    assert [problem.why for problem in found] == refused
    assert all(
        (problem.file, problem.field, problem.reason) == (PATH, "linked", Reason.NO_AUTHORITY)
        for problem in found
    )


def test_any_scheme_means_every_pair_with_itself_too():
    """E6, E4: `*` on both sides over n schemes is n(n+1)/2 unordered pairs."""
    schemes = Schemes({})
    either = IdentifierField("x", "*", Role.OTHER, None, False)
    assert len(pairs_of(either, either, schemes)) == 6 * 7 // 2


def version(directory: Path, number: int, schema: dict, type_: str = TYPE) -> None:
    path = directory / "history" / type_ / f"{number}.avsc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema))


@pytest.mark.parametrize(
    ("schema", "places"),
    [
        (record(NAME), []),
        (record(NAME, NOTE), []),
        (record(NOTE, NAME), []),
        (record(NAME, NOTE | {"type": "string"}), ["note"]),
        (record(NAME, {k: v for k, v in NOTE.items() if k != "default"}), ["note"]),
        (record(), ["name"]),
        (record(NAME, name="Renamed"), ["", ""]),
        (record(field("name", optional("string"), {"attribute": "name"}, default=None)), ["name"]),
    ],
)
def test_a_contract_stays_compatible_with_its_earlier_version(
    tmp_path: Path, schema: dict, places: list[str]
):
    """E6: FULL, field by field."""
    write(tmp_path, {PATH: schema})
    version(tmp_path, 1, record(NAME))
    found = [p for p in check_directory(tmp_path)[1] if p.file == PATH and p.reason is Reason.NOT_COMPATIBLE]
    if "type" in schema["fields"][-1] and schema["fields"][-1]["name"] == "note" and places:
        # a default that does not fit is another fault; without it the field has none
        assert found or check_directory(tmp_path)[1]
    else:
        assert [problem.field for problem in found] == places
        assert all("history/uk.gov.civil.name.v1/1.avsc" in problem.why for problem in found)


@pytest.mark.parametrize("default", [None, "ANNUAL"])
def test_an_enum_takes_a_new_symbol_if_it_had_a_default_all_along(tmp_path: Path, default: str | None):
    """E6: whoever reads with the earlier version reads it as the default; the mend says when to give one."""

    def term(*symbols: str) -> dict:
        enum = {"type": "enum", "name": "Term", "symbols": list(symbols)}
        return field("kind", enum | ({} if default is None else {"default": default}), {"operational": True})

    write(tmp_path, {PATH: record(NAME, term("ANNUAL", "DAY", "WEEK"))})
    version(tmp_path, 1, record(NAME, term("ANNUAL", "DAY")))
    found = [p for p in check_directory(tmp_path)[1] if p.reason is Reason.NOT_COMPATIBLE]
    assert [problem.field for problem in found] == ([] if default else ["kind"])
    assert all("default since its first version" in problem.mend for problem in found)


def test_a_contract_stays_compatible_with_every_version_not_only_the_last(tmp_path: Path):
    """E6: TRANSITIVE; each step is fine, the whole way is not."""
    number, text = (
        field("extra", "int", {"operational": True}, default=0),
        field("extra", "string", {"operational": True}, default=""),
    )
    write(tmp_path, {PATH: record(NAME, text)})
    version(tmp_path, 1, record(NAME, number))
    version(tmp_path, 2, record(NAME))
    found = check_directory(tmp_path)[1]
    assert {(problem.file, problem.field, problem.reason) for problem in found} == {
        (PATH, "extra", Reason.NOT_COMPATIBLE)
    }
    assert all("/1.avsc" in problem.why for problem in found)


def test_an_attribute_keeps_its_type_after_its_contract_is_gone(tmp_path: Path):
    """V1: a type never changes under its name, or two versions of an agreement could not be compatible."""
    write(tmp_path, {"civil/name.v2.avsc": record(field("name", "long", {"attribute": "name"}))})
    version(tmp_path, 1, record(NAME))
    assert set(problems(tmp_path)) == {("attributes.yaml", "name", Reason.ATTRIBUTE_TYPE)}


@pytest.mark.parametrize(
    ("type_", "fine"),
    [
        (ADDRESS_TYPE | {"fields": [*ADDRESS_TYPE["fields"], field("uprn", "string")]}, True),
        (ADDRESS_TYPE | {"fields": ADDRESS_TYPE["fields"][:1]}, True),
        (ADDRESS_TYPE | {"name": "Other", "namespace": "x"}, True),
        (optional(ADDRESS_TYPE), True),
        (ADDRESS_TYPE | {"fields": [ADDRESS_TYPE["fields"][0], field("postcode", DATE)]}, False),
        ("string", False),
    ],
)
def test_an_attribute_may_gain_and_lose_fields_in_a_new_contract(tmp_path: Path, type_: object, fine: bool):
    """V1: views' fields are nullable with default null, so these two are compatible; another type is not."""
    write(tmp_path, {"civil/name.v2.avsc": record(field("address", type_, {"attribute": "address"}))})
    version(tmp_path, 1, record(ADDRESS))
    assert (problems(tmp_path) == []) is fine


def test_the_whole_gate_reports_structure_authority_and_compatibility_at_once(tmp_path: Path):
    """E6: one round, sorted by file; a broken contract does not hide the faults of the others."""
    directory = write(
        tmp_path,
        {
            "a/bad.v1.avsc": record(field("x", "string")),
            "a/link.v1.avsc": record(link("driver")),
            PATH: record(NAME, ITEM),
        },
    )
    version(directory, 1, record(NAME), "uk.gov.a.link.v1")
    assert problems(directory) == [
        ("a/bad.v1.avsc", "x", Reason.ANNOTATION_MISSING),
        ("a/link.v1.avsc", "linked", Reason.NO_AUTHORITY),
        ("a/link.v1.avsc", "linked", Reason.NOT_COMPATIBLE),
        ("a/link.v1.avsc", "name", Reason.NOT_COMPATIBLE),
        (PATH, "claim", Reason.ITEM),
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "strin"}', '"string"'])
def test_damaged_history_is_said(tmp_path: Path, text: str):
    """E6: a promise that cannot be read is not a promise kept."""
    write(tmp_path, {PATH: record(NAME)})
    version(tmp_path, 1, record(NAME))
    (tmp_path / "history" / TYPE / "2.avsc").write_text(text)
    (tmp_path / "history" / TYPE / "latest.avsc").write_text(json.dumps(record(NAME)))
    assert {file for file, _, _ in problems(tmp_path)} == {
        f"history/{TYPE}/2.avsc",
        f"history/{TYPE}/latest.avsc",
    }


def test_what_is_new_is_frozen_as_the_next_version(tmp_path: Path):
    """E6: the history grows by what differs from its latest version, in numeric order."""
    write(tmp_path, {PATH: record(NAME, NOTE), "a/b.v1.avsc": record(NAME)})
    for number in range(1, 11):
        version(tmp_path, number, record(NAME))
    contracts = load_contracts(tmp_path)
    history, damage = read_history(tmp_path)
    assert damage == []
    assert [each.number for each in history[TYPE]] == list(range(1, 11))
    frozen = unfrozen(contracts, history)
    assert frozen == {
        "history/uk.gov.a.b.v1/1.avsc": record(NAME),
        f"history/{TYPE}/11.avsc": record(NAME, NOTE),
    }
    for file, schema in frozen.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(json.dumps(schema))
    assert unfrozen(contracts, read_history(tmp_path)[0]) == {}
    assert check(contracts, read_history(tmp_path)[0]) == []


def test_a_registrys_version_is_asked_the_same_question(tmp_path: Path):
    """E6: online the registry's own versions count as well."""
    contract = load_contracts(write(tmp_path, {PATH: record(NAME)})).by_type[TYPE]
    same = registered_version(f"{TYPE}-value", 1, record(NAME))
    other = registered_version(f"{TYPE}-value", 2, record(SUBJECT))
    assert list(incompatible(contract, [same])) == []
    assert [problem.field for problem in incompatible(contract, [same, other])] == ["name"]


def test_what_several_versions_refuse_is_one_problem_that_names_them_together(tmp_path: Path):
    """E6: one mistake is one row, however many versions it is a mistake about."""
    text = field("extra", "string", {"operational": True}, default="")
    contract = load_contracts(write(tmp_path, {PATH: record(NAME, text)})).by_type[TYPE]
    number = field("extra", "int", {"operational": True}, default=0)
    schemas = [record(NAME, number), record(NAME, number, NOTE), record(NAME)]
    held = [registered_version(f"{TYPE}-value", place, each) for place, each in enumerate(schemas, start=1)]
    why = [(problem.field, problem.why) for problem in incompatible(contract, held)]
    seen = f"see versions 1, 2 of {TYPE}-value in the registry"
    assert why == [
        ("extra", f"the type int became string (reading earlier data); {seen}"),
        ("extra", f"the type string became int (earlier readers of new data); {seen}"),
    ]
    for place, each in enumerate(schemas, start=1):
        version(tmp_path, place, each)
    assert all(
        problem.why.endswith(f"; see history/{TYPE}/1.avsc, history/{TYPE}/2.avsc")
        for problem in check_directory(tmp_path)[1]
    )
