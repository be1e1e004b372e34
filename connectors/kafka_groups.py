"""Consumer groups as the broker has them: who is in, how far they have come, how far they could go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of

Where = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group. Offsets count transactions' markers too, so a lag of a few may be nothing to do."""

    group: str
    state: str
    """The broker's word: Stable, Empty, PreparingRebalance, CompletingRebalance, Dead."""
    protocol: str = ""
    members: tuple[str, ...] = ()
    """The client ids of its members."""
    reads: frozenset[str] = frozenset()
    """The topics of which some member has a partition; none while the group divides them anew."""
    lag: Mapping[Where, int] = field(default_factory=dict)
    """Offsets between what is committed, or the beginning, and the end."""
    ends: Mapping[Where, int] = field(default_factory=dict)
    position: int = 0
    """How far it has come, over all partitions: the difference of two looks is its pace."""
    lost: Mapping[Where, int] = field(default_factory=dict)
    """Offsets that were deleted before the group had come to them."""

    @property
    def tails(self) -> dict[Where, tuple[int, int]]:
        """Where something may wait: the first offset that is not committed, and the end."""
        return {where: (self.ends[where] - lag, self.ends[where]) for where, lag in self.lag.items() if lag}

    @property
    def lag_records(self) -> int:
        """Over all partitions."""
        return sum(self.lag.values())


def group_facts(access: KafkaAccess, groups: Mapping[str, Sequence[str]]) -> dict[str, GroupFacts]:
    """Ask about groups and the topics that each reads; a topic that is not there is left out."""
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    with admin_of(access, "groups") as admin:
        there = set(admin.list_topics())
        topics = sorted({topic for read in groups.values() for topic in read} & there)
        described = admin.describe_topics(topics) if topics else []
        where = [
            TopicPartition(each["name"], number)
            for each in described
            for number in range(len(each["partitions"]))
        ]
        found = {group: admin.describe_groups([group])[group] for group in groups}
        asked = {group: [tp for tp in where if tp.topic in read] for group, read in groups.items()}
        # Committed first: what is read in between makes a lag too great, never too small.
        committed = admin.list_group_offsets({group: tps for group, tps in asked.items() if tps})
        begins = _offsets(admin, where, OffsetSpec.EARLIEST)
        ends = _offsets(admin, where, OffsetSpec.LATEST)
    return {
        group: _facts(group, found[group], asked[group], committed.get(group, {}), begins, ends)
        for group in groups
    }


def _topics_of(member: Mapping[str, Any]) -> frozenset[str]:
    """The topics of which a member has partitions. What it asks for would say more, but Faust asks in a
    version that the client does not read.
    """
    assigned = member.get("member_assignment")
    if not isinstance(assigned, Mapping):  # it was given nothing yet, or by no consumer's protocol
        return frozenset()
    return frozenset(str(each["topic"]) for each in assigned.get("assigned_partitions", ()))


def _offsets(admin: Any, where: Sequence[Any], spec: Any) -> dict[Any, int]:
    if not where:
        return {}
    found = admin.list_partition_offsets(dict.fromkeys(where, spec))
    return {tp: int(each.offset) for tp, each in found.items()}


def _facts(
    group: str,
    described: Mapping[str, Any],
    where: Sequence[Any],
    committed: Mapping[Any, Any],
    begins: Mapping[Any, int],
    ends: Mapping[Any, int],
) -> GroupFacts:
    positions = {tp: found.offset for tp, found in committed.items() if found.offset >= 0}
    # What was deleted is not to do any more: it is lost, and told as that.
    lags = {tp: max(0, ends[tp] - max(begins[tp], positions.get(tp, 0))) for tp in where}
    return GroupFacts(
        group,
        str(described.get("group_state", "")),
        str(described.get("protocol_data", "")),
        tuple(sorted(str(member["client_id"]) for member in described.get("members", ()))),
        frozenset().union(*map(_topics_of, described.get("members", ()))),
        {(tp.topic, tp.partition): lag for tp, lag in lags.items()},
        {(tp.topic, tp.partition): ends[tp] for tp in where},
        sum(positions.get(tp, begins[tp]) for tp in where),
        {
            (tp.topic, tp.partition): begins[tp] - position
            for tp, position in positions.items()
            if begins[tp] > position
        },
    )
