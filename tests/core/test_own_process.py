"""Processes that we started are known from the moment that they are, and only those."""

from __future__ import annotations

import sys
from pathlib import Path

from connectors import own_process
from connectors.own_process import OwnProcess


def begun(tmp_path: Path, script: str) -> OwnProcess:
    """A process with its token."""
    token = own_process.new_token()
    command = [sys.executable, "-S", "-c", script, token]
    return own_process.start(command, token, cwd=tmp_path, out=tmp_path / "out")


def test_what_was_just_started_is_found(tmp_path: Path) -> None:
    """At once, each time: what is not found is taken for dead, though its command line only comes late."""
    found = []
    for _ in range(20):
        own = begun(tmp_path, "import time; time.sleep(60)")
        found.append(own_process.find(own) is not None)
        assert own_process.stop([own]) == []
    assert all(found)


def test_what_ended_at_once_does_not_hold_up_its_start(tmp_path: Path) -> None:
    """It is started, and then not found."""
    own = begun(tmp_path, "raise SystemExit(3)")
    while own_process.find(own) is not None:
        pass
    assert own_process.stop([own]) == []


def test_a_pid_without_the_token_is_somebody_elses(tmp_path: Path) -> None:
    """Nor is it ended."""
    own = begun(tmp_path, "import time; time.sleep(60)")
    other = OwnProcess(own.pid, own_process.new_token(), own.started_at)
    assert own_process.find(other) is None
    assert own_process.stop([other]) == []
    assert own_process.find(own) is not None
    own_process.stop([own])
