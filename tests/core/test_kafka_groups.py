"""How far groups have come, as brokers answer; what was deleted is told as lost."""

from __future__ import annotations

from typing import Any

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from connectors.kafka_groups import _facts

EVENTS, BETWEEN = TopicPartition("events", 0), TopicPartition("between", 0)
DESCRIBED = {
    "group_state": "Stable",
    "protocol_data": "faust",
    "members": [{"client_id": "b"}, {"client_id": "a"}],
}


def facts(committed: dict[Any, int], begins: dict[Any, int], ends: dict[Any, int]) -> Any:
    """One group that reads one topic from outside and one that is written in transactions."""
    offsets = {tp: OffsetAndMetadata(offset, "", -1) for tp, offset in committed.items()}
    return _facts("g", DESCRIBED, [EVENTS, BETWEEN], offsets, begins, ends)


def test_a_lag_is_from_what_is_committed_or_the_beginning():
    """A group that has committed nothing has everything to do."""
    found = facts({EVENTS: 5}, {EVENTS: 0, BETWEEN: 3}, {EVENTS: 9, BETWEEN: 10})
    assert found.lag == {("events", 0): 4, ("between", 0): 7}
    assert (found.lag_records, found.position, found.members) == (11, 8, ("a", "b"))
    assert (found.state, found.protocol, dict(found.lost)) == ("Stable", "faust", {})


def test_what_a_groups_members_read_is_what_they_were_given():
    """As a broker tells it of Faust's workers; one that has nothing yet adds nothing."""
    given = [{"topic": "events", "partitions": [0]}, {"topic": "between", "partitions": [0, 1]}]
    members = [
        {"client_id": "a", "member_assignment": {"version": 4, "assigned_partitions": given[:1]}},
        {"client_id": "b", "member_assignment": {"version": 4, "assigned_partitions": given}},
        {"client_id": "c", "member_assignment": b""},
        {"client_id": "d"},
    ]
    found = _facts("g", DESCRIBED | {"members": members}, [], {}, {}, {})
    assert found.reads == {"events", "between"}
    assert facts({}, {EVENTS: 0, BETWEEN: 0}, {EVENTS: 0, BETWEEN: 0}).reads == frozenset()


def test_what_was_deleted_before_it_was_read_is_told():
    """V6: retention was faster than the workers."""
    found = facts({EVENTS: 5, BETWEEN: 10}, {EVENTS: 8, BETWEEN: 0}, {EVENTS: 9, BETWEEN: 10})
    assert found.lost == {("events", 0): 3}
    assert found.lag_records == 1, "what is lost is not to do"
