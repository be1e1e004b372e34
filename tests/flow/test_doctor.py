"""Doctor, status and watch on a real installation: nothing on a healthy one, each fault on a spoiled one."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from connectors.ports import free_port
from postroom.config import Settings
from postroom.doctor.work import MARKERS_MAX
from producers import synthetic
from tests.doctor_kit import certificate
from tests.flow.spine import (
    COMMAND,
    PARTITIONS,
    ROOT,
    SHELL,
    STRUCTURED,
    Installation,
    decided,
    installation,
    now_ms,
    registered,
)

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(600)]

TYPE = "uk.gov.health.demographics.v1"
VIEW = "view.council-york-carers"
HOUR_MS = 3_600_000
HONEST = {"transactions", "replication", "permissions"}
"""What one node on one machine cannot help: everything is there once, and nobody keeps permissions."""
BY_DATE = {"agreements"}
"""The agreements of this repository end some day, which is no fault of the installation."""


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Installation]:
    """An installation with one worker whose figures can be had, one citizen's view, and one dead letter."""
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as made:
        del made.environ["POSTROOM_SECRET"]  # the local stack's own, which nobody can guess
        made.environ["POSTROOM_METRICS_PORT"] = str(free_port())
        made.start("a", SHELL)
        nhs = synthetic.nhs_number(230_001)
        made.publish([registered(nhs, now_ms() - HOUR_MS), decided(nhs, "GRANTED", now_ms() - HOUR_MS)])
        made.produce(TYPE, b"nonsense", STRUCTURED, partition=0)
        made.flushed()
        made.settle()
        yield made


def test_a_healthy_installation_gets_notes_and_no_more(own: Installation):
    """Exit 0: what a local stack cannot help is said, and fails nothing."""
    ready = own.command("status", "--ready", "--wait", "60")
    assert ready.returncode == 0, ready.stderr.decode()
    done = own.command("doctor", "-o", "json")
    assert done.returncode in (0, 1), done.stderr.decode()
    every = json.loads(done.stdout)
    found = [each for each in every if each["check"] not in BY_DATE]
    assert {(each["check"], each["severity"]) for each in found} == {(name, "note") for name in HONEST}, found
    assert done.returncode == any(each["severity"] != "note" for each in every)


