"""Many messages in one Kafka record, because a record costs a client more than most messages (adr/0006).

A frame is a msgpack array of messages, each an array of key, value (nil: none) and headers. How many there
are, who wrote them and the count of the first stand in the record's own headers (``counts.py``), so that a
gap is noticed before anything is unpacked. The record's key is null: the engine chose the partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from processors.engine.trouble import EngineStop
from processors.stage import Headers

MESSAGES_MAX = 100
"""A frame is stepped whole, so it must not be much beside a step; a hundred share a record's cost well."""
BYTES_MAX = 256 << 10
"""Of keys and values; a single greater message is a frame of its own."""

Unframed = tuple[bytes, bytes | None, Headers]


class FrameGarbled(EngineStop):
    """A record that one of our tasks signed does not hold the messages that it says."""


class Message(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One message of a frame."""

    key: bytes
    value: bytes | None
    headers: Headers = ()


def pack(messages: Iterable[Unframed]) -> Iterator[tuple[int, bytes]]:
    """Put messages into frames, in their order; yield how many each frame holds, and its bytes."""
    part: list[Unframed] = []
    size = 0
    for message in messages:
        key, value, _ = message
        weight = len(key) + (len(value) if value else 0)
        if part and (len(part) == MESSAGES_MAX or size + weight > BYTES_MAX):
            yield len(part), _encoder.encode(part)
            part, size = [], 0
        part.append(message)
        size += weight
    if part:
        yield len(part), _encoder.encode(part)


def unpack(packed: bytes | None, count: int, where: str) -> list[Message]:
    """Return the messages of a frame that is said to hold so many. FrameGarbled."""
    try:
        messages = _decoder.decode(packed or b"")
    except msgspec.DecodeError:
        messages = []
    if len(messages) != count:
        raise FrameGarbled(
            f"{where}: a record that names a task as its sender cannot be read as {count} messages; nothing "
            "has been skipped, the process stops before it"
        )
    return messages


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Message])
