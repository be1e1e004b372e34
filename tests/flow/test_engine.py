"""The engine under fire, on a real Kafka: whatever dies, one output per input and nothing twice (V6).

Two toy stages (count → relay through one partition → sink) run in supervised worker processes under load.
After each ordeal the whole history is read committed and compared with a plain fold of the input.
"""

import json
import random
import shutil
import signal
import time
from datetime import datetime

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from tests.flow.engine_rig import Rig

pytestmark = [pytest.mark.flow, pytest.mark.timeout(400)]

both_shells = pytest.mark.parametrize("shell", ["plain", "faust"])


@pytest.fixture
def shell():
    return "plain"


@pytest.fixture
def rig(stack, tmp_path, shell, request):
    """A toy pipeline with topics of its own; its workers end with the test."""
    tag = f"toy-{abs(hash((request.node.name, time.time()))) % 10**9}"
    rig = Rig(stack.kafka, tag, tmp_path, shell)
    rig.create_topics()
    yield rig
    rig.stop()
    rig.delete_topics()


@pytest.mark.slow
@both_shells
def test_workers_killed_at_random_lose_nothing_and_double_nothing(rig):
    """SIGKILL, four times, while two workers share the tasks and events keep coming."""
    chance = random.Random(7)
    rig.start("one")
    rig.start("two")
    rig.wait_said("one", "ready")
    load = rig.load_beside(12_000, 500, rate=1_000)
    while load.is_alive():
        time.sleep(chance.uniform(2, 4))
        rig.signal(chance.choice(["one", "two"]), signal.SIGKILL)
    load.join()
    rig.wait_done()
    assert len(rig.exits) >= 3
    rig.verify()


@pytest.mark.slow
@both_shells
def test_crashes_at_every_point_of_a_transaction_leave_it_whole_or_absent(rig):
    """Workers kill themselves between open, replay, write, offsets, commit and store; and then inside
    transactions that have written outputs, until it has happened: a busy machine makes few steps of input.
    """
    both = ("one", "two")
    for name in both:
        rig.start(name, POSTROOM_FAULT="any:0.04", TOY_STATIC="1")
    rig.load_beside(15_000, 500, rate=1_000).join()
    rig.wait_done(15)
    _restart(rig, both, POSTROOM_FAULT="outputs written, transaction open:0.5")
    deadline = time.monotonic() + 120
    while not rig.aborted() or len(rig.exits) < 5 + len(both):
        assert time.monotonic() < deadline, f"{rig.exits}: no worker died where it had to"
        rig.load(100, 500)
    _restart(rig, both)  # from here on machines are healthy: what is left must drain
    rig.wait_done()
    rig.verify()


def _restart(rig, names, **environment):
    """Kill workers; they are started again with this beside what makes them find their tasks."""
    for name in names:
        rig.environment[name] = {"TOY_STATIC": "1", **environment}
        rig.signal(name, signal.SIGKILL)


@pytest.mark.slow
@both_shells
def test_a_zombie_cannot_write(rig):
    """A worker stopped until the group expelled it, and then woken, commits nothing and ends or rejoins."""
    rig.start("one")
    rig.start("two")
    rig.wait_shared("one", "two")
    load = rig.load_beside(16_000, 500, rate=1_000)
    time.sleep(2)
    rig.signal("one", signal.SIGSTOP)
    time.sleep(9)
    said_before = len(rig.log("one"))
    rig.signal("one", signal.SIGCONT)
    load.join()
    rig.wait_done()
    rig.verify()
    noticed = {line["event"] for line in rig.log("one")[said_before:]}
    assert noticed & {"stopped", "revoked"}  # it learned that its tasks were no longer its own


@both_shells
def test_tasks_move_when_workers_come_and_go_in_good_order(rig):
    """One worker, two, one again: SIGTERM finishes what is in flight and ends with code 0."""
    rig.start("one")
    rig.wait_said("one", "ready")
    load = rig.load_beside(8_000, 500, rate=1_000)
    time.sleep(2)
    rig.start("two")
    rig.wait_said("two", "ready")
    time.sleep(2)
    assert rig.stop("one") == [0]
    load.join()
    rig.wait_done()
    rig.verify()
    assert rig.exits == []


@pytest.mark.parametrize("harm", ["deleted", "corrupted"])
def test_a_local_store_may_be_lost_at_any_time(rig, harm):
    """It is rebuilt from the changelog, also when it is damaged rather than gone."""
    rig.load(3_000, 300)
    rig.start("one")
    rig.wait_done()
    rig.stop("one")
    place = rig.state / "one"
    if harm == "deleted":
        shutil.rmtree(place)
    else:
        for file in place.glob("count/*/*"):
            if file.name.startswith(("MANIFEST", "CURRENT")) or file.suffix == ".sst":
                file.write_bytes(b"junk" * 100)
    rig.load(2_000, 300)
    rig.start("one")
    rig.wait_done()
    restored = [line["records"] for line in rig.log("one") if line["event"] == "restored"]
    assert max(restored[-5:]) > 0
    rig.verify()


