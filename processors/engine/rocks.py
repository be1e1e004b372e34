r"""A task's local state in RocksDB: fast to reopen, bounded in memory, rebuilt when in doubt.

Beside the changelog values by key stand ``\0offset`` (the changelog offset reflected, in the same
WriteBatch as what it reflects) and ``\0wake`` + 8-byte moment + key (the index of wakes). An index entry
counts only while the key's value still names that moment; others are forgotten when they are met.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rocksdict

from processors.engine.changelog import wake_of
from processors.engine.journal import say
from processors.engine.store import Changes, StoreCorrupt, StoreFull, StoreTaken

_OFFSET = b"\0offset"
_WAKE = b"\0wake"
_FIRST_KEY = b"\1"
_MOMENT = struct.Struct(">Q")
_INDEX_KEY_AT = len(_WAKE) + _MOMENT.size
_NEVER = (1 << 64) - 1


class RocksMemory:
    """One block cache and one write buffer for all stores of a process, so that their sum is bounded."""

    def __init__(self, block_cache_bytes: int, write_buffer_bytes: int) -> None:
        self.cache = rocksdict.Cache(block_cache_bytes)
        # Without stalling: RocksDB flushes earlier instead of blocking the event loop.
        self.buffers = rocksdict.WriteBufferManager(write_buffer_bytes, False)
        self.write_buffer_bytes = write_buffer_bytes

    def options(self) -> Any:
        """Return the options of one store."""
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        blocks = rocksdict.BlockBasedOptions()
        blocks.set_block_cache(self.cache)
        blocks.set_cache_index_and_filter_blocks(True)
        blocks.set_bloom_filter(10, False)
        options.set_block_based_table_factory(blocks)
        options.set_write_buffer_manager(self.buffers)
        options.set_write_buffer_size(max(self.write_buffer_bytes // 4, 1 << 20))
        options.set_max_total_wal_size(self.write_buffer_bytes)
        options.set_keep_log_file_num(2)
        options.set_max_open_files(256)
        return options


class RocksStore:
    """The store of one task on the local disk."""

    def __init__(self, directory: Path, memory: RocksMemory) -> None:
        """Open it; one that is broken is deleted and begins empty. StoreTaken if another process has it."""
        self._directory = directory
        self._memory = memory
        try:
            self._open()
        except StoreCorrupt as error:
            say("store-rebuilt", directory=directory.name, reason=str(error))
            self._delete()
            self._open()

    def _open(self) -> None:
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        with _said_plainly(self._directory):
            self._db = rocksdict.Rdict(str(self._directory), self._memory.options())
            offset = self._db.get(_OFFSET)
        self.offset = int(offset) if offset else 0
        self._head: tuple[int, bytes] | None = None
        self._peek((0, b""))

    def _delete(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the changelog values of the keys that exist."""
        wanted = list(keys)
        if not wanted:
            return {}
        with _said_plainly(self._directory):
            values = self._db.get(wanted)
        return {key: value for key, value in zip(wanted, values, strict=True) if value is not None}

    def put(self, changes: Changes, offset: int, before: Mapping[bytes, bytes] | None = None) -> None:
        """Apply changes and the offset that they reach in one WriteBatch."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        known = before or {}
        for key, value in changes.items():
            wake = 0
            if value is None:
                batch.delete(key)
            else:
                wake = wake_of(value)
                batch.put(key, value)
            old = known.get(key)
            old_wake = wake_of(old) if old is not None else 0
            if old_wake == wake:
                continue
            if old_wake:
                batch.delete(_name(old_wake, key))
            if wake:
                batch.put(_name(wake, key), b"")
                self._note((wake, key))
        batch.put(_OFFSET, b"%d" % offset)
        self._write(batch)
        self.offset = offset

    def _write(self, batch: Any) -> None:
        with _said_plainly(self._directory):
            self._db.write(batch)

    def _note(self, entry: tuple[int, bytes]) -> None:
        if self._head is None or entry < self._head:
            self._head = entry

    def due(self, now_ms: int, limit: int) -> list[bytes]:
        """Return keys whose wake is not after ``now_ms``, earliest first; forget entries out of date."""
        head = self._head
        if head is None or head[0] > now_ms:
            return []
        entries = list(self._entries(head, now_ms, limit))
        values = self.get_many(key for _, key in entries)
        stale = rocksdict.WriteBatch(raw_mode=True)
        current: list[tuple[int, bytes]] = []
        for entry in entries:
            value = values.get(entry[1])
            if value is not None and wake_of(value) == entry[0]:
                current.append(entry)
            else:
                stale.delete(_name(*entry))
        if not stale.is_empty():
            self._write(stale)
        if current:
            self._head = current[0]
        else:
            self._peek(head)
        return [key for _, key in current]

    def _entries(self, head: tuple[int, bytes], to_ms: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """Walk the index from its first living entry: RocksDB would crawl over the dead ones before it."""
        with _said_plainly(self._directory):
            cursor = self._db.iter()
            cursor.seek(_name(*head))
            while limit and cursor.valid():
                name = cursor.key()
                if not name.startswith(_WAKE):
                    break
                wake: int = _MOMENT.unpack_from(name, len(_WAKE))[0]
                if wake > to_ms:
                    break
                yield wake, name[_INDEX_KEY_AT:]
                limit -= 1
                cursor.next()
            del cursor  # an iterator that lives on would keep the database's lock past close

    def _peek(self, head: tuple[int, bytes]) -> None:
        """Find the earliest entry that is left."""
        self._head = next(iter([*self._entries(head, _NEVER, 1)]), None)

    def next_wake_ms(self) -> int | None:
        """Return a moment before which nothing is due."""
        return None if self._head is None else self._head[0]

    def keys_after(self, cursor: bytes, limit: int) -> list[bytes]:
        """Return the next keys of stages in byte order."""
        found: list[bytes] = []
        with _said_plainly(self._directory):
            walk = self._db.iter()
            walk.seek(cursor + b"\0" if cursor else _FIRST_KEY)
            while walk.valid() and len(found) < limit:
                found.append(walk.key())
                walk.next()
            del walk
        return found

    def close(self) -> None:
        """Let go of the database and its lock, at once: a compaction that runs is broken off.

        RocksDB's own way flushes first, and a flush behind many small files waits for compactions: seconds in
        which a rebalance stands still. Nothing needs it, for what is not flushed is in the store's log.
        """
        self._db.cancel_all_background(True)
        del self._db

    def wipe(self) -> None:
        """Delete it and begin empty."""
        self.close()
        self._delete()
        self._open()


def _name(wake: int, key: bytes) -> bytes:
    return _WAKE + _MOMENT.pack(wake) + key


@contextmanager
def _said_plainly(directory: Path) -> Iterator[None]:
    """Turn RocksDB's one exception type into ours, by the words that it uses."""
    try:
        yield
    except Exception as error:
        words = str(error)
        name = "/".join(directory.parts[-3:])
        if "No space left" in words or "Disk quota" in words:
            raise StoreFull(
                f"local store {name}: the disk is full; nothing is lost, the changelog has it: make room"
            ) from error
        if "LOCK" in words or "lock hold" in words:
            raise StoreTaken(
                f"local store {name} is open in another process: give this one another instance name"
            ) from error
        raise StoreCorrupt(f"local store {name} cannot be read and will be rebuilt") from error


__all__ = ["RocksMemory", "RocksStore"]
