"""What intake must know before a step and cannot ask for itself: writer schemas, records to judge again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from connectors import Unreachable
from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import TopicReader
from connectors.registry import Registry
from processors import Intake
from processors.engine import Replaceable
from processors.engine.settings import Prepare
from processors.second_look import wanted_again
from processors.stage import Record

RETRY_S = 2.0

Found = TypeVar("Found")


def look_up(held: Replaceable, registry: Registry, access: KafkaAccess) -> Prepare:
    """Look up what intake does not know; while the registry or Kafka is down, wait, never skip."""
    reader = TopicReader(access)

    async def prepare(batch: Sequence[Record]) -> None:
        intake = held.current
        assert isinstance(intake, Intake)  # noqa: S101 - no other stage is prepared
        again = await _fetched(intake, reader, batch)
        # What the registry did not know when a record was rejected, it may know now.
        for schema_id in [each for each, schema in intake.writers.items() if again and schema is None]:
            del intake.writers[schema_id]
        for schema_id in sorted(intake.unknown_schema_ids([*batch, *again])):
            intake.writers[schema_id] = await _patiently(partial(registry.schema_by_id, schema_id))

    return prepare


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