def test_a_truncated_changelog_is_refused(rig):
    """State cannot be rebuilt from half of it, and is not guessed."""
    rig.load(500, 50)
    rig.start("one")
    rig.wait_done()
    rig.stop("one")
    admin = AdminClient({"bootstrap.servers": rig.kafka})
    change = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(
        ConfigResource.Type.TOPIC, f"{rig.tag}.count.changelog", incremental_configs=[change]
    )
    for future in admin.incremental_alter_configs([topic]).values():
        future.result()  # a broker refuses to truncate what is only compacted; the policy must be wrong first
    cut = [TopicPartition(f"{rig.tag}.count.changelog", part, 5) for part in range(4)]
    for future in admin.delete_records(cut).values():
        future.result()
    rig.start("one")
    said = rig.wait_said("one", "stopped")
    assert (said["error"], said["exit_code"]) == ("ChangelogTruncated", 70)
    assert "records were deleted" in said["message"]


def test_offsets_moved_by_hand_are_refused(rig):
    """The state was committed with other offsets; going on would count twice or skip."""
    rig.load(500, 50)
    rig.start("one")
    rig.wait_done()
    rig.stop("one")
    admin = AdminClient({"bootstrap.servers": rig.kafka})
    moved = ConsumerGroupTopicPartitions(f"{rig.tag}.count", [TopicPartition(f"{rig.tag}.a", 0, 1)])
    for future in admin.alter_consumer_group_offsets([moved]).values():
        future.result()
    rig.start("one")
    assert rig.wait_said("one", "stopped")["error"] == "OffsetsMoved"


def test_a_gap_between_two_tasks_stops_the_receiver_and_a_stranger_does_not(rig):
    """A count that jumps is a loss; a record that names no sender is nobody's message."""
    rig.load(500, 50)
    rig.start("one")
    rig.wait_done()
    stranger = Producer({"bootstrap.servers": rig.kafka})
    stranger.produce(f"{rig.tag}.middle", b"not even json", b"x")
    stranger.flush()
    assert rig.wait_said("one", "foreign-records")["records"] == 1
    rig.verify()
    forged = [("postroom_sender", b"count-0"), ("postroom_count", b"999999")]
    stranger.produce(f"{rig.tag}.middle", b"{}", b"x", headers=forged)
    stranger.flush()
    said = rig.wait_said("one", "stopped")
    assert said["error"] == "SenderGap"
    assert "count-0" in said["message"]


@both_shells
def test_wakes_come_by_themselves_within_a_second_and_once(rig):
    """Time passing acts without an event, and across the death of the worker that knew of it (V8)."""
    rig.start("one", TOY_WAKE_AFTER_MS="6000", TOY_STATIC="1")
    rig.wait_said("one", "ready")
    rig.load(200, 100)
    rig.wait_done()
    rig.signal("one", signal.SIGKILL)
    deadline = time.monotonic() + 20
    keys = {key for key, _ in rig.sent}
    while time.monotonic() < deadline and len(rig.read("sink-wakes")) < len(keys):
        time.sleep(0.3)
    time.sleep(1)
    woken = [(message.key(), json.loads(message.value())) for message in rig.read("sink-wakes")]
    assert sorted(key for key, _ in woken) == sorted(keys)
    # A wake that came due while nobody lived comes within a second of whoever lives next.
    alive_ms = ready_since_ms(rig, "count")
    assert max(value["at"] - max(value["woken_for"], alive_ms) for _, value in woken) < 1_000


def ready_since_ms(rig, stage):
    """When the last life of a worker had opened this stage's tasks."""
    said = [line["at"] for line in rig.log("one") if (line["event"], line.get("stage")) == ("ready", stage)]
    return datetime.fromisoformat(said[-1]).timestamp() * 1000


def test_a_sweep_visits_every_key_beside_live_traffic_and_ends(rig):
    """New rules reach every state once, also when the worker dies on the way (V9)."""
    rig.start("one", TOY_RULES="1", TOY_STATIC="1")
    rig.load(4_000, 3_000)
    rig.wait_done()
    rig.stop("one")
    # Sixty portions, each with one chance in ten to be the last of its process.
    fault = "committed, store not written:0.1"
    rig.start("one", TOY_RULES="2", TOY_STATIC="1", TOY_WAKES_MAX="50", POSTROOM_FAULT=fault)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not rig.exits:
        time.sleep(0.1)
    time.sleep(3)
    rig.environment["one"].pop("POSTROOM_FAULT")
    rig.signal("one", signal.SIGKILL)
    keys = {key for key, _ in rig.sent}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and len(rig.read("sink-wakes")) < len(keys):
        time.sleep(0.5)
    assert len(rig.exits) >= 2  # it did die on the way, and not only by our SIGKILL
    swept = sorted(message.key() for message in rig.read("sink-wakes"))
    assert swept == sorted(keys)


@both_shells
def test_a_topic_that_appears_later_is_read_from_its_beginning(rig):
    """A new contract is taken up by running workers, without a restart."""
    rig.load(1_000, 100)  # half of it in topic b, of which the workers learn two seconds after their start
    rig.start("one", TOY_DISCOVER="1")
    rig.start("two", TOY_DISCOVER="1")
    rig.wait_done()
    rig.verify()
    assert rig.wait_said("one", "topics-changed")["new"] == [f"{rig.tag}.b"]
    assert rig.exits == []


@both_shells
def test_a_batch_that_cannot_be_prepared_waits_and_is_never_skipped(rig):
    """The registry is down: nothing is written, SIGTERM still ends in good order, all of it comes later."""
    gate = rig.state / "open"
    rig.load(500, 50)
    rig.start("one", TOY_GATE=str(gate))
    rig.wait_said("one", "ready")
    time.sleep(3)
    assert rig.outputs() == 0
    assert rig.stop("one") == [0]
    rig.start("one", TOY_GATE=str(gate))
    time.sleep(2)
    gate.touch()
    rig.wait_done()
    rig.verify()
