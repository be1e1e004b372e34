"""The local stack: starts once, survives, notices a death, and ends only what it started."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from connectors import Silent, Stack, ensure_stack, find_stack, stack_status, stop_stack
from connectors.reachable import kafka_problem
from connectors.state_files import read_json, write_json
from connectors.trouble import Unreachable
from postroom.config import Settings, load_settings

pytestmark = [pytest.mark.flow, pytest.mark.timeout(500)]

SCHEMA = {"schema": '{"type": "record", "name": "A", "fields": []}'}


class Heard(Silent):
    """A report that remembers."""

    def __init__(self):
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Settings]:
    """Settings of a stack of this test's own, in a directory whose name is unkind to configuration files."""
    if request.config.getoption("--stack") != "local":
        pytest.skip("these tests are about the local stack")
    state = Path(tempfile.mkdtemp(prefix="post room ü,;=")) / "state"
    environ = {"POSTROOM_STATE": str(state), "POSTROOM_CACHE": str(stack_settings.cache_dir)}
    settings = load_settings(environ, state.parent)
    try:
        yield settings
    finally:
        stop_stack(settings)
        shutil.rmtree(state.parent, ignore_errors=True)


def pid(settings: Settings, part: str) -> int:
    return int(read_json(settings.state_dir / "stack.json")[part]["pid"])


def states(settings: Settings) -> dict[str, str]:
    return {part.part: part.state for part in stack_status(settings)}


def test_the_shared_stack_answers(stack: Stack):
    """Kafka has a broker; the registry takes FULL_TRANSITIVE as a subject's rule (E6)."""
    assert kafka_problem(stack.access) is None
    config = f"{stack.registry}/apis/ccompat/v7/config/stack-test-value"
    assert httpx.put(config, json={"compatibility": "FULL_TRANSITIVE"}).is_success
    assert httpx.get(config).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}


def test_its_life(own: Settings):
    """Up, up again, a broker's death, up, down, up: nothing is started twice and nothing is lost; the local
    identity key is made once, for its owner only (I4).
    """
    first = ensure_stack(own)
    assert states(own) == {"kafka": "running", "registry": "running"}
    pids = pid(own, "kafka"), pid(own, "registry")
    secret = own.secret_bytes()
    assert len(secret) == 64
    assert (own.state_dir / "secret").stat().st_mode & 0o777 == 0o600
    assert ensure_stack(own) == first == find_stack(own)
    assert pids == (pid(own, "kafka"), pid(own, "registry"))
    assert own.secret_bytes() == secret

    _bound_to_loopback_only(pids)
    _bounded_memory(pids)
    subject = f"{first.registry}/apis/ccompat/v7/subjects/kept-value/versions"
    schema_id = httpx.post(subject, json=SCHEMA).json()["id"]
    httpx.put(
        f"{first.registry}/apis/ccompat/v7/config/kept-value", json={"compatibility": "FULL_TRANSITIVE"}
    )
    _write_record(first.kafka)

    os.kill(pids[0], signal.SIGKILL)
    _gone(pids[0])
    assert states(own) == {"kafka": "dead", "registry": "running"}
    with pytest.raises(Unreachable, match="runs in part"):
        find_stack(own)
    heard = Heard()
    assert ensure_stack(own, heard) == first, "a stack comes back where it was"
    assert any("has died" in line and "kafka.log" in line for line in heard.lines)
    assert pid(own, "registry") == pids[1], "what lives is left alone"

    assert sorted(stop_stack(own)) == ["Kafka", "Registry"]
    assert states(own) == {"kafka": "stopped", "registry": "stopped"}
    assert stop_stack(own) == []
    with pytest.raises(Unreachable, match="not running"):
        find_stack(own)
    again = ensure_stack(own)
    assert own.secret_bytes() == secret
    assert _read_record(again.kafka) == b"kept"
    kept = httpx.get(f"{again.registry}/apis/ccompat/v7/subjects/kept-value/versions/1").json()
    assert kept["id"] == schema_id
    rule = httpx.get(f"{again.registry}/apis/ccompat/v7/config/kept-value").json()
    assert rule == {"compatibilityLevel": "FULL_TRANSITIVE"}


def test_down_never_ends_a_process_that_took_over_the_pid(own: Settings):
    """A pid without our token is somebody else's."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        entry = {
            "pid": other.pid,
            "token": "postroom-of-yesterday",
            "started_at": time.time(),
            "ports": [1, 2],
        }
        write_json(own.state_dir / "stack.json", {"kafka": entry})
        assert states(own)["kafka"] == "dead"
        assert stop_stack(own) == []
        assert other.poll() is None
        other.kill()


def test_two_ups_at_once_start_one_stack(own: Settings):
    """The second waits for the first and finds it running."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    environ |= {"POSTROOM_STATE": str(own.state_dir), "POSTROOM_CACHE": str(own.cache_dir)}
    command = [sys.executable, "-c", "from postroom.cli import main; main()", "up", "-o", "json"]
    both = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [up.communicate(timeout=120) for up in both]
    assert [up.returncode for up in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert sum("starting Kafka and Registry" in words for _, words in said) == 1


def test_an_interrupted_up_leaves_nothing_running(own: Settings):
    """Ctrl-C in the middle ends what was begun."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    environ |= {"POSTROOM_STATE": str(own.state_dir), "POSTROOM_CACHE": str(own.cache_dir)}
    command = [sys.executable, "-c", "from postroom.cli import main; main()", "up"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as up:
        deadline = time.monotonic() + 60
        while "pid" not in read_json(own.state_dir / "stack.json").get("registry", {}):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child = pid(own, "registry")
        up.send_signal(signal.SIGINT)
        _, words = up.communicate(timeout=60)
    assert up.returncode == 130, words
    assert "Traceback" not in words
    _gone(child)
    assert set(states(own).values()) == {"stopped"}


def _gone(number: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{number} still lives"
        time.sleep(0.05)


def _bound_to_loopback_only(pids: tuple[int, ...]) -> None:
    listening = [
        connection.laddr.ip
        for number in pids
        for connection in psutil.Process(number).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def _bounded_memory(pids: tuple[int, ...]) -> None:
    kafka, registry = (" ".join(psutil.Process(number).cmdline()) for number in pids)
    assert "-Xmx512m" in kafka
    assert "-Xmx320m" in registry


def _write_record(bootstrap: str) -> None:
    from kafka import KafkaProducer
    from kafka.admin import KafkaAdminClient, NewTopic

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name="kept", num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    producer.send("kept", b"kept").get(timeout=20)
    producer.close()


def _read_record(bootstrap: str) -> bytes:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        "kept", bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    try:
        return bytes(next(iter(consumer)).value)
    finally:
        consumer.close()
