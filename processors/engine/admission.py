"""From what was fetched to what a stage steps: senders and counts checked, frames unpacked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from processors.engine.counts import Origin, check, origin_of
from processors.engine.frames import unpack
from processors.stage import Record

Seen = dict[str, dict[str, int]]
"""The last count of each sender, by topic."""


class Admitted(NamedTuple):
    """The messages of fetched records, how many records are nobody's, and since when the oldest event that
    any of it comes from has waited for us, UTC ms; None if there is none.
    """

    messages: list[Record]
    foreign: int
    since_ms: int | None


def admit(fetched: Sequence[Any], internal: Collection[str], seen: Seen) -> Admitted:
    """Take fetched records apart (SenderGap, FrameGarbled).

    A record on an internal topic without sender and count is nobody's message: anyone with write access
    could put it there, and it takes no part in what must not be lost. Its reader counts and says it.
    """
    messages: list[Record] = []
    foreign = 0
    waiting: list[int] = []
    for record in fetched:
        if record.topic not in internal:
            messages.append(_alone(record))
            waiting.append(record.timestamp)
            continue
        origin = origin_of(record.headers)
        if origin is None:
            foreign += 1
            continue
        check(record.topic, record.partition, seen.setdefault(record.topic, {}), origin)
        messages += _messages(record, origin)
        waiting.append(record.timestamp if origin.since_ms is None else origin.since_ms)
    return Admitted(messages, foreign, min(waiting, default=None))


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
