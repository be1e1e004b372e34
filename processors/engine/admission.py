"""From what was fetched to what a stage steps: senders and counts checked, frames unpacked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from processors.engine.counts import Origin, check, origin_of
from processors.engine.frames import unpack
from processors.stage import Record

Seen = dict[str, dict[str, int]]
"""The last count of each sender, by topic."""


def admit(fetched: Sequence[Any], internal: Collection[str], seen: Seen) -> tuple[list[Record], int]:
    """Return the messages of fetched records, and how many records are nobody's (SenderGap, FrameGarbled).

    A record on an internal topic without sender and count is nobody's message: anyone with write access
    could put it there, and it takes no part in what must not be lost. Its reader counts and says it.
    """
    messages: list[Record] = []
    foreign = 0
    for record in fetched:
        if record.topic not in internal:
            messages.append(_alone(record))
            continue
        origin = origin_of(record.headers)
        if origin is None:
            foreign += 1
            continue
        check(record.topic, record.partition, seen.setdefault(record.topic, {}), origin)
        messages += _messages(record, origin)
    return messages, foreign


def _messages(record: Any, origin: Origin) -> Iterable[Record]:
    if origin.framed is None:
        return (_alone(record),)
    return _unframed(record, origin.framed)


def _unframed(record: Any, count: int) -> Iterator[Record]:
    topic, partition, offset, at_ms = record.topic, record.partition, record.offset, record.timestamp
    for message in unpack(record.value, count, f"{topic}-{partition}, offset {offset}"):
        yield Record(topic, partition, offset, at_ms, message.key, message.value, message.headers)


def _alone(record: Any) -> Record:
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )
