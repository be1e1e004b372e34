"""Everything that may fail, fails, while departments publish: nothing is lost and nothing is done twice (V6).

Two or three workers of all stages run under a supervisor that starts them again, and nobody else helps. After
each fault the history of the whole installation is judged (`postroom history verify`), while it goes on and
at rest, and at rest every view must be what a replay of the events gives. `make soak` does the same for long:
``SOAK_MINUTES`` of faults in any order, a line for each, and the verdict.

The short form runs on the plain shell, because Faust takes twice as long to start a worker, which is what
these tests do most; the long form runs on Faust. ``FAULTS_SHELL`` chooses for both.

A disk is full in earnest: a worker runs in user and mount namespaces of its own, its stores on a small file
system (tmpfs) that is filled to the last byte. Where a machine does not allow that, it is said and left out.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from postroom.config import Settings
from postroom.topics import changelog
from processors import ASSERTIONS_TOPIC, FRAGMENTS_TOPIC, OBLIGATIONS_TOPIC, PAIRS_TOPIC
from tests.flow.faults import Ordeal
from tests.flow.load import Load
from tests.flow.spine import ROOT, installation
from tests.flow.supervised import Supervisor, can_confine

pytestmark = [pytest.mark.flow, pytest.mark.timeout(1500)]

SHELL = os.environ.get("FAULTS_SHELL", "plain")
SOAK_SHELL = os.environ.get("FAULTS_SHELL", "faust")
SOAK_MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
RATE = 30.0
SEED = 5
KILLS_MIN = 20
CANARY = b"Canary-Surname"
READ_BY = {
    "obligations": OBLIGATIONS_TOPIC,
    "record": FRAGMENTS_TOPIC,
    "persons": PAIRS_TOPIC,
    "identity": ASSERTIONS_TOPIC,
}
"""What each stage reads that only another stage writes."""


@contextmanager
def ordeal(
    request: pytest.FixtureRequest, shared: Settings, shell: str, rate: float, seed: int
) -> Iterator[Ordeal]:
    """An installation with two workers, under load."""
    if request.config.getoption("--stack") != "local":
        pytest.skip("SKIPPED LOUDLY: these tests kill the broker and the registry, which must be ours")
    with (
        installation(request, shared, ROOT / "schemas", ROOT / "schemas" / "agreements") as own,
        Supervisor(own, shell) as supervisor,
        Load(own, rate, seed) as load,
    ):
        for name in ("a", "b"):
            supervisor.start(name)
        found = Ordeal(own, supervisor, load, seed)
        found.tell(f"views after {found.goes_on():.1f} s")
        yield found


def test_what_fails_is_mended_by_a_restart_alone(request: pytest.FixtureRequest, stack_settings: Settings):
    """Kills, a zombie, workers that come and go, no registry, no broker, no disk; then what is refused."""
    with ordeal(request, stack_settings, SHELL, RATE, SEED) as here:
        for _ in range(3):
            killed(here)
        here.is_clean("kills")
        zombie(here)
        come_and_gone(here)
        here.is_clean("a zombie, and workers that came and went")
        here.lose_registry(3)
        full_disk(here)
        here.is_clean("a registry that was away, and a full disk")
        here.lose_broker(1)
        here.tell(f"goes on after {here.goes_on():.1f} s")
        here.settles_clean("all of it")
        with here.load.paused():
            said_by_the_command(here, 0)
            refused(here)


# -- one fault each; each leaves two workers, "a" and "b"


def killed(here: Ordeal, within_s: float = 1.5) -> None:
    """SIGKILL at any moment of a worker's life."""
    time.sleep(here.chance.uniform(0.2, within_s))
    here.kill()
    here.tell(f"goes on after {here.goes_on():.1f} s")


def zombie(here: Ordeal) -> None:
    """SIGSTOP until expelled, SIGCONT: what it then commits, the broker refuses."""
    here.freeze()


def killed_inside(here: Ordeal) -> None:
    """A third worker that ends where it hurts: between the writes, the offsets, the commit and the store."""
    workers = here.supervisor
    before, end = len(workers.exits), time.monotonic() + 120
    workers.start("frail", FAULTS_POINT="any:0.02")
    while ("frail", -signal.SIGKILL) not in workers.exits[before:]:
        assert time.monotonic() < end, f"it never died:\n{here.own.said('frail')}"
        time.sleep(0.1)
    workers.stop("frail")
    here.note("killed inside a transaction")


def come_and_gone(here: Ordeal) -> None:
    """Three workers, one of them without its local stores and one with damaged ones; then one; then two."""
    workers = here.supervisor
    for name, how in (("a", "deleted"), ("b", "corrupted")):
        workers.wait_ready(name)
        assert workers.stop(name) == {name: 0}
        here.harm_store(name, how)
        workers.start(name)
    workers.start("c")
    for name in ("a", "b", "c"):
        workers.wait_ready(name)
    here.note("three workers")
    assert workers.stop("b", "c") == {"b": 0, "c": 0}
    here.note("one worker", f"goes on after {here.goes_on():.1f} s")
    workers.start("b")


def full_disk(here: Ordeal) -> None:
    """A disk without a byte left ends its worker, which says so; with room again it has all it needs."""
    if not can_confine():
        here.tell("NOT DONE: a full disk; this machine allows no file system in a namespace of one's own")
        return
    workers = here.supervisor
    workers.start("small", confined=True)
    workers.wait_ready("small")
    before = len(workers.said("small"))
    here.fill_disk("small")
    stopped = workers.wait_said("small", before, event="stopped", error="StoreFull")
    assert stopped["exit_code"] == 70
    assert "make room" in stopped["message"]
    workers.wait_ready("small")
    assert workers.stop("small") == {"small": 0}


# -- what must be refused


def refused(here: Ordeal) -> None:
    """Garbage between stages and half a changelog stop their stage, and only it, each time it is started."""
    workers = here.supervisor
    workers.stop(*workers.names())
    workers.patience_s = 3
    for stage in ("intake", *READ_BY):
        workers.start(stage, stage)
    poison = Producer({"bootstrap.servers": here.own.stack.kafka, "log_level": 0})
    for stage, topic in READ_BY.items():
        headers = [("postroom_sender", b"intake-77"), ("postroom_count", b"1")]
        if stage == "persons":  # a record of several messages (docs/adr/0006)
            headers.append(("postroom_messages", b"2"))
        poison.produce(topic, b"\xc1" + CANARY, b"any", partition=0, headers=headers)
        poison.flush()
        stopped = workers.wait_said(stage, 0, event="stopped")
        assert stopped["exit_code"] == 70
        assert f"{topic}-0" in stopped["message"], stopped
        here.note("poison", f"for {stage}: {stopped['message']}")
    cut_changelog(here, "intake")
    stopped = workers.wait_said("intake", 0, event="stopped")
    assert (stopped["error"], stopped["exit_code"]) == ("ChangelogTruncated", 70)
    here.note("changelog truncated", f"of intake: {stopped['message']}")
    for stage in READ_BY:  # again at the next start: it is neither skipped nor guessed
        first = [line["event"] for line in workers.said(stage)].index("stopped")
        workers.wait_said(stage, first + 1, event="stopped")
        assert CANARY not in (here.own.place / f"{stage}.log").read_bytes(), "nobody's data is in a log"
    findings = said_by_the_command(here, 1, "--replay-max", "0")
    assert Counter(finding["anomaly"] for finding in findings) == {"unreadable-message": len(READ_BY)}
    assert {finding["topic"] for finding in findings} == set(READ_BY.values())


def cut_changelog(here: Ordeal, stage: str) -> None:
    """Delete the first records of a stage's changelog, as a wrong cleanup.policy would."""
    workers = here.supervisor
    workers.stop(stage)
    topic = changelog(stage)
    admin = AdminClient({"bootstrap.servers": here.own.stack.kafka, "log_level": 0})
    change = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    policy = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])
    for future in admin.incremental_alter_configs([policy]).values():
        future.result()
    for future in admin.delete_records([TopicPartition(topic, 0, 2)]).values():
        future.result()
    workers.start(stage, stage)


def said_by_the_command(here: Ordeal, code: int, *more: str) -> list[dict[str, str]]:
    """What an operator sees; exit 0 or 1."""
    done = here.own.command("history", "verify", "-o", "jsonl", *more)
    here.tell(f"postroom history verify: exit {done.returncode}\n{done.stderr.decode()}")
    assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
    assert CANARY not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# -- for long


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.skipif(not SOAK_MINUTES, reason="SOAK_MINUTES says how long; `make soak`")
def test_a_soak_with_faults_of_every_kind_is_clean(request: pytest.FixtureRequest, stack_settings: Settings):
    """Mostly kills, every few seconds; now and then everything else; clean every minute and at the end."""
    others: list[tuple[float, Callable[[Ordeal], object]]] = [
        (3, zombie),
        (3, killed_inside),
        (2, come_and_gone),
        (2, lambda here: here.lose_registry(8)),
        (2, lambda here: here.lose_broker(here.chance.uniform(0, 10))),
        (2, full_disk),
    ]
    weights, faults = zip(*others, strict=True)
    seed = int(os.environ.get("SOAK_SEED", time.time()))
    with ordeal(request, stack_settings, SOAK_SHELL, 4 * RATE, seed) as here:
        here.tell(f"{SOAK_MINUTES:g} minutes on {SOAK_SHELL}, SOAK_SEED={seed}")
        end = time.monotonic() + SOAK_MINUTES * 60
        judged = rested = time.monotonic()
        while time.monotonic() < end or here.faults["killed"] < KILLS_MIN:
            if here.chance.random() < 0.7:
                killed(here, within_s=10)
            else:
                here.chance.choices(faults, weights)[0](here)
                here.tell(f"goes on after {here.goes_on():.1f} s")
            if time.monotonic() - rested > 240:
                here.settles_clean(f"{here.faults.total()} faults")
                judged = rested = time.monotonic()
            elif time.monotonic() - judged > 60:
                here.is_clean(f"{here.faults.total()} faults")
                judged = time.monotonic()
        here.settles_clean(f"{SOAK_MINUTES:g} minutes")
        here.tell(
            f"faults: {dict(here.faults)}; {here.load.sent} events; ended: {Counter(here.supervisor.exits)}"
        )
        here.tell("VERDICT: nothing lost, nothing twice, every view as the events say")
        assert signal.SIGKILL in {-code for _, code in here.supervisor.exits}
