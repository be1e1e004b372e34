"""What is remembered of each file: how far Kafka has acknowledged it, and that it was published (SQLite).

A file is its content: the checksum is its name here, so the same file under another name is not taken twice,
and another content under a name that was seen is another file (docs/adr/0056). Nothing of a row is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from connectors.private_database import open_private_database
from connectors.trouble import Misused, Unreachable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    "drop" TEXT, sha256 TEXT, name TEXT NOT NULL, size_bytes INTEGER NOT NULL, state TEXT NOT NULL,
    since_ms INTEGER NOT NULL, rules TEXT, "row" INTEGER NOT NULL, line INTEGER NOT NULL,
    "offset" INTEGER NOT NULL, good INTEGER NOT NULL, bad INTEGER NOT NULL, repeated INTEGER NOT NULL,
    published INTEGER NOT NULL, why TEXT NOT NULL, mend TEXT NOT NULL, PRIMARY KEY ("drop", sha256)
) WITHOUT ROWID;
"""


class State(StrEnum):
    """How a file stands."""

    TAKEN = "taken"
    PUBLISHED = "published"
    REFUSED = "refused"


class Standing(NamedTuple):
    """One file: `row`, `line` and `offset` are behind what is acknowledged, the beginning being 1, 1, 0;
    `rules` names by what it was judged.
    """

    drop: str
    sha256: str
    name: str
    size_bytes: int
    state: str
    since_ms: int
    rules: str | None = None
    row: int = 1
    line: int = 1
    offset: int = 0
    good: int = 0
    bad: int = 0
    repeated: int = 0
    published: int = 0
    why: str = ""
    mend: str = ""


_COLUMNS = ", ".join(f'"{name}"' for name in Standing._fields)
_MARKS = ", ".join("?" for _ in Standing._fields)


class Journal:
    """One installation's; a file that only its user may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _said(path):
            # INVARIANT: what is said to be published stays so through a power cut, or a file goes out again.
            self._db = open_private_database(path, "FULL", _SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def find(self, drop: str, sha256: str) -> Standing | None:
        """Return how one file stands; None when it was never taken."""
        found = self._read(f'SELECT {_COLUMNS} FROM file WHERE "drop" = ? AND sha256 = ?', drop, sha256)  # noqa: S608 - our own columns
        return found[0] if found else None

    def all(self, state: State | None = None) -> list[Standing]:
        """Return every file, or those of a state, the oldest first."""
        query = f'SELECT {_COLUMNS} FROM file WHERE ? IS NULL OR state = ? ORDER BY since_ms, "drop", name'  # noqa: S608 - our own columns
        return self._read(query, state, state)

    def take(self, standing: Standing) -> None:
        """Note that a file was taken: from its beginning, whatever became of it before."""
        with _said(self.path):
            self._db.execute(f"INSERT OR REPLACE INTO file ({_COLUMNS}) VALUES ({_MARKS})", standing)  # noqa: S608 - our own columns

    def judged(self, at: Standing, rules: str, good: int, bad: int, repeated: int) -> None:
        """Note by what it was judged, and how."""
        self._set(at, rules=rules, good=good, bad=bad, repeated=repeated)

    def note(self, at: Standing, row: int, line: int, offset: int, published: int) -> None:
        """Note how far everything is acknowledged, and how many rows that is."""
        self._set(at, row=row, line=line, offset=offset, published=published)

    def end(self, at: Standing, state: State, now_ms: int, why: str = "", mend: str = "") -> None:
        """Note that it is done with."""
        self._set(at, state=state, since_ms=now_ms, why=why, mend=mend)

    def forget(self, at: Standing) -> None:
        """Know nothing of it any more: handed in again it is a new file."""
        with _said(self.path):
            self._db.execute('DELETE FROM file WHERE "drop" = ? AND sha256 = ?', (at.drop, at.sha256))

    def _set(self, at: Standing, **values: Any) -> None:
        sets = ", ".join(f'"{name}" = ?' for name in values)
        query = f'UPDATE file SET {sets} WHERE "drop" = ? AND sha256 = ?'  # noqa: S608 - our own columns
        with _said(self.path):
            self._db.execute(query, (*values.values(), at.drop, at.sha256))

    def _read(self, query: str, *values: Any) -> list[Standing]:
        with _said(self.path):
            return [Standing(*row) for row in self._db.execute(query, values)]


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Say what is wrong with the file in our words."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreachable("the journal of files cannot be used", where=str(path), why=why) from None
    except sqlite3.DatabaseError as error:
        mend = "restore it; or move it away: then files that are handed in again are published again"
        raise Misused(
            "the journal of files cannot be read", where=str(path), why=str(error), mend=mend
        ) from None
