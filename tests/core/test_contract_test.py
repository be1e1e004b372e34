"""`postroom contract test`: what gate and intake say of a contract and its events, offline (E6, E7)."""

import json
from pathlib import Path
from typing import Any

import pytest

from postroom.cli import run
from schemas import Found, Rejection, how_to_mend
from tests.contracts_kit import field, record, write
from tests.trial_kit import AT, CARD, EVENT, PATH, TYPE, Try, changed, command, data, ground, trying


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return ground(tmp_path)


@pytest.fixture
def tried(directory: Path, capsys: pytest.CaptureFixture[str]) -> Try:
    return trying(capsys, directory)


def test_an_accepted_event_and_the_views_that_it_would_change(tried: Try):
    """Exit 0; a view as things are, and one that waits for the person's consent."""
    code, document, words = tried([EVENT])
    assert code == 0, words
    assert document == {
        "gate": [],
        "lines": [{"line": 1, "verdict": "accepted"}],
        "views": [
            {"agreement": "leeds-power", "field": "name", "gain": 1, "lose": 0, "changed": 0, "needs": ""},
            {"agreement": "leeds-asks", "field": "name", "gain": 1, "lose": 0, "changed": 0}
            | {"needs": "consent"},
        ],
        "unchanged": [],
    }
    assert "1 accepted, 0 rejected" in words
    assert "name: in leeds-asks, leeds-power" in words


REJECTED: list[tuple[bytes | str | dict[str, Any], Rejection, list[str]]] = [
    (json.dumps(data(name="x" * (1 << 20))), Rejection.OVERSIZED, ["$"]),
    ("{", Rejection.UNDECODABLE, ["$"]),
    (b'{"id": "\xff"}', Rejection.UNDECODABLE, ["$"]),
    ("[" * 100_000, Rejection.UNDECODABLE, ["$"]),
    ("7", Rejection.UNDECODABLE, ["$"]),
    (json.dumps(EVENT).replace('"nino"', '"name": "", "nino"'), Rejection.UNDECODABLE, ["$.data.name"]),
    (changed(id="", source="dwp", time="yesterday"), Rejection.UNDECODABLE, ["$.id", "$.source", "$.time"]),
    (changed(datacontenttype="text/xml", id=""), Rejection.UNDECODABLE, ["$.id", "$.datacontenttype"]),
    (changed(type="card"), Rejection.UNDECODABLE, ["$.type"]),
    (changed(data=None, time="1999-12-31T23:59:59Z"), Rejection.NULL_VALUE, ["$.time", "$.data"]),
    (changed(type="uk.gov.libraries.card.v1"), Rejection.UNKNOWN_TYPE, ["$.type"]),
    (changed(source="urn:gov:gro:cards"), Rejection.NOT_THE_OWNER, ["$.source"]),
    (
        changed(source="urn:gov:gro:cards", data={"nino": "QQ", "issued_on": "2026-02-30", "extra": 1}),
        Rejection.NOT_THE_OWNER,
        ["$.source", "$.data.name", "$.data.issued_on", "$.data.extra", "$.data.nino"],
    ),
    (changed(data=[]), Rejection.CONTRACT_MISMATCH, ["$.data"]),
    (data(nino=12), Rejection.CONTRACT_MISMATCH, ["$.data.nino"]),
    (data(nino="QQ", nhs="1"), Rejection.IDENTIFIER_INVALID, ["$.data.nino", "$.data.nhs"]),
    (changed(time="1999-12-31T23:59:59Z"), Rejection.TIME_TOO_OLD, ["$.time"]),
    (changed(time="2026-06-01T12:05:00.001Z"), Rejection.TIME_IN_FUTURE, ["$.time"]),
]


@pytest.mark.parametrize(("line", "reason", "paths"), REJECTED)
def test_a_rejected_line_names_its_reason_and_every_problem_by_path(
    tried: Try, line: bytes | str | dict[str, Any], reason: Rejection, paths: list[str]
):
    """E7: the reason is intake's first, the problems are all that there are, and so is the mend; exit 1."""
    code, document, words = tried([EVENT, "", line])
    assert code == 1
    accepted, rejected = document["lines"]
    found = next(Found(**each) for each in rejected["problems"] if each["reason"] == reason)
    assert f"{reason}: {how_to_mend(found._replace(reason=Rejection(reason)))}" in words
    assert accepted == {"line": 1, "verdict": "accepted"}
    assert (rejected["line"], rejected["verdict"], rejected["reason"]) == (3, "rejected", reason.value)
    assert sorted(each["path"] for each in rejected["problems"]) == sorted(paths)
    assert all(each["problem"] for each in rejected["problems"])


