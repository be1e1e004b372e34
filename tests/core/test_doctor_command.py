"""`postroom doctor` as a person runs it: what it ends with where little or nothing can be reached or read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from postroom.cli import run
from tests.core.test_house import ROOT


def test_without_anything_to_reach_the_command_ends_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """DESIGN §8: and what can be said without it is said."""
    from postroom.settings import settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTROOM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("POSTROOM_CONTRACTS", str(ROOT / "schemas"))
    monkeypatch.setenv("POSTROOM_AGREEMENTS", str(ROOT / "schemas" / "agreements"))
    settings.cache_clear()
    try:
        assert run(["doctor", "-o", "json"]) == 3
    finally:
        settings.cache_clear()
    told = json.loads(capsys.readouterr().out)
    assert "reach" in {each["check"] for each in told}


def test_a_setting_that_cannot_be_read_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The doctor does not fall over what it is there to find."""
    from postroom.settings import settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTROOM_PARTITIONS", "many")
    settings.cache_clear()
    try:
        assert run(["doctor", "-o", "json"]) == 1
    finally:
        settings.cache_clear()
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["check"], told["severity"]) == ("settings", "fault")
