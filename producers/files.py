"""Files of events: one CloudEvent a line (E3), read as a stream, never a line more than may be."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import msgspec

from producers.departments import Event
from schemas import EVENT_BYTES_MAX


class Line(NamedTuple):
    """A line: its number from 1, its content without the end, and how many bytes of the file it took.

    ``content`` is None when the line is longer than it may be; it was read past, not kept.
    """

    number: int
    content: bytes | None
    size_bytes: int
    together: str | None = None
    """What shares this goes to one partition of its topic, so that its order can be seen; None: anywhere."""

    @property
    def blank(self) -> bool:
        """A blank line counts but says nothing (E3)."""
        return self.content is not None and not self.content.strip()


def read_lines(stream: IO[bytes], bytes_max: int = EVENT_BYTES_MAX) -> Iterator[Line]:
    """All lines of a binary stream, blank ones too; the last may lack its end.

    A line of any length is read in bounded memory. A byte order mark before the first is no part of it.
    """
    number = 0
    while first := stream.readline(bytes_max + 2):
        number += 1
        size, piece = len(first), first
        while not piece.endswith(b"\n") and (piece := stream.readline(bytes_max)):
            size += len(piece)
        content = first.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1:  # editors of Windows write one, and readers may ignore it (RFC 8259 §8.1)
            content = content.removeprefix(BOM_UTF8)
        whole = size == len(first) and len(content) <= bytes_max
        yield Line(number, content if whole else None, size)


def to_lines(events: Iterable[Event]) -> Iterator[bytes]:
    """Each event as a line with its end, keys in the order given."""
    for event in events:
        yield msgspec.json.encode(event) + b"\n"
