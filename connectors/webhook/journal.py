"""What survives: how each endpoint stands, how far it was read, and what its receiver may hold (SQLite).

No value of a view is in it. A row of `held` is a key that was sent and perhaps received; it stays until the
retraction of that key was delivered, so that one is owed even when the topic has forgotten both (V1). Then
the key goes and only a hash of it stays for a while, to know what would come too late.

The commands of an operator write here too, beside the running process. What a crash may take away is the last
moments' rows, never their order (WAL): the same is sent again.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from connectors.kafka_follower import Positions
from connectors.private_database import open_private_database
from connectors.trouble import Misused, Trouble

FORGOTTEN_AFTER_MS = 62 * 24 * 3_600_000
"""How long a hash stays: longer than any record that came before the retraction can (V1: a day)."""

ACTIVE, PARKED, DISABLED = "active", "parked", "disabled"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), bytes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS standing (
    endpoint TEXT PRIMARY KEY, state TEXT NOT NULL, why TEXT NOT NULL, since_ms INTEGER NOT NULL,
    begun_ms INTEGER NOT NULL, releases INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
    agreed_with TEXT NOT NULL DEFAULT '', agreed_ms INTEGER NOT NULL DEFAULT 0, rate INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reading (
    endpoint TEXT, agreement TEXT, pass INTEGER NOT NULL, complete INTEGER NOT NULL,
    since_ms INTEGER NOT NULL, PRIMARY KEY (endpoint, agreement)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (
    endpoint TEXT, agreement TEXT, partition INTEGER, at INTEGER NOT NULL,
    PRIMARY KEY (endpoint, agreement, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
    endpoint TEXT, agreement TEXT, digest BLOB, key TEXT, sent INTEGER NOT NULL, least INTEGER NOT NULL,
    pass INTEGER NOT NULL, retracted_ms INTEGER, PRIMARY KEY (endpoint, agreement, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held_retracted ON held (retracted_ms) WHERE retracted_ms IS NOT NULL;
"""


class Standing(NamedTuple):
    """How an endpoint stands; `releases` counts an operator's, `rate` is the receiver's, a minute."""

    endpoint: str
    state: str
    why: str
    since_ms: int
    begun_ms: int
    releases: int
    failures: int
    agreed_with: str
    agreed_ms: int
    rate: int | None


class Reading(NamedTuple):
    """One way through a topic: its number, whether it has come to an end, and since when it is behind."""

    number: int
    complete: bool
    since_ms: int


_STANDING = ", ".join(Standing._fields)


