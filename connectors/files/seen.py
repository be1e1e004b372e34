"""The ids of one file, to find two rows that claim to be one event: on a disk, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

CACHE_KIB = 16_384


class SeenIds:
    """Which row had an id first, and a digest of what it said; nothing of a person."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def first(self, id_: str, content: bytes, row: int) -> tuple[int, bool]:
        """Return the row that had this id first, and whether it said the same."""
        added = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (id_, content, row))
        if added.rowcount:
            return row, True
        query = "SELECT row, content FROM seen WHERE id = ?"
        found, said = self._db.execute(query, (id_,)).fetchone()
        return int(found), bool(said == content)


@contextmanager
def seen_ids() -> Iterator[SeenIds]:
    """A memory that SQLite keeps in a temporary file of its own, gone at the end and after a kill."""
    db = sqlite3.connect("", isolation_level=None)
    try:
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, content BLOB, row INTEGER) WITHOUT ROWID")
        db.execute("BEGIN")
        yield SeenIds(db)
    finally:
        db.close()
