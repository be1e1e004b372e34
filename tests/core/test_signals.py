"""What every process shows: metrics, whether it lives, whether it is ready; and how its log reads."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import structlog

from connectors.signals import Signals
from connectors.trouble import Misused
from processors.engine import stops
from processors.engine.journal import Libraries, say_notices
from processors.engine.metrics import STOPS, TRANSACTIONS
from processors.engine.readiness import Readiness
from processors.engine.settings import EngineConfig
from processors.stage import Notice


def asked(url: str) -> tuple[int, str]:
    """Status and body of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_one_server_answers_for_metrics_and_health():
    """Live while it turns, ready once it waits for nothing; other paths are nobody's."""
    waiting, alive = ["identity: an assignment"], [True]
    signals = Signals("worker", "127.0.0.1", 0, lambda: waiting, lambda: alive[0])
    try:
        assert asked(f"{signals.url}/health/live") == (200, '{"status": "live"}')
        status, body = asked(f"{signals.url}/health/ready")
        assert (status, json.loads(body)) == (503, {"status": "waiting", "for": waiting})
        waiting.clear()
        assert asked(f"{signals.url}/health/ready")[0] == 200
        alive[0] = False
        assert asked(f"{signals.url}/health/live")[0] == 503
        assert asked(f"{signals.url}/")[0] == 404
        status, page = asked(f"{signals.url}/metrics")
        assert status == 200
        assert re.search(r'postroom_build_info\{process="worker",python="3[^"]+",version="[^"]+"\} 1', page)
    finally:
        signals.close()


def test_what_a_system_answers_is_a_gauge():
    """1 when it answered, 0 when it said why not."""
    signals = Signals("worker", "127.0.0.1", 0, list, systems={"here": lambda: None, "gone": lambda: "no"})
    try:
        for _ in range(500):
            page = asked(f"{signals.url}/metrics")[1]
            if 'postroom_reachable{system="here"} 1.0' in page and 'system="gone"} 0.0' in page:
                return
        raise AssertionError(page)
    finally:
        signals.close()


def test_a_process_is_not_ready_while_what_it_needs_does_not_answer():
    """Kafka is needed; that the registry is silent hinders nobody who has read it."""
    silent = {"kafka": "no", "registry": "no"}
    systems = {name: lambda name=name: silent.get(name) for name in silent}
    signals = Signals("sink", "127.0.0.1", 0, list, systems=systems, needed=("kafka",))  # type: ignore[arg-type]
    try:
        for _ in range(500):
            status, body = asked(f"{signals.url}/health/ready")
            if status == 503:
                break
        assert json.loads(body) == {"status": "waiting", "for": ["kafka to answer"]}
        signals._note("kafka", None)
        assert asked(f"{signals.url}/health/ready")[0] == 200
    finally:
        signals.close()


