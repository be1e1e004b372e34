"""Data-sharing agreements as they are written (C5)."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from schemas import (
    DECEASED,
    ENROLLED,
    EVERYONE,
    Agreement,
    AgreementProblems,
    Attribute,
    Basis,
    Contracts,
    Grant,
    Where,
    load_agreements,
    load_contracts,
    parse_duration,
    parse_instant,
)

CASES = Path(__file__).parents[1] / "cases"
FULL = """\
agreement: leeds-housing
version: 3
subscriber: council-leeds
purpose: housing-support
basis: consent
gateway: null
valid: {from: 2026-01-01, until: 2027-06-30}
subject: pairwise
pairwise_group: null
scope: everyone
attributes:
  - {attribute: address, fields: [postcode, authority]}
  - {attribute: benefit}
honours_objection: true
sees_restricted: false
after_death: stop
delete_within: P1D
"""
DEFAULTED = ("gateway", "pairwise_group", "honours_objection", "sees_restricted", "after_death")


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load_contracts(CASES / "contracts")


def load(tmp_path: Path, contracts: Contracts, *texts: str) -> dict[str, Agreement]:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
    return load_agreements(tmp_path, contracts)


def faults(tmp_path: Path, contracts: Contracts, *texts: str) -> list[tuple[int, str]]:
    with pytest.raises(AgreementProblems) as caught:
        load(tmp_path, contracts, *texts)
    return [(problem.line, problem.field) for problem in caught.value.problems]


def changed(**values: object) -> str:
    return yaml.safe_dump(yaml.safe_load(FULL) | values, sort_keys=False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "subscriber: council-leeds",
            "subscriber: Leeds Council",
            "expected lower case letters, digits and hyphens",
        ),
        ("attribute: address", "attribute: adress", "there is no attribute 'adress'; did you mean address?"),
    ],
)
def test_who_writes_an_agreement_is_told_in_words(
    tmp_path: Path, contracts: Contracts, old: str, new: str, words: str
):
    """C5: neither a pattern nor a name of the code, and what was probably meant."""
    with pytest.raises(AgreementProblems) as caught:
        load(tmp_path, contracts, FULL.replace(old, new, 1))
    assert any(problem.problem.startswith(words) for problem in caught.value.problems)


def test_a_text_where_keys_belong_is_told_so(tmp_path: Path, contracts: Contracts):
    """C5: `valid: 2028` is not said to lack an instance of a class."""
    with pytest.raises(AgreementProblems) as caught:
        load(tmp_path, contracts, changed(valid=2028))
    assert [problem.problem for problem in caught.value.problems] == [
        "expected keys with their values, {key: value, …}"
    ]


def test_every_key_is_read(tmp_path: Path, contracts: Contracts):
    """C5: the whole of an agreement; a date as an end is its last day, in London."""
    assert load(tmp_path, contracts, FULL) == {
        "leeds-housing": Agreement(
            agreement="leeds-housing",
            version=3,
            subscriber="council-leeds",
            purpose="housing-support",
            basis=Basis.CONSENT,
            gateway=None,
            valid_from=parse_instant("2026-01-01T00:00:00Z"),
            valid_until=parse_instant("2027-06-30T23:00:00Z"),
            subject="pairwise",
            pairwise_group=None,
            scope=EVERYONE,
            attributes=(Grant("address", ("postcode", "authority")), Grant("benefit", None)),
            honours_objection=True,
            sees_restricted=False,
            after_death="stop",
            delete_within=parse_duration("P1D"),
            file="0.yaml",
        )
    }


def test_what_is_left_out_has_the_designs_default(tmp_path: Path, contracts: Contracts):
    """C5: objections are honoured, restricted persons are not seen, death ends it, keys are not shared."""
    short = "\n".join(line for line in FULL.splitlines() if not line.startswith(DEFAULTED))
    assert load(tmp_path, contracts, FULL) == load(tmp_path, contracts, short)
    other = changed(
        honours_objection=False, sees_restricted=True, after_death="continue", pairwise_group="social"
    )
    agreement = load(tmp_path, contracts, other)["leeds-housing"]
    assert not agreement.honours_objection
    assert agreement.sees_restricted
    assert (agreement.after_death, agreement.pairwise_group) == ("continue", "social")


@pytest.mark.parametrize(
    ("scope", "read"),
    [
        ("everyone", EVERYONE),
        ("enrolled", ENROLLED),
        ("deceased", DECEASED),
        (
            {"where": {"attribute": "address", "field": "authority", "in": ["leeds", "york"]}},
            Where("address", "authority", frozenset({'"leeds"', '"york"'})),
        ),
        ({"where": {"attribute": "licence", "in": ["FULL"]}}, Where("licence", None, frozenset({'"FULL"'}))),
        (
            {"where": {"attribute": "benefit", "field": "weekly_pence", "in": [100, True, 1.5]}},
            Where("benefit", "weekly_pence", frozenset({"100", "true", "1.5"})),
        ),
    ],
)
def test_the_four_scopes(tmp_path: Path, contracts: Contracts, scope: object, read: object):
    """C5."""
    text = changed(scope=scope, basis="public_task", gateway="Care Act 2014 s.6", after_death="continue")
    assert load(tmp_path, contracts, text)["leeds-housing"].scope == read


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("leeds", True),
        ("Leeds", False),
        (7, True),
        ("7", False),
        (7.0, True),
        (True, True),
        (1, False),
        ("true", False),
        (1.5, True),
        (None, False),
        (["leeds"], False),
        ({}, False),
    ],
)
def test_where_compares_as_json_does(value: object, matches: bool):
    """C5: the text "7" is not the number 7, true is not 1; null, lists and objects equal nothing."""
    assert Where("a", None, frozenset({'"leeds"', "7", "true", "1.5"})).matches(value) is matches


@pytest.mark.parametrize("basis", list(Basis))
@pytest.mark.parametrize("gateway", [None, "", "  ", "Care Act 2014 s.6"])
def test_a_basis_needs_its_gateway_unless_it_is_consent_or_contract(
    tmp_path: Path, contracts: Contracts, basis: Basis, gateway: str | None
):
    """C5: the statutory power, as text."""
    text = changed(basis=basis.value, gateway=gateway)
    if basis in (Basis.CONSENT, Basis.CONTRACT) or (gateway or "").strip():
        assert load(tmp_path, contracts, text)["leeds-housing"].basis is basis
    else:
        assert [field for _, field in faults(tmp_path, contracts, text)] == ["gateway"]


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ({"attribute": "address", "field": "authority", "in": ["leeds"]}, None),
        ({"attribute": "benefit", "field": "status", "in": ["AWARDED"]}, None),
        ({"attribute": "address", "field": "lines", "in": ["x"]}, "scope.where.field"),
        ({"attribute": "licence", "in": ["FULL"]}, "scope.where.attribute"),
    ],
)
def test_on_consent_the_scope_rests_on_what_is_shared(
    tmp_path: Path, contracts: Contracts, where: dict, field: str | None
):
    """C5: presence in a topic discloses too."""
    text = changed(scope={"where": where})
    if field is None:
        load(tmp_path, contracts, text)
    else:
        assert [each for _, each in faults(tmp_path, contracts, text)] == [field]
    load(tmp_path, contracts, changed(scope={"where": where}, basis="public_task", gateway="s.6"))


def test_on_consent_the_scope_of_the_deceased_needs_death_among_what_is_shared(
    tmp_path: Path, contracts: Contracts
):
    """C5: whoever is in such a topic is known to have died, so the consent must cover that."""
    said = {"scope": "deceased", "after_death": "continue", "attributes": [{"attribute": "address"}]}
    with pytest.raises(AgreementProblems, match=r"scope: on basis consent .* the attribute death"):
        load(tmp_path, contracts, changed(**said))
    load(tmp_path, contracts, changed(**said, basis="public_task", gateway="s.6"))
    load(tmp_path, contracts, changed(**(said | {"attributes": [{"attribute": "death"}]})))


@pytest.mark.parametrize("said", [{"after_death": "stop"}, {}])
def test_an_agreement_about_the_deceased_that_ends_with_death_is_a_fault(
    tmp_path: Path, contracts: Contracts, said: dict[str, str]
):
    """C5, C6: nothing could ever be shared, so it is said, though `stop` is only the default."""
    text = yaml.safe_load(changed(scope="deceased", basis="public_task", gateway="s.6"))
    del text["after_death"]
    with pytest.raises(
        AgreementProblems, match="could ever be shared: write `after_death: continue`"
    ) as caught:
        load(tmp_path, contracts, yaml.safe_dump(text | said))
    assert [problem.field for problem in caught.value.problems] == ["after_death"]


def test_a_catalogue_that_knows_no_death_has_no_agreement_about_the_deceased(
    tmp_path: Path, contracts: Contracts
):
    """C5, E5: or nobody would ever be in it, and nobody would know why."""
    known = {name: each for name, each in contracts.attributes.items() if name != "death"}
    text = changed(scope="deceased", basis="public_task", gateway="s.6", after_death="continue")
    assert [field for _, field in faults(tmp_path, replace(contracts, attributes=known), text)] == ["scope"]


FAULTY = [
    ("agreement: leeds-housing", "agreement: Leeds", "agreement"),
    ("agreement: leeds-housing", "agreement: 1a", "agreement"),
    ("agreement: leeds-housing", "agreement: a_b", "agreement"),
    ("agreement: leeds-housing", "agreement: 7", "agreement"),
    ("version: 3", "version: 0", "version"),
    ("version: 3", "version: '3'", "version"),
    ("version: 3", "version: true", "version"),
    ("version: 3", "", "version"),
    ("subscriber: council-leeds", "subscriber: Leeds Council", "subscriber"),
    ("subscriber: council-leeds", "subscriber: x", "subscriber"),
    ("purpose: housing-support", "purpose: ''", "purpose"),
    ("basis: consent", "basis: curiosity", "basis"),
    ("from: 2026-01-01", "from: 2026-02-30", "valid.from"),
    ("from: 2026-01-01", "from: soon", "valid.from"),
    ("from: 2026-01-01, ", "", "valid.from"),
    ("from: 2026-01-01", "from: 2027-07-01", "valid"),
    ("until: 2027-06-30", "until: 2027-06-30, to: x", "valid.to"),
    ("subject: pairwise", "subject: horse", "subject"),
    ("pairwise_group: null", "pairwise_group: Group 1", "pairwise_group"),
    ("scope: everyone", "scope: somebody", "scope"),
    ("scope: everyone", "scope: {where: {attribute: shoes, in: [a]}}", "scope.where.attribute"),
    ("scope: everyone", "scope: {where: {attribute: address, in: [a]}}", "scope.where"),
    ("scope: everyone", "scope: {where: {attribute: address, field: zip, in: [a]}}", "scope.where.field"),
    ("scope: everyone", "scope: {where: {attribute: address, field: authority, in: []}}", "scope.where.in"),
    ("scope: everyone", "scope: {where: {attribute: address, field: authority}}", "scope.where.in"),
    ("attribute: benefit", "attribute: shoes", "attributes.1.attribute"),
    ("attribute: benefit", "attribute: address", "attributes.1.attribute"),
    ("attribute: benefit}", "attribute: practice, fields: [x]}", "attributes.1.fields"),
    ("  - {attribute: benefit}", "  - benefit", "attributes.1"),
    ("[postcode, authority]", "[postcode, zip]", "attributes.0.fields"),
    ("[postcode, authority]", "[postcode, postcode]", "attributes.0.fields"),
    ("[postcode, authority]", "[]", "attributes.0.fields"),
    ("honours_objection: true", "honours_objection: yes", "honours_objection"),
    ("honours_objection: true", "honours_objections: true", "honours_objections"),
    ("sees_restricted: false", "sees_restricted: 0", "sees_restricted"),
    ("after_death: stop", "after_death: pause", "after_death"),
    ("delete_within: P1D", "delete_within: 1 day", "delete_within"),
    ("delete_within: P1D", "", "delete_within"),
]


@pytest.mark.parametrize(
    ("text", "instead", "field"), FAULTY, ids=[row[1] or f"no {row[0]}" for row in FAULTY]
)
def test_a_fault_is_said_with_its_line_and_key(
    tmp_path: Path, contracts: Contracts, text: str, instead: str, field: str
):
    """C5: the linter leads to the place."""
    assert text in FULL
    wrong = FULL.replace(text, instead)
    found = [each for each in faults(tmp_path, contracts, wrong) if each[1].startswith(field)]
    assert found
    line = found[0][0]
    if instead:
        assert line == [number for number, each in enumerate(wrong.splitlines(), 1) if instead in each][-1]


@pytest.mark.parametrize(
    "text", ["a: [b", "", "- a", "just words", "a: 1\na: 2", "&a [*a]", "!!python/object:os.system x"]
)
def test_a_file_that_is_no_agreement_is_named(tmp_path: Path, contracts: Contracts, text: str):
    """C5: not YAML, not a mapping, a key that stands twice."""
    assert len(faults(tmp_path, contracts, text)) >= 1


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\na: 2", 2), ("a: 1\nb: 2\nc: [", 3), ("a: 1\n\nb: {c: 1, c: 2}", 3), ("# words\n- a", 2)],
)
def test_what_is_wrong_as_yaml_has_its_line_too(tmp_path: Path, contracts: Contracts, text: str, line: int):
    """C5: the linter leads to the place."""
    assert [number for number, _ in faults(tmp_path, contracts, text)] == [line]


def test_all_files_problems_are_said_at_once(tmp_path: Path, contracts: Contracts):
    """§8: one round."""
    with pytest.raises(AgreementProblems) as caught:
        load(
            tmp_path,
            contracts,
            changed(subject="horse", version=0),
            changed(agreement="b", basis="public_task"),
        )
    assert {problem.file for problem in caught.value.problems} == {"0.yaml", "1.yaml"}
    assert "0.yaml:2: version: " in str(caught.value)


def test_the_greatest_version_of_an_agreement_counts(tmp_path: Path, contracts: Contracts):
    """C5: whatever the order of the files."""
    texts = [
        changed(version=2, purpose="two"),
        changed(version=10, purpose="ten"),
        changed(version=9, purpose="nine"),
    ]
    found = load(tmp_path, contracts, *texts, changed(agreement="a-first"))
    assert list(found) == ["a-first", "leeds-housing"]
    assert found["leeds-housing"].purpose == "ten"


def test_one_version_twice_is_an_error(tmp_path: Path, contracts: Contracts):
    """C5: which of the two would count?"""
    assert faults(tmp_path, contracts, changed(), changed(purpose="other")) == [(1, "version")]


def test_words_of_yaml_1_1_stay_words(tmp_path: Path, contracts: Contracts):
    """A council called NO, a postcode like 1e3 and a time are text, as their writer meant."""
    text = FULL.replace(
        "scope: everyone",
        "scope: {where: {attribute: address, field: authority, in: [NO, on, 12:30, 2026-01-01]}}",
    )
    scope = load(tmp_path, contracts, text)["leeds-housing"].scope
    assert isinstance(scope, Where)
    assert scope.values == {'"NO"', '"on"', '"12:30"', '"2026-01-01"'}


def test_a_timestamp_as_an_end_is_exclusive(tmp_path: Path, contracts: Contracts):
    """§1."""
    text = FULL.replace("until: 2027-06-30", "until: '2027-06-30T12:00:00+01:00'")
    assert load(tmp_path, contracts, text)["leeds-housing"].valid_until == parse_instant(
        "2027-06-30T11:00:00Z"
    )


def test_the_agreements_of_the_cases_are_read(contracts: Contracts):
    """C5: nine agreements of six bases and all four scopes."""
    found = load_agreements(CASES / "agreements", contracts)
    assert len(found) == 9
    assert found["hmcts-probate"].scope == DECEASED
    assert found["york-tax"].scope == Where("address", "authority", frozenset({'"york"', '"selby"'}))


def test_a_missing_directory_is_said(tmp_path: Path, contracts: Contracts):
    """§8: a wrong path is not an empty set of agreements."""
    with pytest.raises(AgreementProblems, match="no such directory"):
        load_agreements(tmp_path / "nowhere", contracts)


def test_an_attribute_that_no_contract_states_may_be_agreed_on(tmp_path: Path, contracts: Contracts):
    """C7: its value is unknown until a contract states it, which is no fault of the agreement."""
    shoes = Attribute("shoes", "clothing", "d", "standard", False, ())
    unstated = replace(contracts, attributes={**contracts.attributes, "shoes": shoes})
    text = changed(attributes=[{"attribute": "shoes", "fields": ["size"]}])
    assert load(tmp_path, unstated, text)["leeds-housing"].attributes == (Grant("shoes", ("size",)),)


def test_all_that_is_wrong_is_told_in_one_round(tmp_path: Path, contracts: Contracts):
    """C5: a wrong form of one key hides neither unknown names nor dates in the wrong order elsewhere; and
    nothing is said that rests on what has not its form.
    """
    wrong = changed(
        version="one",
        basis="consnt",
        valid={"from": "2027-01-01", "until": "2026-01-01"},
        attributes=[{"attribute": "adress"}, {"attribute": "benefit", "fields": []}, {"attribut": "name"}],
        scope={"where": {"attribute": "benefit", "in": []}},
    ).replace("delete_within", "delete_in")
    with pytest.raises(AgreementProblems) as caught:
        load(tmp_path, contracts, wrong)
    told = {problem.field: problem.problem for problem in caught.value.problems}
    assert told.keys() == {
        "version", "basis", "valid", "scope.where.in", "attributes.0.attribute", "attributes.1.fields",
        "attributes.2.attribut", "attributes.2.attribute", "delete_in", "delete_within",
    }  # fmt: skip
    assert told["valid"] == "it ends before it begins"
    assert told["attributes.0.attribute"].startswith("there is no attribute 'adress'; did you mean address?")
    assert told["delete_within"] == "is missing; write it as `delete_within: P1D`"
    assert told["basis"].endswith("did you mean consent?")


@pytest.mark.parametrize(
    "key",
    ["agreement", "version", "subscriber", "purpose", "basis", "valid", "subject", "scope", "attributes"],
)
@pytest.mark.parametrize("wrong", [None, 7.5, [], {}, "?"])
def test_one_key_without_its_form_is_the_only_fault_of_an_agreement_that_is_right(
    tmp_path: Path, contracts: Contracts, key: str, wrong: object
):
    """C5: what stands in for it while the rest is judged is never complained of."""
    with pytest.raises(AgreementProblems) as caught:
        load(tmp_path, contracts, changed(**{key: wrong}))
    assert {problem.field.split(".")[0] for problem in caught.value.problems} == {key}
