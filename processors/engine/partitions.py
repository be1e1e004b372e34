"""Which partition a key belongs to: the one rule, for every topic that the engine writes."""

from __future__ import annotations

from zlib import crc32


def partition_of(key: bytes, partitions: int) -> int:
    """Return CRC-32 (ISO 3309, as in zlib and PNG) of the key modulo the number of partitions.

    The same key always meets the same task, whoever wrote it, so this must never change while a topic lives
    (``tests/core/test_engine_parts.py`` holds known answers). CRC-32 rather than Java's murmur2, because in
    Python it is thirty times as fast and nobody else writes to these topics.
    """
    return crc32(key) % partitions if partitions > 1 else 0
