"""What is not there: one exit code, a sentence on stderr, and data that programs can read (ADR 0064)."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

import connectors.kafka_reader
import connectors.kafka_views
from connectors.kafka_views import ReadRecord
from postroom.commands import audit, dlq, identity, view
from postroom.config import load_settings
from postroom.errors import Exit, UserError
from postroom.output import Form

AGREEMENTS = Path(__file__).parents[2] / "schemas" / "agreements"
HOUSING = "council-leeds-housing"
KEY = "s-" + "0" * 32
WITHDRAWN = ReadRecord("v", 0, 1, 0, KEY, None, {"postroom_reason": "ended"})
SHARED = ReadRecord("v", 0, 0, 0, "s-" + "1" * 32, {"name": None}, {"postroom_sequence": "1"})


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command on topics that hold what `view` is given, and nothing else."""
    for name, value in (("KAFKA", "127.0.0.1:9"), ("REGISTRY", "http://127.0.0.1:9"), ("SECRET", "any")):
        monkeypatch.setenv(f"POSTROOM_{name}", value)
    monkeypatch.setattr("postroom.settings.settings", load_settings)  # read anew in each test
    held: list[ReadRecord] = []

    class Views:
        def __init__(self, *_: object) -> None:
            pass

        def read(self, topic: str, follow: bool = False) -> Iterator[ReadRecord]:
            return iter(held)

    class Topics:
        def __init__(self, *_: object) -> None:
            pass

        def latest(self, topic: str) -> dict[bytes, Any]:
            return {}

        def read(self, topics: object) -> Iterator[Any]:
            return iter(())

    monkeypatch.setattr(connectors.kafka_views, "AvroReader", Views)
    monkeypatch.setattr(connectors.kafka_reader, "TopicReader", Topics)
    monkeypatch.setattr("postroom.installation.require_its_secret", lambda *_: None)
    monkeypatch.setattr("postroom.composition.reachable_registry", lambda _: None)
    monkeypatch.setattr("postroom.dead_letters.read_standings", lambda _: [])

    def ran(
        command: Callable[..., None], *arguments: Any, records: tuple[ReadRecord, ...] = (), **more: Any
    ) -> Ended:
        held[:] = records
        code = 0
        try:
            command(*arguments, **more)
        except (typer.Exit, UserError) as ended:
            code = int(ended.exit_code if isinstance(ended, typer.Exit) else ended.code)
        return Ended(code, *capsys.readouterr())

    return ran


@pytest.mark.parametrize("form", list(Form))
def test_a_key_without_a_view_ends_with_1_and_says_that_there_is_none(run: Callable[..., Ended], form: Form):
    """Whoever asks for a key learns that nothing is there, and what that may mean; programs get no row."""
    ended = run(view.view, HOUSING, key=KEY, output=form)
    assert ended.code == Exit.FOUND
    assert ended.out == ("[]\n" if form is Form.JSON else "")
    assert "there is no view under that key" in ended.err
    assert "no consent" in ended.err


def test_why_there_is_no_view_is_not_told(run: Callable[..., Ended]):
    """V2: the words are the same of a key that was retracted and of one that never was."""
    never = run(view.view, HOUSING, key=KEY)
    assert run(view.view, HOUSING, key=KEY, records=(SHARED, WITHDRAWN)) == never


@pytest.mark.parametrize(
    ("valid", "says"),
    [
        ("from: 2019-01-01, until: 2020-06-30", "is not in force any more: its last day was 30 June 2020"),
        ("from: 2098-02-01, until: 2099-12-31", "is not in force yet: it begins on 1 February 2098"),
    ],
)
def test_of_an_agreement_that_is_not_in_force_the_day_is_told(
    run: Callable[..., Ended], valid: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """C6: it will have no view, or none yet, whatever anybody consents to; that is nobody's secret."""
    shutil.copytree(AGREEMENTS, tmp_path / "agreements")
    file = tmp_path / "agreements" / f"{HOUSING}.yaml"
    text, replaced = re.subn("(?<=valid: {).*(?=})", valid, file.read_text())
    assert replaced == 1
    file.write_text(text)
    monkeypatch.setenv("POSTROOM_AGREEMENTS", str(tmp_path / "agreements"))
    for ended in (run(view.view, HOUSING), run(view.view, HOUSING, key=KEY)):
        assert f"{HOUSING} {says}" in ended.err
        assert "no consent" not in ended.err
        assert "yet:" not in ended.err.replace(says, "")
    assert f"{HOUSING} {says}" in run(view.view, HOUSING, follow=True).err
    left = run(view.view, HOUSING, output=Form.JSON, records=(SHARED,))
    assert (left.code, len(json.loads(left.out))) == (0, 1)
    assert f"{HOUSING} {says}; what is still there has not been taken back" in left.err


def test_a_key_with_a_view_ends_with_0(run: Callable[..., Ended]):
    """And says nothing beside it."""
    ended = run(view.view, HOUSING, key=SHARED.key, output=Form.JSON, records=(WITHDRAWN, SHARED))
    assert (ended.code, ended.err) == (0, "")
    assert [each["key"] for each in json.loads(ended.out)] == [SHARED.key]


def test_an_empty_list_is_an_answer_in_words(run: Callable[..., Ended]):
    """Nobody was asked for by name: 0, and a sentence where a bare heading was."""
    for command, words in (
        (lambda: view.view(HOUSING), "has no view yet"),
        (dlq.list_letters, "no dead letter is open"),
        (lambda: dlq.list_letters(reason=["oversized"]), "no such dead letter"),
        (identity.disputes, "no pair is disputed"),
    ):
        ended = run(command)
        assert (ended.code, ended.out) == (0, "")
        assert words in ended.err


def test_a_citizen_of_whom_nothing_is_known_ends_with_1(run: Callable[..., Ended]):
    """`identity show` and `audit person` end alike, and so does a letter that there is not."""
    for command, name in (
        (identity.show, "nino:NC000017A"),
        (audit.person, "nino:NC000017A"),
        (dlq.show, "t/0/1"),
    ):
        for form in Form:
            assert run(command, name, output=form).code == Exit.FOUND, (name, form)
    assert run(audit.person, "nino:NC000017A", output=Form.JSON).out == "[]\n"
    assert json.loads(run(identity.show, "nino:NC000017A", output=Form.JSON).out)["pairs"] == []
