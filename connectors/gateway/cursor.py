"""Where a subscriber is in its view, as text that only the gateway can write and any gateway can read.

A cursor holds positions, not a session: no server remembers it, so any server can go on from it. It is bound
to the subscriber and the agreement and carries an HMAC, so that one of another is none.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from connectors.kafka_follower import Positions

VERSION = 1
_MAC_BYTES = 16
_HEAD = struct.Struct(">BQH")
_TEXT = re.compile(r"[A-Za-z0-9_-]{16,8192}")


class CursorInvalid(ValueError):  # noqa: N818 - what is wrong
    """Not a cursor of this subscriber, agreement and installation."""


class Cursor(NamedTuple):
    """Positions by partition, and since when (UTC ms) the reader has been behind: its start, or the last
    time it was at the end. Tombstones older than that may be gone (V1).
    """

    positions: Positions
    since_ms: int


class Cursors:
    """Writes and reads cursors with one key, which every gateway of an installation has."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(b"postroom gateway cursor\0" + key).digest()

    def write(self, cursor: Cursor, subscriber: str, agreement: str) -> str:
        """Return the cursor as text."""
        positions = cursor.positions
        body = _HEAD.pack(VERSION, cursor.since_ms, len(positions)) + struct.pack(
            f">{len(positions)}Q", *positions
        )
        return urlsafe_b64encode(body + self._mac(body, subscriber, agreement)).decode().rstrip("=")

    def read(self, text: str, subscriber: str, agreement: str) -> Cursor:
        """Return the cursor; CursorInvalid."""
        if _TEXT.fullmatch(text) is None:
            raise CursorInvalid
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise CursorInvalid from None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        # INVARIANT: nothing in the body is believed before this.
        if not hmac.compare_digest(mac, self._mac(body, subscriber, agreement)):
            raise CursorInvalid
        version, since_ms, count = _HEAD.unpack_from(body)
        if version != VERSION:
            raise CursorInvalid
        return Cursor(struct.unpack_from(f">{count}Q", body, _HEAD.size), since_ms)

    def _mac(self, body: bytes, subscriber: str, agreement: str) -> bytes:
        bound = f"{subscriber}\0{agreement}\0".encode() + body
        return hmac.digest(self._key, bound, hashlib.sha256)[:_MAC_BYTES]