def test_status_tells_scripts_all_of_it(own: Installation):
    """One object: what runs, who works, what waits; exit 0 when every stage has a worker."""
    done = own.command("status", "--ready", "--wait", "60", "-o", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ready"], told["waiting_for"]) == (0, True, [])
    assert [part["state"] for part in told["stack"]] == ["running", "running"]
    assert {stage["stage"]: stage["workers"] for stage in told["stages"]} == dict.fromkeys(
        ("intake", "identity", "persons", "record", "obligations"), 1
    )
    assert all(stage["lag"] <= MARKERS_MAX * PARTITIONS for stage in told["stages"])
    assert {stage["waiting"] for stage in told["stages"]} == {0}, "markers of transactions are no records"
    assert told["dead_letters"]["open"] == 1
    assert told["obligations"] == {"open": 0, "overdue": 0}


def test_watch_once_shows_promises_flow_consent_letters_and_obligations(own: Installation):
    """One screen as text and as a picture, without a terminal; the worker's own figures are in it."""
    picture = own.place / "watch.svg"
    done = own.command("watch", "--once", "--every", "1", "--svg", str(picture))
    assert done.returncode == 0, done.stderr.decode()
    screen = done.stdout.decode()
    for words in ("ready", "promises", "flow by stage", "consent and disclosure", "undecodable", "none open"):
        assert words in screen
    assert "council-york-carers" in screen, screen
    assert picture.read_text().startswith("<svg")
    without = own.command("watch", "--once", "--every", "1", POSTROOM_METRICS_PORT="0")
    assert "no worker's figures" in without.stdout.decode()
    assert own.command("watch").returncode == 2, "a pipe is no terminal"


def test_watch_ends_cleanly_on_ctrl_c(own: Installation):
    """It draws, and Ctrl-C is how one leaves: exit 0, the screen as it was, no traceback."""
    leader, follower = pty.openpty()
    watching = subprocess.Popen(
        [*COMMAND, "watch", "--every", "0.5"],
        env=own.environment() | {"TERM": "xterm", "COLUMNS": "120", "LINES": "50"},
        cwd=own.place,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    drawn = read_until(leader, b"flow by stage", 60)
    watching.send_signal(signal.SIGINT)
    rest = read_until(leader, b"\x1b[?1049l", 30)
    assert watching.wait(30) == 0
    assert b"Traceback" not in drawn + rest
    os.close(leader)


def test_on_a_spoiled_installation_exactly_the_faults_are_found(own: Installation):
    """Fifteen of them, from a guessable secret to a stranger in a stage's group; each with why and mend."""
    assert set(own.stop().values()) == {0}
    environ = spoil_files(own)
    spoil_topics(own)
    level = {"compatibility": "NONE"}
    httpx.put(f"{own.registry.url}/config/{TYPE}-value", json=level, trust_env=False).raise_for_status()
    lose_events(own)
    with closing(stranger(own)):
        done = own.command("doctor", "-o", "json", **environ)
    own.settings.state_dir.chmod(0o700)
    assert done.returncode == 1, done.stderr.decode()
    found = [each for each in json.loads(done.stdout) if each["severity"] != "note"]
    found = [each for each in found if each["check"] not in BY_DATE]
    told = sorted((each["check"], each["severity"], each["what"].lstrip("0123456789 ")) for each in found)
    assert told == sorted(
        [
            ("settings", "warning", told_of(found, "settings")),
            ("secret", "fault", "the identity key can be guessed"),
            ("installation", "fault", "the secret that is configured here is not the installation's"),
            ("private-files", "fault", "the state directory is open to others"),
            ("certificates", "fault", told_of(found, "certificates")),
            ("gateway", "fault", "the file of clients is wrong"),
            ("stores", "warning", "a local store cannot be opened"),
            ("replication", "fault", "topic wants more replicas in sync than there are"),
            ("unclean-election", "fault", "a replica that is behind may become leader"),
            ("topics", "fault", "topic is missing"),
            ("topics", "fault", "setting of topics is not as planned"),
            ("registered", "fault", "subject is held to NONE"),
            ("workers", "warning", told_of(found, "workers")),
            ("shells", "fault", "a consumer that is no worker is in a stage's group"),
            ("lag", "fault", "offsets were deleted before the stage had read that far"),
        ]
    )
    assert "POSTROOM_KAFKAA" in told_of(found, "settings")
    assert all(each["why"] and each["mend"] for each in found)


def told_of(found: list[dict[str, Any]], check: str) -> str:
    """What a check said, without the number that it begins with."""
    (what,) = [each["what"] for each in found if each["check"] == check]
    return str(what).lstrip("0123456789 ")


def spoil_files(own: Installation) -> dict[str, str]:
    """Six faults of files and settings; returns the environment that has them."""
    own.settings.state_dir.chmod(0o755)
    store = own.settings.state_dir / "workers" / "ghost" / "record" / "0"
    store.mkdir(parents=True)
    (store / "CURRENT").write_text("MANIFEST-999999\n")
    clients = own.place / "clients.yaml"
    clients.write_text("clients: [nobody]\n")
    return {
        "POSTROOM_KAFKAA": "127.0.0.1:9092",
        "POSTROOM_SECRET": "changeme",
        "POSTROOM_GATEWAY_CLIENTS": str(clients),
        "POSTROOM_GATEWAY_TLS_CERTIFICATE": str(certificate(own.place / "old.pem", -3, now_ms())),
    }


def spoil_topics(own: Installation) -> None:
    """Four faults of topics."""
    with closing(KafkaAdminClient(bootstrap_servers=own.stack.kafka)) as admin:
        for name, config in (
            (VIEW, {"max.compaction.lag.ms": "1000"}),
            (TYPE, {"unclean.leader.election.enable": "true"}),
            ("postroom.reports", {"min.insync.replicas": "2"}),
        ):
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)])
        admin.delete_topics(["obligations.dvla"])


def lose_events(own: Installation) -> None:
    """Retention is faster than the workers, none of which runs, where they had read before."""
    for _ in range(3):
        own.produce(TYPE, b"nonsense", STRUCTURED, partition=0)
    own.flushed()
    end = own.ends([TYPE])[TYPE, 0]
    with closing(KafkaAdminClient(bootstrap_servers=own.stack.kafka)) as admin:
        admin.delete_records({TopicPartition(TYPE, 0): end})


def stranger(own: Installation) -> Consumer:
    """Somebody's consumer in the group of a stage."""
    consumer = Consumer(
        {
            "bootstrap.servers": own.stack.kafka,
            "group.id": "postroom.record",
            "partition.assignment.strategy": "range",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }
    )
    consumer.subscribe(["postroom.fragments"])
    deadline = time.monotonic() + 60
    while not consumer.assignment():
        assert time.monotonic() < deadline
        consumer.poll(0.2)
    return consumer


def read_until(descriptor: int, words: bytes, seconds: float) -> bytes:
    """Read a terminal until it shows something."""
    deadline, got = time.monotonic() + seconds, b""
    while words not in got:
        assert time.monotonic() < deadline, got[-2000:]
        try:
            got += os.read(descriptor, 65_536)
        except OSError:
            break
    return got
