"""The one place where the checker takes records of internal topics and changelogs apart.

What a record between stages looks like is the stages' own affair (docs/adr/0003) and may change; the checks
only ever see what is returned here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from processors.engine.changelog import TASK_KEY, TaskMemory, decode_memory
from processors.engine.counts import Origin, origin_of
from processors.engine.frames import FrameGarbled, unpack
from processors.messages import (
    ASSERTIONS_TOPIC,
    FRAGMENTS_TOPIC,
    OBLIGATIONS_TOPIC,
    PAIRS_TOPIC,
    Message,
    decode_for_identity,
    decode_for_obligations,
    decode_for_persons,
    decode_for_record,
)
from processors.stage import Record

DECODERS: Mapping[str, Callable[[bytes], Any]] = {
    ASSERTIONS_TOPIC: decode_for_identity,
    PAIRS_TOPIC: decode_for_persons,
    FRAGMENTS_TOPIC: decode_for_record,
    OBLIGATIONS_TOPIC: decode_for_obligations,
}
"""How the stage that reads a topic decodes it."""

READERS: Mapping[str, str] = {
    ASSERTIONS_TOPIC: "identity",
    PAIRS_TOPIC: "persons",
    FRAGMENTS_TOPIC: "record",
    OBLIGATIONS_TOPIC: "obligations",
}
"""The stage that reads each internal topic."""

STAGES = ("intake", *READERS.values())


class Sent(NamedTuple):
    """What one record between stages holds: its sender, its first and last number in the sender's count.

    ``messages`` is None when they cannot be read.
    """

    sender: str
    number: int
    last: int
    messages: tuple[Message, ...] | None


def read_sent(record: Record) -> Sent | None:
    """Take a record of an internal topic apart; None for one that no task of ours wrote (docs/adr/0020)."""
    origin = origin_of(record.headers)
    if origin is None:
        return None
    return Sent(origin.sender, origin.first, origin.first + origin.messages - 1, _messages_of(record, origin))


def _messages_of(record: Record, origin: Origin) -> tuple[Message, ...] | None:
    decode = DECODERS[record.topic]
    try:
        if origin.framed is None:
            keyed = [(record.key, record.value)]
        else:
            keyed = [(each.key, each.value) for each in unpack(record.value, origin.framed, record.topic)]
        for key, _ in keyed:
            (key or b"\xff").decode()
        return tuple(decode(value or b"") for _, value in keyed)
    except (FrameGarbled, msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_memory(record: Record) -> TaskMemory | None:
    """Return a task's memory if the changelog record is one."""
    return decode_memory(record.value) if record.key == TASK_KEY and record.value is not None else None


def changelog_of(stage: str) -> str:
    """Name a stage's changelog (DESIGN §7)."""
    return f"postroom.{stage}.changelog"


def task_of(sender: str) -> tuple[str, int] | None:
    """Return (stage, partition) of a sender, or None for a name that no task has."""
    stage, _, partition = sender.rpartition("-")
    return (stage, int(partition)) if stage in STAGES and partition.isdigit() else None
