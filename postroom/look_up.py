"""What intake must know before a step and cannot ask for itself: writer schemas, records to judge again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from connectors import Unreachable
from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import TopicReader
from connectors.registry import Registry
from processors import Intake
from processors.engine import Replaceable
from processors.engine.journal import say
from processors.engine.settings import Prepare
from processors.second_look import wanted_again
from processors.stage import Record

RETRY_S = 2.0
UNKNOWN_AT_ONCE, UNKNOWN_PER_S = 20.0, 1.0
"""How many ids that nobody registered the registry is asked for on behalf of one topic."""
UNKNOWN_KEPT_MAX = 1_000

Found = TypeVar("Found")


class Allowance:
    """What each topic may still cost the registry in vain.

    INVARIANT: an id is its writer's to choose. Without a bound one department's records, each with another
    id, make every department's events wait for as many answers; with one, they are dead letters unasked.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._left: dict[str, tuple[float, float]] = {}
        """By topic: how many questions, when that was so."""

    def of(self, topic: str) -> float:
        """Return how many questions a topic has left."""
        left, at_s = self._left.get(topic, (UNKNOWN_AT_ONCE, 0.0))
        return min(UNKNOWN_AT_ONCE, left + (self._monotonic_s() - at_s) * UNKNOWN_PER_S)

    def spend(self, topic: str) -> None:
        """Count a question that the registry had no answer to."""
        self._left[topic] = (self.of(topic) - 1, self._monotonic_s())


def look_up(
    held: Replaceable,
    registry: Registry,
    access: KafkaAccess,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Prepare:
    """Look up what intake does not know; while the registry or Kafka is down, wait, never skip."""
    reader, allowance = TopicReader(access), Allowance(monotonic_s)

    async def prepare(batch: Sequence[Record]) -> None:
        intake = held.current
        assert isinstance(intake, Intake)  # noqa: S101 - no other stage is prepared
        again = await _fetched(intake, reader, batch)
        in_vain = [schema_id for schema_id, schema in intake.writers.items() if schema is None]
        if again or len(in_vain) > UNKNOWN_KEPT_MAX:
            # What the registry did not know when a record was rejected, it may know now.
            for schema_id in in_vain:
                del intake.writers[schema_id]
        for schema_id in sorted(intake.unknown_schema_ids(again)):  # an operator asks: it costs nobody
            intake.writers[schema_id] = await _patiently(partial(registry.schema_by_id, schema_id))
        await _learn(intake, registry, allowance, batch)

    return prepare


async def _learn(intake: Intake, registry: Registry, allowance: Allowance, batch: Sequence[Record]) -> None:
    """Ask for every schema that the batch needs, as far as its topics may ask in vain."""
    unasked: Counter[str] = Counter()
    for schema_id, topic in _first_topics(intake, batch):
        if allowance.of(topic) < 1:
            unasked[topic] += 1  # unknown to intake as well, and asked for when it comes again
            continue
        schema = intake.writers[schema_id] = await _patiently(partial(registry.schema_by_id, schema_id))
        if schema is None:
            allowance.spend(topic)
    for topic, count in unasked.items():
        say("schema-ids-not-asked-for", "warning", topic=topic, ids=count)


def _first_topics(intake: Intake, batch: Sequence[Record]) -> Iterable[tuple[int, str]]:
    """Each id that intake does not know, and the topic that it came on first."""
    found: dict[int, str] = {}
    if intake.unknown_schema_ids(batch):
        for record in batch:
            for schema_id in intake.unknown_schema_ids((record,)):
                found.setdefault(schema_id, record.topic)
    return sorted(found.items())


async def _fetched(intake: Intake, reader: TopicReader, batch: Sequence[Record]) -> list[Record]:
    """Read again the records that a batch asks about; those of the task's last batch are forgotten."""
    for place in [place for place in intake.fetched if place[0] == batch[0].partition]:
        del intake.fetched[place]
    wanted = wanted_again(batch, intake.rules.contracts.by_type)
    if not wanted:
        return []
    places = {(each.topic, each.partition, each.offset) for each in wanted.values()}
    found = await _patiently(partial(reader.at, places))
    for asked, request in wanted.items():
        raw = found.get((request.topic, request.partition, request.offset))
        intake.fetched[asked] = None if raw is None else Record(*raw)
    return [record for place in wanted if (record := intake.fetched[place]) is not None]


async def _patiently(ask: Callable[[], Found]) -> Found:
    """Ask aside from the event loop, again and again while the other side is away."""
    while True:
        try:
            return await asyncio.to_thread(ask)
        except Unreachable:
            await asyncio.sleep(RETRY_S)
