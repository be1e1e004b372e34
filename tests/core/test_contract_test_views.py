"""`postroom contract test`: the views that a department's events would change, and why others would not."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contracts_kit import NAME, field, record, write
from tests.trial_kit import (
    AT,
    CARD,
    EVENT,
    PATH,
    TYPE,
    Try,
    agreement,
    changed,
    command,
    data,
    ground,
    trying,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return ground(tmp_path)


@pytest.fixture
def tried(directory: Path, capsys: pytest.CaptureFixture[str]) -> Try:
    return trying(capsys, directory)


def decision(directory: Path, stated: str) -> dict[str, Any]:
    """A person consents to what Leeds does, or no longer, under a contract put beside the card's."""
    state = {"type": "enum", "name": "State", "symbols": ["GRANTED", "WITHDRAWN"]}
    terms = {"subscriber": "string", "purpose": "string", "categories": {"type": "array", "items": "string"}}
    made = [field(name, type_, {"term": name}) for name, type_ in (terms | {"state": state}).items()]
    write(directory, {PATH: CARD, "consent/decision.v1.avsc": record(*made, kind="consent")})
    said = {"subscriber": "council-leeds", "purpose": "reading", "categories": [], "state": stated}
    return changed(id="c-1", type="uk.gov.consent.decision.v1", data={"nino": "NC123456C"} | said)


def test_what_was_said_before_is_not_counted_again(tried: Try, directory: Path):
    """The views with and without the events: the same event beside changes nothing, another value does."""
    beside = directory.parent / "beside.jsonl"
    beside.write_text(json.dumps(EVENT) + "\n")
    _, document, _ = tried([EVENT], "--beside", str(beside))
    assert document["views"] == []
    later = changed(id="card-2", time="2026-05-31T10:00:00Z", data=EVENT["data"] | {"name": "Grace"})
    _, document, _ = tried([later], "--beside", str(beside))
    assert [(v["agreement"], v["gain"], v["changed"]) for v in document["views"]] == [
        ("leeds-power", 0, 1),
        ("leeds-asks", 0, 1),
    ]


def test_lines_of_other_types_stand_beside(tried: Try, directory: Path):
    """Judged like others, but what they change is not this contract's doing."""
    write(directory, {PATH: CARD, "civil/other.v1.avsc": record(NAME)})
    other = changed(id="o-1", type="uk.gov.civil.other.v1", data={"nino": "NC123456C", "name": "Ada"})
    code, document, words = tried([other])
    assert (code, document["lines"][0]["verdict"], document["views"]) == (1, "accepted", [])
    assert f"no line is of {TYPE}" in words
    code, document, _ = tried([other, EVENT])
    assert (code, document["views"]) == (0, [])


def test_an_agreement_of_the_enrolled_needs_enrolment_and_perhaps_consent(tried: Try, directory: Path):
    """C1, C4: what a person has to do first is said with the view."""
    where = directory.parent / "agreements"
    agreement(where, "leeds-both", basis="consent", scope="enrolled")
    agreement(where, "leeds-some", basis="public_task", gateway="Libraries Act", scope="enrolled")
    _, document, _ = tried([EVENT])
    assert {v["agreement"]: v["needs"] for v in document["views"]} == {
        "leeds-power": "",
        "leeds-asks": "consent",
        "leeds-both": "consent and enrolment",
        "leeds-some": "enrolment",
    }


def test_what_the_persons_have_consented_to_already_needs_nothing_more(tried: Try, directory: Path):
    """C1: the decisions that stand beside count, and no view is counted twice."""
    granted = decision(directory, "GRANTED")
    beside = directory.parent / "beside.jsonl"
    beside.write_text(json.dumps(granted) + "\n")
    _, document, _ = tried([EVENT], "--beside", str(beside))
    assert [(v["agreement"], v["needs"]) for v in document["views"]] == [
        ("leeds-asks", ""),
        ("leeds-power", ""),
    ]


def test_what_does_not_change_is_told_with_the_reason_of_the_decision(tried: Try, directory: Path):
    """C6: of each agreement that grants what the contract states, in the words of `agreement explain`."""
    where = directory.parent / "agreements"
    power = {"basis": "public_task", "gateway": "Libraries Act, s 7"}
    agreement(where, "leeds-nhs", **power, subject="nhs")
    agreement(where, "leeds-old", **power, valid={"from": "2020-01-01", "until": "2021-01-01"})
    agreement(where, "leeds-grace", **power, scope={"where": {"attribute": "name", "in": ["Grace"]}})
    moved = field("address", "string", {"attribute": "address"})
    write(directory, {PATH: CARD, "civil/moved.v1.avsc": record(moved)})
    agreement(where, "leeds-post", **power, attributes=[{"attribute": "address"}])
    _, document, _ = tried([EVENT])
    assert [(u["agreement"], u["field"], u["reason"], u["persons"]) for u in document["unchanged"]] == [
        ("leeds-grace", "name", "out-of-scope", 1),
        ("leeds-nhs", "name", "no-subject-identifier", 1),
        ("leeds-old", "name", "agreement-not-in-force", 1),
    ]
    assert "no live identifier of the scheme" in document["unchanged"][1]["because"]
    assert not {"leeds-post"} & {v["agreement"] for v in document["views"] + document["unchanged"]}
    _, document, _ = tried([EVENT | {"data": EVENT["data"] | {"nhs": "9990000018"}}])
    assert "leeds-nhs" not in {u["agreement"] for u in document["unchanged"]}


def test_what_is_said_already_or_not_yet_in_force_changes_nothing_and_says_so(tried: Try, directory: Path):
    """R4, R5: a value of next month, and the same value once more."""
    later = data(issued_on="2026-07-01")
    _, document, _ = tried([later])
    assert {u["reason"] for u in document["unchanged"]} == {"no-value"}
    beside = directory.parent / "beside.jsonl"
    beside.write_text(json.dumps(EVENT) + "\n")
    _, document, _ = tried([EVENT | {"id": "card-2"}], "--beside", str(beside))
    reasons = {u["agreement"]: u["reason"] for u in document["unchanged"]}
    assert reasons == {"leeds-power": "no-news", "leeds-asks": "no-consent"}


def test_a_withdrawal_says_of_the_agreement_that_it_names_that_nothing_is_shown(
    directory: Path, capsys: pytest.CaptureFixture[str]
):
    """C1: a statement is about the agreements that it names; others are not spoken of."""
    agreement(directory.parent / "agreements", "leeds-other", basis="consent", purpose="parking")
    event = decision(directory, "WITHDRAWN")
    files = {"w": event, "card": EVENT}
    for name, each in files.items():
        (directory.parent / name).write_text(json.dumps(each) + "\n")
    told = {}
    for beside in ([], ["--beside", str(directory.parent / "card")]):
        file = str(directory.parent / "w")
        _, document, _ = command(capsys, directory, event["type"], file, "--at", AT, *beside)
        told[len(beside)] = {u["agreement"]: u["reason"] for u in document["unchanged"]}
    assert told[0] == {"leeds-asks": "no-value", "leeds-power": "no-value"}
    assert told[2] == {"leeds-asks": "no-consent", "leeds-power": "no-news"}
