"""The broker's disk breaks, and is full: what is said, and that nothing is lost and nothing done twice (V6).

Kafka ends itself when its last log directory fails. A disk is full in earnest: a small file system (tmpfs) in
namespaces of its own, filled to the last byte. Where a machine allows no such thing that test says so; a disk
that refuses every write is played everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from connectors import ensure_stack
from postroom.config import Settings
from tests.flow.doorstep import TYPE, at_the_gateway
from tests.flow.faults import Ordeal
from tests.flow.small_disk import refuse_writes, small_disk, until_ended
from tests.flow.spine import ROOT
from tests.flow.supervised import can_confine
from tests.flow.test_faults import RATE, SEED, SHELL, ordeal, said_by_the_command

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(900)]

FIRST = str(ROOT / "docs/examples/first-event.jsonl")
FULL = "its disk is full"
LITTLE_MIB = 100


@pytest.fixture(scope="module")
def here(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Ordeal]:
    """An installation with two workers that are started again, under load."""
    with ordeal(request, stack_settings, SHELL, RATE, SEED) as made:
        yield made


def test_a_disk_that_refuses_writes_ends_the_broker_and_loses_nothing(here: Ordeal) -> None:
    """V6: the broker ends itself; started again, it has all that it has acknowledged."""
    refuse_writes(here.own)
    here.tell(f"the broker ended after {until_ended(here.own):.1f} s")
    done = here.own.command("publish", FIRST)
    assert done.returncode == 3, done.stderr.decode()
    assert "Kafka is not there" in done.stderr.decode()
    told = here.own.command("status").stderr.decode()
    assert "the log says why" in told
    assert FULL not in told, "that is for a disk that is full"
    assert ensure_stack(here.own.settings) == here.own.stack, "it came back elsewhere"
    here.own.reconnect()
    here.tell(f"goes on after {here.goes_on():.1f} s")
    here.settles_clean("a disk that refused writes")


@pytest.mark.skipif(
    not can_confine(),
    reason="SKIPPED LOUDLY: a small file system needs a namespace of its own, and this machine allows none; "
    "`sysctl -w kernel.unprivileged_userns_clone=1`, or a container with --cap-add SYS_ADMIN",
)
def test_a_full_disk_of_the_broker_is_named_and_loses_nothing(here: Ordeal) -> None:
    """V6: announced while it fills, named when it is full, and over once there is room. Publishers over HTTP
    are told to repeat meanwhile, and everything that was answered with 202 is there.
    """
    own = here.own
    with small_disk(own) as disk, at_the_gateway(own) as doorstep:
        here.tell(f"moved to a small disk; goes on after {here.goes_on():.1f} s")
        disk.fill(leave_mib=LITTLE_MIB)
        found = json.loads(own.command("doctor", "-o", "json").stdout)
        (low,) = [each for each in found if "broker's disk" in each["what"]]
        assert (low["check"], low["severity"]) == ("broker-disks", "fault")
        assert str(disk.data) in low["where"]

        disk.fill()
        here.tell(f"the broker ended after {until_ended(own):.1f} s")
        doorstep.gateway.wait_ready(503)
        for words, code in ((("publish", FIRST), 3), (("status",), 1), (("doctor",), 3), (("up",), 3)):
            done = disk.command(*words)
            said = done.stdout.decode() + done.stderr.decode()
            assert done.returncode == code, said
            assert FULL in said, (words, said)
            assert "delete nothing" in said, (words, said)
        assert disk.ballast.exists(), "nobody else made room"

        disk.ballast.unlink()
        disk.start()
        here.tell(f"goes on after {here.goes_on():.1f} s, over HTTP {doorstep.takes_one():.1f} s later")
        doorstep.end()
        here.tell(f"over HTTP it was answered {dict(doorstep.answers)}")
        assert set(doorstep.answers) == {(202, ""), (503, "not-delivered")}
        assert not doorstep.without_a_time, "whoever is sent away is told when to come again"
        landed = {dict(record.headers).get("ce_id", b"").decode() for record in own.read(TYPE)}
        assert doorstep.taken <= landed, "acknowledged and lost"
        here.settles_clean("a full disk of the broker")
        with here.load.paused():
            said_by_the_command(here, 0)
        here.supervisor.stop(*here.supervisor.names())
