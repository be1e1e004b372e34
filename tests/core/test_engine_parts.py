"""The engine's small parts: partitions, counts, sweeps, who gets which task."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from processors.engine import metrics, transaction
from processors.engine.assignor import TaskAssignor, share_out
from processors.engine.changelog import TaskMemory, body_of, pack_state, wake_of
from processors.engine.counts import COUNT, SENDER, Origin, check, counted, origin_of
from processors.engine.faults import faults_from
from processors.engine.partitions import partition_of
from processors.engine.settings import EngineConfig
from processors.engine.store import MemoryStore
from processors.engine.sweep import Sweeper
from processors.engine.trouble import SenderGap
from processors.stage import Latency, Outcome, State


@pytest.mark.parametrize(
    ("key", "partitions", "expected"),
    [
        (b"", 8, 0),
        (b"123456789", 1 << 32, 0xCBF43926),  # the check value of CRC-32 in every catalogue
        (b"nino:AB123456C", 8, 1),
        (b"nhs:9912003888", 8, 3),
        (b"p-0123456789abcdef0123456789abcdef", 8, 3),
        (b"anything", 1, 0),
    ],
)
def test_a_key_stays_in_its_partition_for_ever(key, partitions, expected):
    """Known answers: changing them would split every key's history in two."""
    assert partition_of(key, partitions) == expected


@given(st.binary(), st.one_of(st.none(), st.integers(1, 1 << 62)))
def test_a_changelog_value_holds_wake_and_body(body, wake):
    """And gives both back."""
    packed = pack_state(State(body, wake))
    assert (body_of(packed), wake_of(packed)) == (body, wake or 0)


def test_counts_rise_by_one_for_each_message_to_a_partition():
    """What one task sends to one partition is numbered without holes; the receiver accepts exactly that."""
    sent: dict[int, int] = {}
    seen: dict[str, int] = {}
    for partition, messages, first in [(0, 1, 1), (1, 7, 1), (0, 100, 2), (0, 2, 102), (1, 1, 8)]:
        origin = origin_of(counted(b"intake-3", sent, partition, messages, 400))
        assert origin == ("intake-3", first, messages, 400)
        if partition == 0:
            check("t", 0, seen, origin)
    assert seen == {"intake-3": 103}


def test_a_record_from_before_frames_is_one_message():
    """Topics hold them for days after an upgrade."""
    origin = origin_of(((SENDER, b"intake-3"), (COUNT, b"4")))
    assert origin == ("intake-3", 4, None, None)
    seen = {"intake-3": 3}
    check("t", 0, seen, origin)
    assert seen == {"intake-3": 4}


@pytest.mark.parametrize(("count", "what"), [(5, "missing"), (3, "repeat"), (1, "repeat")])
def test_a_gap_and_a_repeat_stop_the_receiver(count, what):
    """Each says which, from whom and where, and leaves the last good number as it was."""
    seen = {"intake-3": 3}
    with pytest.raises(SenderGap, match=what):
        check("postroom.assertions", 2, seen, Origin("intake-3", count, 2))
    assert seen == {"intake-3": 3}


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("postroom_sender", b"a-1"),),
        (("postroom_count", b"1"),),
        (("postroom_sender", b"a-1"), ("postroom_count", b"-1")),
        (("postroom_sender", b""), ("postroom_count", b"1")),
        (("postroom_sender", None), ("postroom_count", None)),
        (("postroom_sender", b"a-1"), ("postroom_count", b"1"), ("postroom_messages", b"many")),
        (("postroom_sender", b"a-1"), ("postroom_count", b"1"), ("postroom_messages", None)),
    ],
)
def test_a_record_that_no_task_wrote_has_no_sender(headers):
    """Half a signature is none."""
    assert origin_of(headers) is None


@given(st.sets(st.binary(min_size=1, max_size=3).filter(lambda key: key[0]), max_size=20), st.integers(1, 7))
def test_a_sweep_delivers_every_key_once_and_ends(keys, portion):
    """Whatever the portion; afterwards there is nothing to do for these rules (V9)."""
    store, memory = MemoryStore(), TaskMemory()
    store.put({key: pack_state(State(b"")) for key in keys}, 1)
    sweeper, delivered, turns = Sweeper(memory, store), [], 0
    while sweeper.begin("2"):
        delivered += sweeper.portion(portion)
        turns += 1
        assert turns <= len(keys) + 1
    assert delivered == sorted(keys)
    assert (memory.swept, memory.sweep) == ("2", None)


def test_a_sweep_goes_on_where_its_memory_stands_and_begins_again_for_newer_rules():
    """A restart continues; a change of rules in the middle starts over."""
    store, memory = MemoryStore(), TaskMemory(swept="1")
    store.put({b"%d" % number: pack_state(State(b"")) for number in range(5)}, 1)
    assert not Sweeper(memory, store).begin("1")
    first = Sweeper(memory, store)
    assert first.begin("2")
    assert first.portion(2) == [b"0", b"1"]
    restarted = Sweeper(memory, store)
    assert restarted.begin("2")
    assert restarted.portion(2) == [b"2", b"3"]
    assert restarted.begin("3")
    assert restarted.portion(2) == [b"0", b"1"]


HOLDERS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.frozensets(st.integers(0, 12)), min_size=1, max_size=4
)


