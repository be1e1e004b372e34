"""Who gets which task, for the plain shell: whole tasks, evenly, and where their store is warm.

Kafka's own assignors think in partitions of topics. Here partition p of every input topic must go to one
worker, also while workers subscribe to different topics because one of them learned of a contract earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

VERSION = 0


def share_out(tasks: Iterable[int], holders: Mapping[str, frozenset[int]]) -> dict[int, str]:
    """Give each task to one member: no member has two more than another, and what it holds it keeps first.

    A function of its arguments alone; ``holders`` says by member which tasks' stores it has on its disk.
    """
    wanted = sorted(tasks)
    members = sorted(holders)
    load = dict.fromkeys(members, 0)
    least, extra = divmod(len(wanted), len(members))
    given: dict[int, str] = {}
    for task in wanted:
        warm = [
            member for member in members if task in holders[member] and load[member] < least + (extra > 0)
        ]
        if not warm:
            continue
        member = min(warm, key=lambda name: (load[name], name))
        if load[member] == least:
            if not extra:
                continue
            extra -= 1
        given[task] = member
        load[member] += 1
    for task in wanted:
        if task not in given:
            member = min(members, key=lambda name: (load[name], name))
            given[task] = member
            load[member] += 1
    return given


class TaskAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Kafka's group protocol around :func:`share_out`; an object, so that it knows this member's stores."""

    name = "postroom-tasks"

    def __init__(self, held: frozenset[int] = frozenset()) -> None:
        self.held = held

    def metadata(self, topics: Iterable[str]) -> Any:
        """Tell the group what this member subscribes to and whose stores it has."""
        held = ",".join(str(task) for task in sorted(self.held)).encode()
        return ConsumerProtocolMemberMetadata(VERSION, sorted(topics), held)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Give every member partition p of those of its topics that have one, for each task p it gets."""
        partitions = {
            topic: len(cluster.partitions_for_topic(topic) or ())
            for metadata in members.values()
            for topic in metadata.subscription
        }
        holders = {member: _held(metadata.user_data) for member, metadata in members.items()}
        owners = share_out(range(max(partitions.values(), default=0)), holders)
        shares: dict[str, dict[str, list[int]]] = {member: {} for member in members}
        for task, member in owners.items():
            for topic in members[member].subscription:
                if task < partitions[topic]:
                    shares[member].setdefault(topic, []).append(task)
        return {
            member: ConsumerProtocolMemberAssignment(VERSION, sorted(share.items()), b"")
            for member, share in shares.items()
        }

    def on_assignment(self, assignment: Any) -> None:
        """Remember whose stores this member will have."""
        self.held |= {task for _, tasks in assignment.assignment for task in tasks}


def _held(user_data: bytes | None) -> frozenset[int]:
    words = (user_data or b"").decode("ascii", "ignore").split(",")
    return frozenset(int(word) for word in words if word.isdigit())
