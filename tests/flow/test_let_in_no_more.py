"""A wrong password, and certificates that have ended: what is said, how it ends, and that it recovers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from connectors import find_stack
from connectors.certificate_ends import end_at
from connectors.reachable import kafka_problem
from connectors.stack import Stack
from postroom.composition import STAGES
from postroom.config import Settings
from tests.flow.ended_certificate import ended, internal, present
from tests.flow.secured import Secured, secured
from tests.flow.spine import ROOT

pytestmark = pytest.mark.flow

WORKER, GATEWAY, BROKER = "postroom.worker", "postroom.gateway", "postroom.broker"
OPERATOR = "postroom.operator"
WITHIN_S = 240
FIRST = str(ROOT / "docs/examples/first-event.jsonl")


@pytest.fixture(scope="module")
def own(stack_settings: Settings) -> Iterator[Secured]:
    """A secured installation."""
    with secured(stack_settings.cache_dir, (WORKER, GATEWAY, OPERATOR)) as made:
        yield made


def stack_of(own: Secured) -> Stack:
    """Where everything is."""
    return find_stack(own.settings)


def until_said(own: Secured, name: str, words: str, times: int = 1) -> None:
    """Wait until a worker's log has it, so many times."""
    deadline = time.monotonic() + WITHIN_S
    while own.log(name).count(words) < times:
        assert time.monotonic() < deadline, own.log(name)[-3000:]
        assert own.workers[name].poll() is None, own.log(name)[-3000:]
        time.sleep(0.5)


@pytest.mark.parametrize(("words", "user"), [(("run", "all"), WORKER), (("publish", FIRST), GATEWAY)])
def test_a_wrong_password_ends_a_command_with_3_and_says_so(
    own: Secured, words: tuple[str, ...], user: str
) -> None:
    """Told apart from a Kafka that is away, with the user's name and without the password."""
    done = own.command(*words, user=user, POSTROOM_KAFKA_PASSWORD="wrong-hush")
    said = done.stderr.decode()
    assert done.returncode == 3, said
    assert "Kafka does not believe who we are" in said
    assert user in said
    assert "postroom access credential" in said
    assert "wrong-hush" not in said


def test_a_listener_whose_certificate_has_ended_is_named_and_its_renewal_needs_nobody(own: Secured) -> None:
    """Who runs goes on or waits, who starts ends with 3, the doctor names both, and a renewal mends all."""
    stack = stack_of(own)
    own.start("one", "faust", WORKER)
    until_said(own, "one", '"event": "ready"', times=len(STAGES))  # one that still begins would end, with 70
    present(own, ended(own.security, BROKER, own.place / "ended.pem"))
    try:
        done = own.command("publish", FIRST, user=GATEWAY)
        assert done.returncode == 3
        assert "Kafka's certificate has ended" in done.stderr.decode()
        assert "renew" in done.stderr.decode()
        found = own.command("doctor", "-o", "json").stdout.decode()
        assert "Kafka's certificate has ended" in found
        assert "a certificate ended" in found
        until_said(own, "one", '"event": "system-away"')
    finally:
        present(own, None)
    until_said(own, "one", '"event": "system-answers"')
    assert own.command("publish", FIRST, user=GATEWAY).returncode == 0
    assert (end := end_at(stack.kafka)) is not None
    assert end.ends_ms > time.time() * 1000
    assert own.stop("one") == 0


def test_what_an_operator_may_not_see_the_doctor_says_and_calls_it_no_fault(own: Secured) -> None:
    """It is told in one note who may; a fault is something of the installation's that somebody must mend."""
    found = json.loads(own.command("doctor", "-o", "json", user=OPERATOR).stdout)
    assert not [each for each in found if each["check"] == "reach"], found
    (unseen,) = [each for each in found if each["check"] == "unseen"]
    assert unseen["severity"] == "note"
    for what in ("brokers' disks", "what the rules need", "clocks"):
        assert what in unseen["what"]


def test_a_client_certificate_that_has_ended_is_named(own: Secured) -> None:
    """Where certificates say who is who, the file that has ended is named, not the broker."""
    own.security.issue(WORKER)
    old = ended(own.security, WORKER, own.place / "ended-client.pem")
    access = internal(own)
    external: dict[str, Any] = {
        "POSTROOM_KAFKA": access.bootstrap,
        "POSTROOM_REGISTRY": stack_of(own).registry,
        "POSTROOM_KAFKA_SECURITY": "SSL",
        "POSTROOM_KAFKA_CA_FILE": str(own.security.ca_file),
        "POSTROOM_KAFKA_CERT_FILE": str(old),
        "POSTROOM_KAFKA_KEY_FILE": str(old),
    }
    done = own.command("run", "all", **external)
    assert done.returncode == 3, done.stderr.decode()
    assert "our certificate for Kafka has ended" in done.stderr.decode()
    assert str(old) in done.stderr.decode()
    assert kafka_problem(access) is None
