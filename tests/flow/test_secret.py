"""Another secret than the installation's, on a real Kafka: it lives nowhere and writes nothing (C8)."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from kafka.admin import KafkaAdminClient

from connectors.kafka_once import read_once
from postroom.config import Settings
from postroom.errors import Exit
from processors import INSTALLATION_TOPIC, view_topic
from processors.installation import SECRET_KEY, decode_record
from tests.flow.spine import COMMAND, ROOT, SHELL, Installation, installation, now_ms, registered

pytestmark = [pytest.mark.flow, pytest.mark.timeout(500)]

RIGHT, WRONG = "spine", "quite-another-secret-of-somebody"
REFUSED = b"this is not the installation's secret"
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Installation]:
    """An installation with nothing in it and no worker."""
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as made:
        yield made


def start(own: Installation, name: str, secret: str) -> subprocess.Popen[bytes]:
    with (own.place / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [*COMMAND, "run", "all", "--instance", name],
            env=own.environment() | {"POSTROOM_SECRET": secret},
            cwd=own.place,
            stdout=log,
            stderr=log,
        )


def log_of(own: Installation, name: str) -> bytes:
    return (own.place / f"{name}.log").read_bytes()


def record(own: Installation) -> bytes | None:
    return read_once(own.stack.access, INSTALLATION_TOPIC, SECRET_KEY)


def forget(own: Installation) -> None:
    """What an operator does of a mistake, and what an installation of an earlier version looks like."""
    admin = KafkaAdminClient(bootstrap_servers=own.stack.kafka)
    admin.delete_topics([INSTALLATION_TOPIC])
    admin.close()
    deadline = time.monotonic() + PATIENCE_S
    while own.command("topics", "apply").returncode or own.command("topics", "plan").returncode:
        assert time.monotonic() < deadline, "the topic does not come again"
        time.sleep(1)
    assert record(own) is None


def refused(own: Installation, name: str, secret: str) -> bytes:
    """Start a worker that must end by itself; return its log."""
    worker = start(own, name, secret)
    try:
        assert worker.wait(PATIENCE_S) == Exit.MISUSE, own.said(name)
    finally:
        worker.kill()
    said = log_of(own, name)
    for part in (REFUSED, b"POSTROOM_SECRET", b"PostroomKeysDiffer.md"):
        assert part in said, own.said(name)
    assert RIGHT.encode() not in said.replace(b"postroom-spine", b""), "of no secret anything is shown"
    assert WRONG.encode() not in said
    return said


def test_of_two_first_starts_with_different_secrets_exactly_one_lives(own: Installation) -> None:
    """C8: both find nothing recorded, and one of the two wins."""
    assert record(own) is None
    for attempt in range(2):
        if attempt:
            forget(own)
        both = {secret: start(own, f"{secret}-{attempt}", secret) for secret in (RIGHT, WRONG)}
        try:
            deadline = time.monotonic() + PATIENCE_S
            while all(each.poll() is None for each in both.values()):
                assert time.monotonic() < deadline, "neither is refused"
                time.sleep(0.2)
            [loser] = [secret for secret, each in both.items() if each.poll() is not None]
            [winner] = both.keys() - {loser}
            assert both[loser].returncode == Exit.MISUSE, own.said(f"{loser}-{attempt}")
            assert REFUSED in log_of(own, f"{loser}-{attempt}")
            written = own.read(INSTALLATION_TOPIC)
            assert len(written) == 1, "it is written once"
            assert both[winner].poll() is None, own.said(f"{winner}-{attempt}")
        finally:
            for each in both.values():
                each.terminate()
            try:
                for each in both.values():
                    each.wait(PATIENCE_S)
            finally:
                for each in both.values():
                    each.kill()
    forget(own)  # whoever won, the tests that follow begin anew


def test_a_worker_with_another_secret_ends_and_writes_nothing_while_the_right_one_goes_on(
    own: Installation,
) -> None:
    """C8: exit 2 and words that say what to do; not a record on any topic is from it."""
    own.start("right", SHELL)
    own.publish([registered("9912003888", now_ms())])
    own.settle()
    before = own.ends()
    assert any(own.view_records().values()), "there is something that a wrong key could spoil"
    said = refused(own, "wrong", WRONG)
    value = record(own)
    assert value is not None
    assert decode_record(value).short.encode() in re.sub(rb"\s", b"", said), "which one it should have been"
    assert own.ends() == before, "nothing was written anywhere"
    own.publish([registered("9912003888", now_ms(), "Saffron")])
    own.settle()
    assert own.exits == []
    assert own.ends(map(view_topic, own.agreements)) != {
        place: end for place, end in before.items() if place[0].startswith("view.")
    }


def test_who_only_reads_is_refused_with_another_secret_too(own: Installation) -> None:
    """C8: an answer by other keys would be about other persons."""
    for words in (("audit", "person", "nhs:9912003888"), ("history", "verify", "--replay-max", "0")):
        assert own.command(*words).returncode == 0
        done = own.command(*words, POSTROOM_SECRET=WRONG)
        assert done.returncode == Exit.MISUSE, done.stderr.decode()
        assert REFUSED in done.stderr
    shown = own.command("doctor", POSTROOM_SECRET=WRONG).stdout
    assert b"is not the installation's  [installation]" in shown
    assert b"[installation]" not in own.command("doctor").stdout


def test_an_installation_without_a_record_takes_only_the_secret_that_made_its_state(
    own: Installation,
) -> None:
    """C8: an upgrade, or a deleted record: its own persons say who is right, whoever starts first."""
    assert set(own.stop().values()) == {0}
    forget(own)
    before = own.ends()
    assert b"persons are named by another" in refused(own, "early", WRONG)
    assert record(own) is None, "who is wrong records nothing"
    assert own.ends(map(view_topic, own.agreements)) == {
        place: end for place, end in before.items() if place[0].startswith("view.")
    }
    own.start("right", SHELL)
    deadline = time.monotonic() + PATIENCE_S
    while record(own) is None:
        assert time.monotonic() < deadline, own.said("right")
        time.sleep(0.5)
    own.publish([registered("9912003888", now_ms(), "Cinnamon")])
    own.settle()
    refused(own, "late", WRONG)


def test_a_record_that_cannot_be_read_lets_nobody_in(own: Installation) -> None:
    """C8: any doubt is a refusal, also of the right secret."""
    own.produce(INSTALLATION_TOPIC, b"rubbish", {}, key=SECRET_KEY)
    own.flushed()
    worker = start(own, "doubting", RIGHT)
    assert worker.wait(PATIENCE_S) == Exit.MISUSE, own.said("doubting")
    assert b"cannot be read" in log_of(own, "doubting")
