"""`postroom agreement diff`: what a proposed set grants anew and gives nobody, and why (C6, C7, §8)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from postroom.commands.agreement import diff
from postroom.config import load_settings
from postroom.output import Form
from tests.nasty.generate import CASES
from tests.trial_kit import agreement

EVENTS = CASES / "10-death" / "events.jsonl"
AT = (CASES / "10-death" / "at.txt").read_text().strip()
POWER = {"basis": "public_task", "gateway": "Some Act s.1"}
NAME, DEATH, ADDRESS, PRACTICE, LICENCE = (
    {"attribute": name} for name in ("name", "death", "address", "practice", "licence")
)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read them anew, and leave none behind for other tests."""
    monkeypatch.setattr("postroom.settings.settings", load_settings)


def differing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    proposed: dict[str, Any],
    now: dict[str, Any] | None = None,
    events: Path = EVENTS,
    form: Form = Form.JSON,
) -> tuple[int, Any]:
    """The command over three persons, of whom one has died; an agreement `x` is proposed."""
    (tmp_path / "now").mkdir()
    if now is not None:
        agreement(tmp_path / "now", "x", **now)
    agreement(tmp_path / "draft", "x", **proposed)
    code = 0
    try:
        diff(events, tmp_path / "draft", AT, CASES / "contracts", tmp_path / "now", form)
    except typer.Exit as ended:
        code = ended.exit_code
    out = capsys.readouterr().out
    return code, json.loads(out) if form is Form.JSON else out


def reasons(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """What gives nothing, why, and to how many."""
    return [(row["field"], row["reason"], row["persons"]) for row in rows if "reason" in row]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"basis": "consent"}, "no-consent"),
        (POWER | {"valid": {"from": "2027-01-01", "until": "2027-12-31"}}, "agreement-not-in-force"),
        (POWER | {"scope": "enrolled"}, "out-of-scope"),
        (POWER | {"subject": "utr"}, "no-subject-identifier"),
    ],
)
def test_an_attribute_that_gives_nothing_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: dict[str, Any], reason: str
) -> None:
    """C6: in the reasons of the decision, each with how many persons; nobody gains, so it is exit 0."""
    code, rows = differing(tmp_path, capsys, said | {"after_death": "continue"})
    assert (code, reasons(rows)) == (0, [("name", reason, 3)])


def test_why_differs_from_person_to_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C6, C7: one has died and nobody said where they live, the others are not among whom it is about."""
    said = POWER | {"scope": "deceased", "after_death": "continue", "attributes": [ADDRESS]}
    code, rows = differing(tmp_path, capsys, said)
    assert (code, reasons(rows)) == (0, [("address", "out-of-scope", 2), ("address", "no-value", 1)])


def test_what_somebody_gains_needs_no_excuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """§8: only what gives nobody anything is explained; who gains is counted as before."""
    before, after = (
        POWER | {"attributes": [NAME]},
        POWER | {"version": 2, "attributes": [NAME, DEATH, PRACTICE]},
    )
    code, rows = differing(tmp_path, capsys, after | {"after_death": "continue"}, before)
    assert code == 1
    assert [(row["field"], row["gain"]) for row in rows if "gain" in row] == [
        ("death", 1),
        ("name.family", 1),
        ("name.given", 1),
    ]
    assert reasons(rows) == [("practice", "no-value", 3)]


def test_a_field_added_to_an_attribute_is_explained_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C5: `fields` widened, or left out; what was granted before is not spoken of."""
    before = POWER | {"attributes": [ADDRESS | {"fields": ["postcode"]}, NAME]}
    after = POWER | {"version": 2, "attributes": [ADDRESS | {"fields": ["postcode", "lines"]}, NAME]}
    assert differing(tmp_path, capsys, after, before) == (
        0,
        [
            {
                "agreement": "x",
                "field": "address.lines",
                "reason": "no-value",
                "because": "nothing is said of it that holds at this moment",
                "persons": 2,
            },
            {
                "agreement": "x",
                "field": "address.lines",
                "reason": "deceased",
                "because": "the person has died and the agreement ends with death",
                "persons": 1,
            },
        ],
    )


def test_events_about_nobody_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """§8: of no person nothing can be told, and that is told."""
    (tmp_path / "none.jsonl").write_text("\n")
    code, rows = differing(tmp_path, capsys, POWER, events=tmp_path / "none.jsonl")
    assert (code, reasons(rows)) == (0, [("name", "no-person", 0)])


def test_a_table_keeps_the_two_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """§8: who gains and loses; then what gives nothing."""
    _, out = differing(tmp_path, capsys, POWER | {"attributes": [NAME, LICENCE]}, form=Form.TABLE)
    heads = [line.split() for line in out.splitlines() if line.startswith("agreement")]
    assert heads == [
        ["agreement", "field", "gain", "lose", "changed"],
        ["agreement", "field", "reason", "because", "persons"],
    ]


def test_an_agreement_that_comes_or_goes_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C5: fields that are lost with a whole agreement are more than a change, and a copy may lack one."""
    everybody = POWER | {"attributes": [NAME]}
    (tmp_path / "none").mkdir()
    agreement(tmp_path / "one", "x", **everybody)
    told = []
    for now, proposed in (("one", "none"), ("none", "one")):
        with pytest.raises(typer.Exit):
            diff(EVENTS, tmp_path / proposed, AT, CASES / "contracts", tmp_path / now, Form.TABLE)
        told.append(capsys.readouterr().err)
    assert "x is gone: each view under it is taken back, and its subscriber owes the deletion" in told[0]
    assert "x is new" in told[1]