@given(st.integers(0, 12), HOLDERS)
def test_tasks_are_shared_evenly_and_each_has_one_owner(count, holders):
    """No worker has two tasks more than another."""
    given_out = share_out(range(count), holders)
    assert sorted(given_out) == list(range(count))
    load = [list(given_out.values()).count(member) for member in holders]
    assert max(load) - min(load) <= 1


def test_a_task_stays_where_its_store_is_warm():
    """The same workers with the same stores get the same tasks; a new worker gets only its share."""
    first = share_out(range(6), {"a": frozenset(), "b": frozenset()})
    held = {member: frozenset(task for task, owner in first.items() if owner == member) for member in "ab"}
    assert share_out(range(6), held) == first
    grown = share_out(range(6), {**held, "c": frozenset()})
    assert sum(grown[task] != first[task] for task in range(6)) == 2


class Cluster:
    def __init__(self, partitions):
        self.partitions = partitions

    def partitions_for_topic(self, topic):
        return set(range(self.partitions.get(topic, 0)))


def test_partitions_of_all_topics_stay_together_while_workers_know_different_topics():
    """One of them has heard of a new contract: its own tasks include it, nobody owns half a task."""
    one, two = TaskAssignor(), TaskAssignor()
    members = {"one": one.metadata(["a", "b", "new"]), "two": two.metadata(["a", "b"])}
    shares = one.assign(Cluster({"a": 4, "b": 4, "new": 4}), members)
    tasks = {}
    for member, share in shares.items():
        given_out = dict(share.assignment)
        assert given_out["a"] == given_out["b"]
        tasks[member] = set(given_out["a"])
    assert tasks["one"] | tasks["two"] == {0, 1, 2, 3}
    assert not tasks["one"] & tasks["two"]
    assert set(dict(shares["one"].assignment)["new"]) == tasks["one"]
    assert "new" not in dict(shares["two"].assignment)


def test_a_fault_that_is_misspelt_is_refused():
    """A test that injects nothing would prove nothing."""
    with pytest.raises(ValueError, match="names no point"):
        faults_from("somewhere:1")
    faults_from(None)("store written")


class Batch:
    """A client's batch as the engine sees it: 900 bytes of records, or a greater one alone."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def append(self, *, timestamp, key, value, headers):
        if self.sizes and self.size() + len(value) > 900:
            return None
        self.sizes.append(len(value))
        return object()

    def record_count(self):
        return len(self.sizes)

    def size(self):
        return sum(self.sizes)


class Producer:
    """Remembers each batch with how many were then unacknowledged; acknowledges when it is waited for."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []
        self.open: list[asyncio.Future] = []

    def create_batch(self):
        return Batch()

    async def send_batch(self, batch, topic, partition):
        self.open = [ack for ack in self.open if not ack.done()]
        self.sent.append((batch.size(), len(self.open)))
        ack = asyncio.get_running_loop().create_future()
        self.open.append(ack)
        asyncio.get_running_loop().call_later(0.01, ack.set_result, None)
        return ack


def test_a_batch_greater_than_usual_travels_alone(monkeypatch):
    """A client puts all that waits for a broker into one request, and a broker takes only so much in one."""
    monkeypatch.setattr(transaction, "_BATCH_BYTES", 900)

    async def play():
        transactor = transaction.Transactor(EngineConfig("", None, message_bytes_max=5_000), "id", "s")
        producer = transactor._producer = Producer()
        acks = []
        for partition, sizes in enumerate([(500, 400), (4_000, 500), (5_000,)]):
            records = [(b"k", b"x" * size, ()) for size in sizes]
            await transactor._send("t", partition, records, acks)
        assert producer.sent == [(900, 0), (4_000, 1), (500, 0), (5_000, 1)]
        assert all(ack.done() for ack in acks)

    asyncio.run(play())


def test_a_record_that_no_topic_takes_stops_the_stage_with_its_size(monkeypatch):
    """One clear line, and nobody's data in it."""
    monkeypatch.setattr(transaction, "_BATCH_BYTES", 900)

    async def play():
        transactor = transaction.Transactor(EngineConfig("", None, message_bytes_max=5_000), "id", "s")
        transactor._producer = Producer()
        with pytest.raises(transaction.RecordTooLarge, match=r"postroom\.t-3: a record of 5001 bytes.*5000"):
            await transactor._send("postroom.t", 3, [(b"k", b"x" * 5_001, ())], [])

    asyncio.run(play())


def test_what_a_step_counts_and_measures_is_all_told():
    """Many outcomes of one kind are one sum; each latency is observed."""
    outcomes = [
        Outcome("t", "accepted"),
        Outcome("t", "rejected", "shape", 2),
        Outcome("t", "accepted", "", 3),
    ]
    metrics.count_step(
        "toy-metrics", outcomes, [Latency("end_to_end", 900), Latency("moment_to_view", 400)], 1_000
    )
    told = {(each.name, *each.labels.values()): each.value for each in samples("toy-metrics")}
    assert told["postroom_events_total", "toy-metrics", "t", "accepted", ""] == 4
    assert told["postroom_events_total", "toy-metrics", "t", "rejected", "shape"] == 2
    assert told["postroom_end_to_end_seconds_sum", "toy-metrics"] == pytest.approx(0.1)
    assert told["postroom_moment_to_view_seconds_sum", "toy-metrics"] == pytest.approx(0.6)


def samples(stage):
    """What Prometheus would be told of a stage."""
    families = REGISTRY.collect()
    return [each for family in families for each in family.samples if each.labels.get("stage") == stage]
