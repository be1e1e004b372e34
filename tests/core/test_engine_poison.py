"""A record that a stage cannot step: its place is said, its content is not, and nothing is skipped."""

from __future__ import annotations

import json

import pytest

from processors.engine.poison import CannotStep, step_or_say_where
from processors.engine.trouble import EngineStop, SenderGap, stop_process
from processors.stage import Record, Step

CANARY = "Canary-Surname"


class Picky:
    """A stage that raises when it meets certain values, and sometimes only when they meet each other."""

    name = "picky"
    rules_version = None

    def __init__(self, error=ValueError):
        self.error = error

    def keys(self, batch):
        return set()

    def step(self, states, batch, wakes, now_ms):
        values = [record.value for record in batch]
        if b"poison" in values or {b"one", b"other"} <= set(values):
            raise self.error(CANARY)
        return Step()


def batch(*values: bytes) -> list[Record]:
    return [Record("postroom.pairs", 0, offset, 0, b"k", value) for offset, value in enumerate(values, 7)]


def test_a_batch_that_can_be_stepped_is():
    """And the step is the stage's own."""
    assert step_or_say_where(Picky(), {}.get, batch(b"a", b"b"), (), 0) == Step()


def test_the_first_record_that_cannot_be_stepped_is_named():
    """Topic, partition and offset, and never what the stage said about it."""
    with pytest.raises(CannotStep) as raised:
        step_or_say_where(Picky(), {}.get, batch(b"a", b"poison", b"poison"), (), 0)
    assert "picky cannot step postroom.pairs-0 offset 8 (ValueError)" in str(raised.value)
    assert CANARY not in str(raised.value)


def test_records_that_cannot_be_stepped_together_are_counted():
    """Where each alone goes well there is no one to name."""
    with pytest.raises(CannotStep, match="2 records and 1 wakes together"):
        step_or_say_where(Picky(), {}.get, batch(b"one", b"other"), (b"w",), 0)


def test_what_the_engine_itself_decides_passes():
    """A stop has its own words."""
    with pytest.raises(SenderGap):
        step_or_say_where(Picky(SenderGap), {}.get, batch(b"poison"), (), 0)


def test_the_end_of_the_process_shows_the_place_and_the_lines_of_the_stage(capfd, monkeypatch):
    """And nobody's data."""
    monkeypatch.setattr(
        "processors.engine.trouble.os._exit", lambda code: (_ for _ in ()).throw(SystemExit(code))
    )
    with pytest.raises(CannotStep) as raised:
        step_or_say_where(Picky(), {}.get, batch(b"poison"), (), 0)
    with pytest.raises(SystemExit) as ended:
        stop_process("picky-0", raised.value)
    said = json.loads(capfd.readouterr().err)
    assert ended.value.code == said["exit_code"] == 70
    assert said["error"] == "CannotStep"
    assert "offset 7" in said["message"]
    assert any(line.endswith(" step") and line.startswith("test_engine_poison.py") for line in said["lines"])
    assert CANARY not in json.dumps(said)
    assert issubclass(CannotStep, EngineStop)