def test_each_problem_has_the_reason_that_it_would_be_rejected_for_by_itself(tried: Try):
    """A wrong time beside a wrong identifier is no invalid identifier, whatever rejects the line first."""
    line = changed(time="2062-06-01T12:00:00Z", data={**EVENT["data"], "nino": "QQ"})
    _, document, _ = tried([line])
    told = {each["path"]: each["reason"] for each in document["lines"][0]["problems"]}
    assert told == {"$.time": "time-in-future", "$.data.nino": "identifier-invalid"}


def test_the_summary_says_how_to_mend_each_reason_in_intakes_order(tried: Try):
    """E7: a line with two problems is mended in one round, of which the table shows both too."""
    _, _, words = tried([data(nino="QQ", issued_on="2026-02-30")])
    said = [line.partition(":")[0] for line in words.splitlines()]
    assert said.index("contract-mismatch") < said.index("identifier-invalid")


def test_each_reason_of_intake_is_shown_once_at_least():
    """E7: the table above leaves no reason out."""
    assert {reason for _, reason, _ in REJECTED} == set(Rejection)


def test_no_value_of_an_event_is_shown(tried: Try):
    """The department's own file stays where it is: paths and expectations only, in the table too."""
    wrong = data(nino="QQ999999Z", name=["SECRETNAME"], issued_on="SECRETDAY", nhs="SECRETNHS")
    _, document, words = tried([wrong, changed(source="SECRETSOURCE", id="SECRET\u0000ID")])
    assert "SECRET" not in json.dumps(document) + words
    assert "QQ999999" not in json.dumps(document) + words


def test_the_table_has_a_row_for_each_problem(directory: Path, capsys: pytest.CaptureFixture[str]):
    """§8: a table for people."""
    file = directory.parent / "events.jsonl"
    file.write_text(json.dumps(data(nino="QQ", nhs="1")))
    arguments = ["--contracts", str(directory), "--agreements", str(directory.parent / "agreements")]
    assert run(["contract", "test", TYPE, str(file), "--at", AT, *arguments]) == 1
    shown = capsys.readouterr()
    assert [line for line in shown.out.splitlines() if "identifier-invalid" in line and "$.data.n" in line]
    assert shown.out.count("identifier-invalid") == 2
    assert "no view would change" in shown.err


def test_the_gate_comes_first(tried: Try, directory: Path):
    """E6: a contract without authority is refused, and its events are tried all the same; exit 1."""
    (directory / "authority.yaml").write_text("gro: [[nino, nhs]]\n")
    code, document, words = tried([EVENT])
    assert code == 1
    assert [(p["file"], p["field"], p["reason"]) for p in document["gate"]] == [(PATH, "nhs", "no-authority")]
    assert document["lines"] == [{"line": 1, "verdict": "accepted"}]
    assert "the gate refuses the contract: 1 to mend" in words


def test_events_of_a_contract_that_cannot_be_read_are_not_tried(tried: Try, directory: Path):
    """E6: exit 1, with the gate's reasons."""
    write(directory, {PATH: record(field("x", "string"))})
    code, document, words = tried([EVENT])
    assert (code, [p["reason"] for p in document["gate"]], document["lines"]) == (
        1,
        ["annotation-missing"],
        [],
    )
    assert "no event was tried" in words


def test_another_departments_fault_is_not_mine(tried: Try, directory: Path):
    """E6: only what is wrong with this contract, or with the catalogue, counts."""
    write(directory, {PATH: CARD, "civil/other.v1.avsc": record(field("x", "string"))})
    assert tried([EVENT])[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((TYPE,), "either EVENTS.jsonl or --sample"),
        ((TYPE, "x.jsonl", "--sample"), "either EVENTS.jsonl or --sample"),
        ((TYPE, "nowhere.jsonl"), "cannot be read"),
        ((TYPE, "nowhere.jsonl", "--to", "x"), "--to is for a sample"),
        ((TYPE, "--sample", "--at", "noon"), "--at is not a moment"),
        (("card", "--sample"), "that is no type"),
        (("uk.gov.libraries.reading-cart.v1", "--sample"), f"did you mean {TYPE}?"),
        (("uk.gov.x.y.v1", "--sample"), "contract new"),
    ],
)
def test_wrong_use(
    directory: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
):
    """§8: exit 2."""
    code, _, said = command(capsys, directory, *arguments)
    assert code == 2, said
    assert words in said
