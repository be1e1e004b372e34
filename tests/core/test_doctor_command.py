"""`postroom doctor` as a person runs it: what it makes of what cannot be reached or read, or not yet."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from connectors import NotYet, Unreachable
from postroom.cli import run
from postroom.doctor import ground
from postroom.doctor.checks import examine
from processors import rules
from tests.core.test_house import ROOT
from tests.doctor_kit import healthy


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


class Clock:
    """Stands still but for whoever sleeps, of whom three come into the doctor's patience."""

    time_ns = staticmethod(time.time_ns)

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic(self) -> float:
        """Return the moment."""
        return self._now_s

    def sleep(self, _seconds: float) -> None:
        """Let time pass."""
        self._now_s += ground.SOON_S / 2.5


@pytest.mark.parametrize(
    ("answers", "asked", "faults"),
    [
        ([NotYet("no coordinator"), NotYet("no coordinator"), None], 3, 0),
        ([NotYet("no coordinator")] * 9, 4, 1),
        ([Unreachable("nobody answers"), None], 1, 1),
    ],
    ids=["soon", "never", "away"],
)
def test_a_kafka_that_says_soon_is_asked_again_for_some_seconds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[Exception | None],
    asked: int,
    faults: int,
):
    """Seconds after the first `topics apply` Kafka has no coordinator of groups, and nothing is wrong; one
    that does not answer at all is not waited for.
    """
    monkeypatch.setattr(rules, "_FINGERPRINT_ROUNDS", 1)  # slow on purpose, and nothing here hangs on it
    well, asks = healthy(tmp_path), []

    def group_facts(*_: object) -> object:
        asks.append(1)
        if (answer := answers[len(asks) - 1]) is not None:
            raise answer
        return well.groups

    monkeypatch.setattr(ground, "group_facts", group_facts)
    monkeypatch.setattr(ground, "stack_status", lambda _: [])
    monkeypatch.setattr(ground, "find_stack", lambda _: well.stack)
    monkeypatch.setattr(ground, "cluster_facts", lambda *_: well.cluster)
    monkeypatch.setattr(ground.kafka_plan, "plan", lambda *_: well.differences)
    monkeypatch.setattr(ground, "skews", lambda *_: well.skews)
    monkeypatch.setattr(ground, "recorded", lambda _: well.recorded)
    monkeypatch.setattr(ground, "registry_facts", lambda *_: well.registry)
    monkeypatch.setattr(ground, "presented", lambda _: ())
    monkeypatch.setattr(ground, "time", Clock())
    found = examine(ground.gather(well.settings))
    assert len(asks) == asked
    assert [each.check for each in found if each.check == ground.GATHERING] == [ground.GATHERING] * faults
