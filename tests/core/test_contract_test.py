"""`postroom contract test`: a department's events through gate, intake and views, offline (E6, E7)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.cli import run
from postroom.settings import settings
from processors import Keys, Rules
from processors.trial import examine
from producers.samples import NoSample, declared_value, samples
from schemas import Found, Rejection, how_to_mend, load_agreements, load_contracts, parse_instant
from schemas.identifiers import SCHEMES
from tests.contracts_kit import DATE, NAME, SUBJECT, field, optional, record, write

ROOT = Path(__file__).parents[2]
TYPE = "uk.gov.libraries.reading-card.v1"
PATH = "libraries/reading-card.v1.avsc"
AT = "2026-06-01T12:00:00Z"
AT_MS = parse_instant(AT)
CARD = record(
    SUBJECT,
    field("nhs", optional("string"), {"identifier": "nhs", "role": "same-person"}, default=None),
    NAME,
    field("issued_on", DATE, {"term": "effective"}),
)
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "card-1",
    "source": "urn:gov:dwp:cards",
    "type": TYPE,
    "time": "2026-05-30T10:00:00Z",
    "data": {"nino": "NC 12 34 56 C", "name": "Ada", "issued_on": "2026-05-29"},
}
GRANT = {
    "version": 1,
    "subscriber": "council-leeds",
    "purpose": "reading",
    "gateway": None,
    "valid": {"from": "2026-01-01", "until": "2027-12-31"},
    "subject": "pairwise",
    "pairwise_group": None,
    "attributes": [{"attribute": "name"}],
    "honours_objection": True,
    "sees_restricted": False,
    "after_death": "stop",
    "delete_within": "P1D",
}


def agreement(directory: Path, name: str, **more: Any) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    said = {"agreement": name, "scope": "everyone"} | GRANT | more
    (directory / f"{name}.yaml").write_text(json.dumps(said), encoding="utf-8")  # JSON is YAML


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    agreement(tmp_path / "agreements", "leeds-power", basis="public_task", gateway="Libraries Act, s 7")
    agreement(tmp_path / "agreements", "leeds-asks", basis="consent")
    return write(tmp_path / "contracts", {PATH: CARD})


@pytest.fixture
def tried(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Run the command on lines; its exit code, its document and its words."""
    settings.cache_clear()

    def run_on(lines: list[bytes | str | dict[str, Any]], *more: str) -> tuple[int, dict[str, Any], str]:
        file = directory.parent / "events.jsonl"
        written = [json.dumps(each) if isinstance(each, dict) else each for each in lines]
        file.write_bytes(b"".join((w if isinstance(w, bytes) else w.encode()) + b"\n" for w in written))
        return command(capsys, directory, TYPE, str(file), "--at", AT, *more)

    return run_on


