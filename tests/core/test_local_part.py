"""A process of the local stack that lost its port is started again on another one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from connectors import local_part
from connectors.local_kafka import LocalKafka
from connectors.local_part import data_of, log_of, no_room, port_was_taken
from connectors.local_registry import LocalRegistry
from connectors.ports import LOOPBACK, free_port

BOUND = '{"level": "ERROR", "message": "Port already bound: 24432"}\n'


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory in which the registry has had its home."""
    log_of(LocalRegistry(), tmp_path).parent.mkdir()
    return tmp_path


def test_a_port_is_taken_when_the_log_says_so(state: Path) -> None:
    """Whoever took it may have gone again."""
    log_of(LocalRegistry(), state).write_text(BOUND)
    assert port_was_taken(LocalRegistry(), (free_port(),), state)


def test_a_port_is_taken_when_somebody_sits_there(state: Path) -> None:
    """The words may stand above a trace that is longer than the end of the log that is read."""
    log_of(LocalRegistry(), state).write_text(BOUND + "at x.y.z\n" * 4_000)
    with socket.create_server((LOOPBACK, free_port())) as other:
        assert port_was_taken(LocalRegistry(), (other.getsockname()[1],), state)


def test_what_ended_for_another_reason_is_not_tried_again(state: Path) -> None:
    """A full disk does not go away by another port."""
    log_of(LocalRegistry(), state).write_text("No space left on device\n")
    assert not port_was_taken(LocalRegistry(), (free_port(),), state)


def test_a_full_disk_is_told_by_what_is_free_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log's words about it stay when room was made, and the next end has another reason."""
    assert no_room(LocalKafka(), tmp_path) == "", "nothing was ever kept"
    data_of(LocalKafka(), tmp_path).mkdir(parents=True)
    assert no_room(LocalKafka(), tmp_path) == ""
    monkeypatch.setattr(local_part, "ROOM_BYTES_MIN", 1 << 62)
    assert "its disk is full" in no_room(LocalKafka(), tmp_path)
