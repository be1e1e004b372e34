"""Where the records of a CSV begin and end (RFC 4180), in bounded memory: what is too long is read past.

A quote opens at the beginning of a cell only; elsewhere it is a character. So a stray one joins no rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import IO, NamedTuple

PIECE_BYTES = 65_536


class QuoteNeverCloses(Exception):  # noqa: N818 - what is so of a file
    """A quote that opens and does not close within what a record may hold: where rows begin is in doubt."""


class Record(NamedTuple):
    """A record: its content without its end (None: longer than it may be), its lines, and its bytes."""

    content: bytes | None
    lines: int
    size_bytes: int


class Within(Enum):
    """Where in a record the reading is."""

    START = "at the beginning of a cell"
    PLAIN = "in a cell without quotes"
    QUOTED = "inside quotes"
    CLOSED = "behind a quote inside quotes: the end of them, or half of a doubled one"


def read_records(stream: IO[bytes], delimiter: bytes, bytes_max: int) -> Iterator[Record]:
    """All records of a binary stream, blank ones too; the last may lack its end. QuoteNeverCloses."""
    within, kept, size, lines = Within.START, bytearray(), 0, 0
    whole = whole_record(delimiter)
    while piece := stream.readline(PIECE_BYTES):
        if within is not Within.START or size or whole(piece) is None:
            within = after(piece, within, delimiter)
        size += len(piece)
        if size <= bytes_max + 2:
            kept += piece
        ends_line = piece.endswith(b"\n")
        lines += ends_line
        if ends_line and within is not Within.QUOTED:
            yield _record(kept, lines, size, bytes_max)
            within, kept, size, lines = Within.START, bytearray(), 0, 0
        elif ends_line and size > bytes_max:
            # INVARIANT: a record of many lines that is too long may be a stray quote that swallows the file.
            raise QuoteNeverCloses
    if within is Within.QUOTED:
        raise QuoteNeverCloses
    if size:
        yield _record(kept, lines + 1, size, bytes_max)


def _record(kept: bytearray, lines: int, size: int, bytes_max: int) -> Record:
    content = bytes(kept).removesuffix(b"\n").removesuffix(b"\r")
    whole = len(kept) == size and len(content) <= bytes_max
    return Record(content if whole else None, lines, size)


def whole_record(delimiter: bytes) -> Callable[[bytes], re.Match[bytes] | None]:
    """What nearly every record matches: one line, whose quotes are where they belong.

    INVARIANT: behind what it matches `after` says START; all else is left to that. A cell's first character
    says what it is, and no stretch of it can be divided in two ways, so no content makes it slow. Possessive
    quantifiers would say that too, but Python before 3.11.5 takes with them what they do not match.
    """
    mark = re.escape(delimiter)
    cell = rb'(?:[^"%b\r\n][^%b\r\n]*|"[^"\n]*(?:""[^"\n]*)*")?' % (mark, mark)
    return re.compile(rb"(?:%b%b)*%b\r?\n" % (cell, mark, cell)).fullmatch


def after(piece: bytes, within: Within, delimiter: bytes) -> Within:
    """Where the reading is behind a piece of a record, which holds a line feed at its end or none."""
    if b'"' not in piece:
        if within is Within.QUOTED:
            return within
        return Within.START if piece.endswith((b"\n", delimiter)) else Within.PLAIN
    at = 0
    while at < len(piece):
        if within is Within.QUOTED:
            quote = piece.find(b'"', at)
            if quote < 0:
                return within
            at, within = quote + 1, Within.CLOSED
        elif within is Within.PLAIN:
            end = piece.find(delimiter, at)
            if end < 0:
                break
            at, within = end + 1, Within.START
        else:
            at, within = _step(piece, at, within, delimiter)
    return Within.START if piece.endswith(b"\n") and within is not Within.QUOTED else within


def _step(piece: bytes, at: int, within: Within, delimiter: bytes) -> tuple[int, Within]:
    """One character at the beginning of a cell, or behind a quote inside quotes."""
    character = piece[at : at + 1]
    if character == b'"':
        return at + 1, Within.QUOTED
    if within is Within.CLOSED and character in (delimiter, b"\r", b"\n"):
        return at + 1, Within.START
    if within is Within.START and character == delimiter:
        return at + 1, Within.START
    return at, Within.PLAIN
