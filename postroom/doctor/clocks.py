"""How far clocks are apart, read from what was written anyway: nothing is written to find out.

A task's memory holds the time that its worker believed when it began a step, and the broker stamps the record
in which the memory is written. Machines that agree show the few milliseconds of a step.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.kafka_access import KafkaAccess
from connectors.kafka_facts import TopicFacts
from connectors.kafka_reader import RawRecord, TopicReader
from processors.engine.changelog import TASK_KEY, decode_memory

LATEST = 20
"""Records of each changelog's end that are looked at: the fastest step tells most."""


@dataclass(frozen=True, slots=True)
class Skew:
    """How far `who`'s clock is behind the broker's; negative: ahead of it."""

    who: str
    behind_ms: int


def skews(access: KafkaAccess, topics: Mapping[str, TopicFacts]) -> tuple[Skew, ...]:
    """Compare the broker's stamps with the workers' time, and with this machine's."""
    changelogs = sorted(name for name in topics if name.endswith(".changelog"))
    if not changelogs:
        return ()
    found: dict[str, list[int]] = {}
    latest_ms = 0
    for record in _last_records(access, changelogs):
        latest_ms = max(latest_ms, record.timestamp_ms)
        memory = decode_memory(record.value) if record.key == TASK_KEY and record.value else None
        if memory is not None:
            who = f"{record.topic.split('.')[1]}-{record.partition}"
            found.setdefault(who, []).append(record.timestamp_ms - memory.now_ms)
    here = [Skew("this machine", latest_ms - time.time_ns() // 1_000_000)] if latest_ms else []
    return (*(Skew(who, min(apart)) for who, apart in sorted(found.items())), *here)


def _last_records(access: KafkaAccess, topics: Iterable[str]) -> Iterable[RawRecord]:
    reader = TopicReader(access)
    ends = reader.ends(list(topics))
    since = {where: max(0, end - 2 * LATEST) for where, end in ends.items()}
    return reader.read(list(topics), since=since)