class Journal:
    """One installation's; a file that only its user may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _said(path):
            self._db = open_private_database(path, "NORMAL", _SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (secrets.token_bytes(32),))
            self.secret: bytes = self._db.execute("SELECT bytes FROM secret").fetchone()[0]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with _said(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _read(self, query: str, *values: Any) -> list[Any]:
        with _said(self.path):
            return self._db.execute(query, values).fetchall()

    # -- how an endpoint stands ------------------------------------------------------------------------

    def standings(self) -> list[Standing]:
        """Return all that were ever begun and not forgotten."""
        return [Standing(*row) for row in self._read(f"SELECT {_STANDING} FROM standing ORDER BY endpoint")]  # noqa: S608 - our own columns

    def standing(self, endpoint: str) -> Standing | None:
        """Return how one stands."""
        found = self._read(f"SELECT {_STANDING} FROM standing WHERE endpoint = ?", endpoint)  # noqa: S608 - our own columns
        return Standing(*found[0]) if found else None

    def begin(self, endpoint: str, now_ms: int) -> Standing:
        """Return how one stands; active when it is new."""
        with self._write() as db:
            db.execute(
                "INSERT OR IGNORE INTO standing (endpoint, state, why, since_ms, begun_ms)"
                " VALUES (?, ?, '', ?, ?)",
                (endpoint, ACTIVE, now_ms, now_ms),
            )
        found = self.standing(endpoint)
        assert found is not None  # noqa: S101 - it was written just now
        return found

    def stop(self, endpoint: str, state: str, why: str, now_ms: int) -> None:
        """Park or disable one; `why` holds nobody's data. Nothing that it is owed is lost."""
        with self._write() as db:
            db.execute(
                "UPDATE standing SET state = ?, why = ?, since_ms = ? WHERE endpoint = ?",
                (state, why, now_ms, endpoint),
            )

    def release(self, endpoint: str, now_ms: int) -> bool:
        """Let one go on, asked for its agreement again; False when it is not there or not stopped."""
        with self._write() as db:
            changed = db.execute(
                "UPDATE standing SET state = ?, why = '', since_ms = ?, failures = 0, agreed_with = '',"
                " releases = releases + 1 WHERE endpoint = ? AND state <> ?",
                (ACTIVE, now_ms, endpoint, ACTIVE),
            )
            return changed.rowcount > 0

    def forget(self, endpoint: str) -> bool:
        """Delete all that is known of one: what its receiver holds is never taken back after this."""
        with self._write() as db:
            for table in ("held", "position", "reading"):
                db.execute(f"DELETE FROM {table} WHERE endpoint = ?", (endpoint,))  # noqa: S608 - our own names
            return db.execute("DELETE FROM standing WHERE endpoint = ?", (endpoint,)).rowcount > 0

    def failed(self, endpoint: str, failures: int, why: str) -> None:
        """Keep how often in a row it failed, so that a restart does not begin to count again, and of what, so
        that whoever asks need not wait until it is parked; why it was stopped is never overwritten.
        """
        with self._write() as db:
            db.execute(
                "UPDATE standing SET failures = ?, why = CASE WHEN state = ? THEN ? ELSE why END"
                " WHERE endpoint = ?",
                (failures, ACTIVE, why, endpoint),
            )

    def agree(self, endpoint: str, agreed_with: str, rate: int | None, now_ms: int) -> None:
        """Keep that the receiver allows to be sent to, and how often a minute (None: as often as we like)."""
        with self._write() as db:
            db.execute(
                "UPDATE standing SET agreed_with = ?, agreed_ms = ?, rate = ? WHERE endpoint = ?",
                (agreed_with, now_ms, rate, endpoint),
            )

    # -- how far a topic was read ----------------------------------------------------------------------

    def reading(self, endpoint: str, agreement: str, now_ms: int) -> tuple[Reading, Positions]:
        """Return where to go on; from the beginning when it is new."""
        where = (endpoint, agreement)
        found = self._read(
            "SELECT pass, complete, since_ms FROM reading WHERE endpoint = ? AND agreement = ?", *where
        )
        if not found:
            with self._write() as db:
                db.execute("INSERT INTO reading VALUES (?, ?, 1, 0, ?)", (*where, now_ms))
            return Reading(1, False, now_ms), ()
        rows = self._read(
            "SELECT at FROM position WHERE endpoint = ? AND agreement = ? ORDER BY partition", *where
        )
        return Reading(found[0][0], bool(found[0][1]), found[0][2]), tuple(at for (at,) in rows)

    def read_again(self, endpoint: str, agreement: str, now_ms: int, *, another_topic: bool) -> None:
        """Begin from the start: tombstones may be gone (V1), or it is another topic of the same name.

        What such a topic numbers anew is news, so what was sent from the old one does not count.
        """
        where = (endpoint, agreement)
        with self._write() as db:
            db.execute(
                "UPDATE reading SET pass = pass + 1, complete = 0, since_ms = ?"
                " WHERE endpoint = ? AND agreement = ?",
                (now_ms, *where),
            )
            db.execute("DELETE FROM position WHERE endpoint = ? AND agreement = ?", where)
            if another_topic:
                db.execute("UPDATE held SET least = 0 WHERE endpoint = ? AND agreement = ?", where)

    def advance(
        self, endpoint: str, agreement: str, positions: Positions, since_ms: int | None, now_ms: int
    ) -> None:
        """Keep where to go on, and since when no more than what is owed is behind that; drop old hashes."""
        with self._write() as db:
            _advance(db, endpoint, agreement, positions)
            db.execute("DELETE FROM held WHERE retracted_ms < ?", (now_ms - FORGOTTEN_AFTER_MS,))
            if since_ms is not None:
                db.execute(
                    "UPDATE reading SET since_ms = MAX(since_ms, ?) WHERE endpoint = ? AND agreement = ?",
                    (since_ms, endpoint, agreement),
                )

    def complete(self, endpoint: str, agreement: str) -> None:
        """A way through has come to the end, and all that it did not find was retracted."""
        with self._write() as db:
            db.execute(
                "UPDATE reading SET complete = 1 WHERE endpoint = ? AND agreement = ?", (endpoint, agreement)
            )

    # -- what a receiver may hold ----------------------------------------------------------------------

    def least_of(self, endpoint: str, agreement: str, keys: Iterable[str]) -> dict[str, int]:
        """Return the least sequence that is news under each of these keys, where something was sent.

        What was sent and not acknowledged may be sent again; what came before it, never.
        """
        query = "SELECT least FROM held WHERE endpoint = ? AND agreement = ? AND digest = ?"
        found = {key: self._read(query, endpoint, agreement, _digest(key)) for key in keys}
        return {key: int(rows[0][0]) for key, rows in found.items() if rows}

    def found(self, endpoint: str, agreement: str, ways: Mapping[str, int]) -> None:
        """Note by key on which way through the topic a view was found; 0 when it is retracted there.

        INVARIANT: a retraction counts as found only by being delivered. Its tombstone may be gone tomorrow.
        """
        with self._write() as db:
            db.executemany(
                "UPDATE held SET pass = ? WHERE endpoint = ? AND agreement = ? AND digest = ?",
                [(number, endpoint, agreement, _digest(key)) for key, number in ways.items()],
            )

    def vanished(
        self, endpoint: str, agreement: str, number: int, after: bytes, limit: int
    ) -> list[tuple[bytes, str, int]]:
        """Return some keys that a receiver may hold and this way through did not find: digest, key, sequence.

        They come in the order of their digests, those behind `after`.
        """
        return self._read(
            "SELECT digest, key, sent FROM held WHERE endpoint = ? AND agreement = ? AND key IS NOT NULL"
            " AND pass < ? AND digest > ? ORDER BY digest LIMIT ?",
            endpoint,
            agreement,
            number,
            after,
            limit,
        )

    def sending(self, endpoint: str, agreement: str, key: str, sequence: int, number: int) -> None:
        """Keep that a change is sent; `number` is the way on which its view was found, 0 for a retraction.

        INVARIANT: written before it is sent, so that whatever may have arrived is known.
        """
        with self._write() as db:
            db.execute(
                "INSERT INTO held VALUES (?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO UPDATE SET"
                " key = excluded.key, sent = excluded.sent, least = excluded.least, retracted_ms = NULL,"
                " pass = MAX(pass, excluded.pass)",
                (endpoint, agreement, _digest(key), key, sequence, sequence, number),
            )

    def delivered(
        self,
        endpoint: str,
        agreement: str,
        key: str,
        sequence: int,
        positions: Positions,
        retracted_ms: int | None,
    ) -> None:
        """Keep that it arrived, and where to go on, together; a key that was retracted goes."""
        with self._write() as db:
            db.execute(
                "UPDATE held SET least = ?, retracted_ms = ?, key = CASE WHEN ? IS NULL THEN key END"
                " WHERE endpoint = ? AND agreement = ? AND digest = ?",
                (sequence + 1, retracted_ms, retracted_ms, endpoint, agreement, _digest(key)),
            )
            _has_answered(db, endpoint)
            _advance(db, endpoint, agreement, positions)

    def retracted_vanished(self, endpoint: str, agreement: str, key: str) -> None:
        """The retraction of a key that the topic no longer holds arrived; whatever comes under it is news."""
        with self._write() as db:
            db.execute(
                "DELETE FROM held WHERE endpoint = ? AND agreement = ? AND digest = ?",
                (endpoint, agreement, _digest(key)),
            )
            _has_answered(db, endpoint)

    def held_count(self, endpoint: str) -> int:
        """Count the keys that a receiver may hold."""
        query = "SELECT COUNT(*) FROM held WHERE endpoint = ? AND key IS NOT NULL"
        return int(self._read(query, endpoint)[0][0])


def _advance(db: sqlite3.Connection, endpoint: str, agreement: str, positions: Sequence[int]) -> None:
    db.executemany(
        "INSERT INTO position VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at",
        [(endpoint, agreement, partition, at) for partition, at in enumerate(positions)],
    )


def _has_answered(db: sqlite3.Connection, endpoint: str) -> None:
    """Forget the failures in a row; why an operator or a 410 stopped it stays (an answer may come later)."""
    db.execute(
        "UPDATE standing SET failures = 0, why = CASE WHEN state = ? THEN '' ELSE why END"
        " WHERE endpoint = ? AND failures > 0",
        (ACTIVE, endpoint),
    )


def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=16).digest()


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Say what is wrong with the file in our words; a message of SQLite holds no data of rows."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Trouble("the journal of webhooks cannot be used", where=str(path), why=str(error)) from None
    except (sqlite3.DatabaseError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Misused(
            "the journal of webhooks cannot be read",
            where=str(path),
            why=why,
            mend="restore it; or move it away: every view is then sent again from the beginning",
        ) from None
