"""Samples: events of any contract that intake accepts, the same for a seed, other people for another."""

import json
from pathlib import Path

import pytest

from processors import Keys, Rules
from processors.trial import examine
from producers.samples import NoSample, declared_value, samples
from schemas import load_agreements, load_contracts, parse_instant
from schemas.identifiers import SCHEMES
from tests.contracts_kit import NAME, field, record, write
from tests.trial_kit import AT, PATH, TYPE, command, ground

ROOT = Path(__file__).parents[2]
AT_MS = parse_instant(AT)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return ground(tmp_path)


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