def test_a_place_that_is_taken_is_said_with_how_to_mend_it():
    """Two processes on one port is the usual mistake."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Misused, match="cannot be served") as refused:
            Signals("worker", "127.0.0.1", taken.getsockname()[1], list)
        assert "POSTROOM_METRICS_PORT" in refused.value.mend


def test_a_worker_is_ready_when_every_stage_holds_its_tasks_open():
    """Not while it waits for an assignment or restores; a stage without tasks does not hinder."""
    ready = Readiness()
    ready.expect(["persons", "record"])
    assert ready.waiting_for() == ["persons: an assignment", "record: an assignment"]
    ready.holds("persons", 0, 0)
    ready.holds("record", 3, 1)
    assert ready.waiting_for() == ["record: 2 of 3 tasks to be restored"]
    ready.holds("record", 3, 3)
    assert ready.waiting_for() == []
    ready.lost("record")
    assert ready.waiting_for() == ["record: an assignment"]
    ready.holds("record", 0, 0)
    assert ready.waiting_for() == ["no task is open"]


def test_a_worker_whose_loop_does_not_turn_is_not_alive():
    """A minute without a turn; one that has not begun is given the time."""
    now = [0.0]
    ready = Readiness(lambda: now[0])
    assert ready.is_alive()

    async def turn() -> None:
        ready.beat(asyncio.get_running_loop())

    asyncio.run(turn())
    now[0] = 59
    assert ready.is_alive()
    now[0] = 61
    assert not ready.is_alive()


def test_how_a_process_ended_is_told_by_the_next_one(tmp_path):
    """A process that ends is never scraped again, so its end is kept beside its state."""
    config = EngineConfig("", tmp_path, "one")
    try:
        stops.remember_stops(config)
        stops.note_transaction("record", "fenced")
        stops.note_stop("SenderGap")
        stops.note_stop("SenderGap")
        before = STOPS.labels("SenderGap")._value.get(), TRANSACTIONS.labels("record", "fenced")._value.get()
        stops.remember_stops(config)
        assert STOPS.labels("SenderGap")._value.get() == before[0] + 2
        assert TRANSACTIONS.labels("record", "fenced")._value.get() == before[1] + 1
        (tmp_path / "one" / "stops.json").write_text("half a fi")
        stops.remember_stops(config)
        stops.note_stop("SenderGap")
    finally:
        stops.remember_stops(EngineConfig("", None))


@pytest.fixture
def logged(monkeypatch, capfd) -> Iterator[object]:
    """What a log says under a format, as bytes on the real stderr."""

    def through(log_format: str, level: str = "INFO") -> list[str]:
        code = (
            "from postroom.config import load_settings; from pathlib import Path\n"
            "from postroom.logs import configure_logs; from processors.engine.journal import say\n"
            f"configure_logs(load_settings({{'POSTROOM_LOG_FORMAT': '{log_format}', "
            f"'POSTROOM_LOG_LEVEL': '{level}'}}, Path('.')))\n"
            "say('ready', stage='record'); say('rules-wait', 'warning', what='a\\x1b[2J b')\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert done.stdout == b""
        return done.stderr.decode().splitlines()

    yield through
    structlog.reset_defaults()


def test_a_log_that_no_terminal_reads_is_json(logged):
    """One object a line, with when and how grave."""
    lines = [json.loads(line) for line in logged("auto")]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("ready", "info"),
        ("rules-wait", "warning"),
    ]
    assert all(line["at"].endswith("Z") for line in lines)


def test_a_log_for_a_terminal_is_words_that_a_stranger_cannot_make_commands_of(logged):
    """An event's id is a stranger's word: no control character of it reaches the terminal."""
    said = "\n".join(logged("console"))
    assert "ready" in said
    assert "\x1b[2J" not in said


def test_a_level_leaves_out_what_is_less_grave(logged):
    """WARNING and worse."""
    assert [json.loads(line)["event"] for line in logged("json", "WARNING")] == ["rules-wait"]


def test_notices_name_events_and_are_bounded(monkeypatch):
    """A department that sends nothing but rubbish fills topics, not the log; a long name is cut."""
    notices = [Notice("rejected", "undecodable", "urn:gov:dwp:x", "n" * 300, "00-ab-cd-01")] * 50
    lines: list[dict[str, object]] = []

    def kept(event: str, **fields: object) -> None:
        lines.append({"event": event, **fields})

    monkeypatch.setattr("processors.engine.journal.say", kept)
    say_notices("intake", 2, notices)
    assert len(lines) == 21
    assert lines[0]["traceparent"] == "00-ab-cd-01"
    assert len(str(lines[0]["id"])) == 201
    assert lines[-1] == {"event": "more-notices", "stage": "intake", "partition": 2, "events": 30}


def test_a_library_does_not_put_its_arguments_into_the_log(monkeypatch):
    """They may be an exception that quotes somebody's data; Kafka's clients know of none."""
    said: list[str] = []
    monkeypatch.setattr("processors.engine.journal.say", lambda *_, **fields: said.append(fields["message"]))
    for name in ("mode.services", "aiokafka.consumer"):
        Libraries().emit(logging.LogRecord(name, logging.ERROR, "", 1, "crashed: %r", ("it",), None))
    assert said == ["crashed: %r", "crashed: 'it'"]


def test_a_library_that_says_the_same_a_hundred_times_a_second_is_written_once_in_a_while():
    """A client that is not let in must not fill the disk; another sentence is written at once."""
    now_s = [100.0]
    libraries = Libraries(lambda: now_s[0])

    def log(message: str) -> None:
        libraries.emit(logging.LogRecord("aiokafka", logging.ERROR, "", 0, message, None, None))

    with structlog.testing.capture_logs() as said:
        for _ in range(500):
            log("not let in")
        log("no leader")
        now_s[0] += 10
        log("not let in")
    assert [each["message"] for each in said] == ["not let in", "no leader", "not let in"]