def command(
    capsys: pytest.CaptureFixture[str], directory: Path, *arguments: str
) -> tuple[int, dict[str, Any], str]:
    where = ["--contracts", str(directory), "--agreements", str(directory.parent / "agreements")]
    code = run(["contract", "test", *where, *arguments, "-o", "json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {}, said.err


Try = Callable[..., tuple[int, dict[str, Any], str]]


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


def changed(**more: Any) -> dict[str, Any]:
    return EVENT | more


def data(**more: Any) -> dict[str, Any]:
    return EVENT | {"data": EVENT["data"] | more}


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
    state = {"type": "enum", "name": "State", "symbols": ["GRANTED", "WITHDRAWN"]}
    terms = {"subscriber": "string", "purpose": "string", "categories": {"type": "array", "items": "string"}}
    made = [field(name, type_, {"term": name}) for name, type_ in (terms | {"state": state}).items()]
    write(directory, {PATH: CARD, "consent/decision.v1.avsc": record(*made, kind="consent")})
    said = {"subscriber": "council-leeds", "purpose": "reading", "categories": [], "state": "GRANTED"}
    granted = changed(id="g-1", type="uk.gov.consent.decision.v1", data={"nino": "NC123456C"} | said)
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
    state = {"type": "enum", "name": "State", "symbols": ["GRANTED", "WITHDRAWN"]}
    terms = {"subscriber": "string", "purpose": "string", "categories": {"type": "array", "items": "string"}}
    made = [field(name, type_, {"term": name}) for name, type_ in (terms | {"state": state}).items()]
    write(directory, {PATH: CARD, "consent/decision.v1.avsc": record(*made, kind="consent")})
    agreement(directory.parent / "agreements", "leeds-other", basis="consent", purpose="parking")
    said = {"subscriber": "council-leeds", "purpose": "reading", "categories": [], "state": "WITHDRAWN"}
    event = changed(id="w-1", type="uk.gov.consent.decision.v1", data={"nino": "NC123456C"} | said)
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
    settings.cache_clear()
    code, _, said = command(capsys, directory, *arguments)
    assert code == 2, said
    assert words in said


@pytest.mark.parametrize("which", ["schemas", "tests/cases/contracts"])
@pytest.mark.parametrize("seed", [0, 7])
def test_samples_of_every_contract_are_accepted(which: str, seed: int):
    """Valid identifiers, every type of field, every kind; nothing that intake rejects."""
    contracts = load_contracts(ROOT / which)
    rules = Rules(contracts, {}, Keys(b"x"))
    for contract in contracts.by_type.values():
        for event in samples(contract, contracts, 6, AT_MS, seed):
            verdict = examine(json.dumps(event).encode(), rules, AT_MS)
            assert verdict.reason is None, (contract.type, verdict)


@pytest.mark.parametrize("scheme", [row.name for row in SCHEMES])
def test_every_built_in_scheme_has_samples(tmp_path: Path, scheme: str):
    """I1: a contract of any scheme can be tried out; of other people other values."""
    subject = field("who", "string", {"identifier": scheme, "role": "subject"})
    contracts = load_contracts(write(tmp_path, {PATH: record(subject, NAME)}))
    made = [samples(contracts.by_type[TYPE], contracts, 3, AT_MS, seed) for seed in (0, 1)]
    values = [str(event["data"]["who"]) for events in made for event in events]  # type: ignore[index]
    assert len({contracts.schemes.canonical(scheme, value) for value in values}) == len(values)


def test_samples_are_the_same_for_the_same_seed_and_about_other_people_for_another(
    directory: Path, capsys: pytest.CaptureFixture[str]
):
    """A first sample that says all, a second that says what it must; kept in a new file only."""
    texts = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        to = directory.parent / name
        code, document, said = command(capsys, directory, TYPE, "--sample", "--seed", seed, "--to", str(to))
        assert code == 0, said
        assert [line["verdict"] for line in document["lines"]] == ["accepted"] * 5
        assert {v["agreement"] for v in document["views"]} == {"leeds-power", "leeds-asks"}
        texts.append(to.read_text())
    assert texts[0] == texts[1]
    ninos = [{json.loads(line)["data"]["nino"] for line in text.splitlines()} for text in texts]
    assert len(ninos[0]) == 5
    assert not ninos[0] & ninos[2]
    first, second = (json.loads(line)["data"] for line in texts[0].splitlines()[:2])
    assert (sorted(first), sorted(second)) == (
        ["issued_on", "name", "nhs", "nino"],
        ["issued_on", "name", "nino"],
    )
    again, _, said = command(capsys, directory, TYPE, "--sample", "--to", str(directory.parent / "a"))
    assert again == 2
    assert "cannot be written" in said


def test_a_sample_of_consents_changes_the_views_that_they_permit():
    """C1: sample decisions name the subscribers and purposes of the agreements that there are."""
    contracts = load_contracts(ROOT / "schemas")
    agreements = load_agreements(ROOT / "schemas" / "agreements", contracts)
    terms = [{"subscriber": a.subscriber, "purpose": a.purpose} for a in agreements.values()]
    made = samples(contracts.by_type["uk.gov.consent.decision.v1"], contracts, len(terms), AT_MS, 0, terms)
    said = {(event["data"]["subscriber"], event["data"]["purpose"]) for event in made}
    assert said == {(a.subscriber, a.purpose) for a in agreements.values()}


@pytest.mark.parametrize(
    ("pattern", "serial", "value"),
    [
        ("[0-9]{8}", 42, "00000042"),
        ("CARD-[A-Z][0-9]{3}", 1007, "CARD-B007"),
        ("E0[6-9][0-9]{6}-[0-9]{8}", 5, "E06000000-00000005"),
    ],
)
def test_a_declared_scheme_gives_another_value_for_another_serial(pattern: str, serial: int, value: str):
    """E5: as far as its pattern has room."""
    assert declared_value(pattern, serial) == value


def test_a_pattern_that_defies_guessing_is_said(directory: Path, capsys: pytest.CaptureFixture[str]):
    """E5: wrong use, with what to do instead."""
    with pytest.raises(NoSample):
        declared_value("(?!1)[0-9]{8}", 1)
    hard = "schemes:\n  ctax: {description: Account, owner: council-leeds, pattern: '(?!1)[0-9]{8}'}\n"
    account = field("account", "string", {"identifier": "ctax", "role": "subject"})
    write(directory, {PATH: record(account, NAME)}, identifiers=hard)
    code, _, said = command(capsys, directory, TYPE, "--sample")
    assert code == 2
    assert "write some events by hand" in said
