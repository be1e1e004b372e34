"""A service team on a secured Kafka: the docs, a user, a password and a certificate, nothing else of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.access import GATEWAY, OPERATOR, WORKER
from postroom.config import Settings
from tests.flow.secured import Secured, secured
from tests.flow.secured_clients import CLIENTS, kcat, live_a_day, settle_by_kcat
from tests.flow.secured_way import owing, until
from tests.flow.security_deeds import DWP, LEEDS_READS, LEEDS_VIEW, YORKS_VIEW
from tests.flow.spine import SHELL
from tests.flow.test_examples import NINO
from tests.programs import program

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

WORKS = "clients"


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Secured]:
    """A secured installation with a worker."""
    if request.config.getoption("--stack") != "local":
        pytest.skip("SKIPPED LOUDLY: only the local stack has users that a test may make")
    with secured(stack_settings.cache_dir, (DWP, LEEDS_READS, GATEWAY, OPERATOR, WORKER)) as made:
        made.start(WORKS, SHELL, WORKER)
        yield made
        assert made.stop(WORKS) == 0, made.log(WORKS)


@pytest.mark.parametrize("client", CLIENTS)
def test_an_example_lives_its_day(own: Secured, tmp_path: Path, client: str):
    """DWP's word is published and Leeds' view read under their own users, whatever the language; ended in
    the middle and started again, it hears of the withdrawal as a tombstone (V2).
    """
    assert live_a_day(own, client, tmp_path, NINO[client]).startswith("s-")


def test_kcat_reads_its_own_and_settles_what_is_owed(own: Secured, tmp_path: Path):
    """Views, what is owed, and the acknowledgement (V4), each as docs/subscribing.md has it; another's
    topic and another's group are refused in so many words.
    """
    program("kcat", "kcat")
    live_a_day(own, "kafka-python", tmp_path, NINO["curl"])
    whole = ("-o", "beginning", "-e", "-q")
    code, read, _ = kcat(own, tmp_path, "-C", "-t", LEEDS_VIEW, *whole, "-f", "%k %S\\n")
    assert code == 0
    assert any(line.endswith(" -1") for line in read.splitlines()), "a retraction has no value"
    group = ("-G", "subscriber.council-leeds.kcat", LEEDS_VIEW)
    code, _, _ = kcat(own, tmp_path, *whole[2:], "-X", "auto.offset.reset=earliest", *group)
    assert code == 0
    for refused in (("-C", "-t", YORKS_VIEW, *whole), ("-e", "-G", "council-leeds", LEEDS_VIEW)):
        code, read, why = kcat(own, tmp_path, *refused)
        assert (code, read) == (1, ""), why
        assert "authorization failed" in why.lower()
    settle_by_kcat(own, tmp_path)
    until(own, WORKS, lambda: not owing(own))
