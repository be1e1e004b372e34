"""What outlives the process: how far the disclosure log was read, what was shown, which notices are owed.

No address is in it, and nothing of a view. Persons are the keyed hashes of the log. What an entry says of a
notice and how far the log was read are written in one transaction, so nothing is told twice or never.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from connectors.notify.facts import Entry, Notice, notice_of
from connectors.trouble import Trouble

DUE, UNKNOWN, SENT, REFUSED, UNREACHED = "due", "unknown", "sent", "refused", "no-address"
SENT_KEPT_S = 30 * 86_400
"""How long what was sent stays: longer than GOV.UK Notify itself can be asked (seven days)."""

_SCHEMA = """\
CREATE TABLE IF NOT EXISTS log (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), topic_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reading (
    partition INTEGER PRIMARY KEY, at INTEGER NOT NULL, tells_from INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS shown (person TEXT, agreement TEXT, attributes TEXT NOT NULL,
    PRIMARY KEY (person, agreement)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS addressed (person TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acknowledged (obligation TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notice (
    number INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    person TEXT NOT NULL, agreement TEXT NOT NULL,
    subscriber TEXT NOT NULL, time TEXT NOT NULL, since_s REAL NOT NULL, state TEXT NOT NULL,
    why TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0, next_s REAL NOT NULL, day TEXT
);
CREATE INDEX IF NOT EXISTS notice_next ON notice (next_s) WHERE state IN ('due', 'unknown');
CREATE INDEX IF NOT EXISTS notice_person ON notice (person) WHERE state IN ('due', 'unknown');
CREATE INDEX IF NOT EXISTS notice_day ON notice (day) WHERE day IS NOT NULL;
"""


class Owed(NamedTuple):
    """A notice that is due, or of which nobody knows whether it was sent."""

    notice: Notice
    since_s: float
    state: str
    attempts: int


class Failed(NamedTuple):
    """A notice that nobody was told, for an operator: whom it was for is not said."""

    reference: str
    kind: str
    agreement: str
    state: str
    why: str
    time: str


class Journal:
    """One file in the state directory, of one process that sends; commands read it beside."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._db = sqlite3.connect(path, timeout=15, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        except sqlite3.Error as error:
            raise Trouble("the journal of notices cannot be used", where=str(path), why=str(error)) from error

    def close(self) -> None:
        """End."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- reading ---------------------------------------------------------------------------------------

    def begin(self, topic_id: str, begins: Sequence[int], ends: Sequence[int]) -> list[int]:
        """Return where to read on; the first time that is the beginning, and what is there is told to nobody.

        Trouble when the log is another one than before: what it says would be told again.
        """
        with self._writing():
            known = self._db.execute("SELECT topic_id FROM log").fetchone()
            if known is not None and known[0] != topic_id:
                raise Trouble(
                    "the disclosure log is not the one that was read",
                    why="it was made anew, and what it holds would be told again",
                    mend="move the journal away: notices then begin with what comes from now on",
                )
            if known is None:
                self._db.execute("INSERT INTO log VALUES (1, ?)", (topic_id,))
                rows = [(number, at, end) for number, (at, end) in enumerate(zip(begins, ends, strict=True))]
                self._db.executemany("INSERT INTO reading VALUES (?, ?, ?)", rows)
            found = dict(self._db.execute("SELECT partition, at FROM reading").fetchall())
            for number in range(len(found), len(begins)):  # a partition that came later: all of it is news
                self._db.execute("INSERT INTO reading VALUES (?, ?, 0)", (number, begins[number]))
                found[number] = begins[number]
        return [max(found[number], begins[number]) for number in range(len(begins))]

    def take(
        self,
        records: Sequence[tuple[int, int, Entry]],
        own: str,
        told_of: frozenset[str],
        kinds: frozenset[str],
        now_s: float,
    ) -> list[str]:
        """Take in (partition, offset, entry) in order; return the kinds of the notices that came of them."""
        came: list[str] = []
        with self._writing():
            for partition, offset, entry in records:
                at, tells_from = self._db.execute(
                    "SELECT at, tells_from FROM reading WHERE partition = ?", (partition,)
                ).fetchone()
                if offset < at:
                    continue  # taken in before
                notice = self._taken(entry, own)
                is_told = entry.agreement in told_of and offset >= tells_from
                if notice is not None and is_told and notice.kind in kinds and self._owe(notice, now_s):
                    came.append(notice.kind)
                self._db.execute("UPDATE reading SET at = ? WHERE partition = ?", (offset + 1, partition))
        return came

    def _taken(self, entry: Entry, own: str) -> Notice | None:
        if entry.agreement == own:
            self._address(entry)
            return None
        row = self._db.execute(
            "SELECT attributes FROM shown WHERE person = ? AND agreement = ?", (entry.person, entry.agreement)
        ).fetchone()
        before = frozenset(row[0].split()) if row is not None else frozenset()
        if entry.shown:
            self._db.execute(
                "INSERT OR REPLACE INTO shown VALUES (?, ?, ?)",
                (entry.person, entry.agreement, " ".join(sorted(entry.shown))),
            )
        else:
            self._db.execute(
                "DELETE FROM shown WHERE person = ? AND agreement = ?", (entry.person, entry.agreement)
            )
        return notice_of(entry, before)

    def _address(self, entry: Entry) -> None:
        """Remember under which key the notifier's own view of a person is."""
        if entry.kind == "view":
            self._db.execute("INSERT OR REPLACE INTO addressed VALUES (?, ?)", (entry.person, entry.key))
        else:
            self._db.execute("DELETE FROM addressed WHERE person = ? AND key = ?", (entry.person, entry.key))

    def _owe(self, notice: Notice, now_s: float) -> int:
        return self._db.execute(
            "INSERT OR IGNORE INTO notice (reference, kind, person, agreement, subscriber, time, since_s, "
            "state, next_s) VALUES (?, ?, ?, ?, ?, ?, ?, 'due', ?)",
            (*notice, now_s, now_s),
        ).rowcount

    def is_acknowledged(self, obligation: str) -> bool:
        """Tell whether the deletion that is owed was acknowledged."""
        found = self._db.execute("SELECT 1 FROM acknowledged WHERE obligation = ?", (obligation,)).fetchone()
        return found is not None

    def acknowledged(self, obligation: str) -> None:
        """Remember that it was; saying it again would change nothing."""
        self._db.execute("INSERT OR IGNORE INTO acknowledged VALUES (?)", (obligation,))

    # -- sending ---------------------------------------------------------------------------------------

    def next(self, now_s: float) -> Owed | None:
        """Return the notice that is due first, None when none is due now.

        INVARIANT: nobody is told of a later fact before an earlier one: "shared" after "taken back" would be
        a lie.
        """
        row = self._db.execute(
            "SELECT reference, kind, person, agreement, subscriber, time, since_s, state, attempts "
            "FROM notice n WHERE state IN ('due', 'unknown') AND next_s <= ? AND NOT EXISTS (SELECT 1 FROM "
            "notice e WHERE e.person = n.person AND e.number < n.number AND e.state IN ('due', 'unknown')) "
            "ORDER BY next_s, number LIMIT 1",
            (now_s,),
        ).fetchone()
        return None if row is None else Owed(Notice(*row[:6]), row[6], row[7], row[8])

    def key_of(self, person: str) -> str | None:
        """Return the key of the notifier's own view of a person."""
        row = self._db.execute("SELECT key FROM addressed WHERE person = ?", (person,)).fetchone()
        return None if row is None else str(row[0])

    def trying(self, reference: str, day: str, next_s: float) -> None:
        """Write down that it may have been sent from now on.

        INVARIANT: before the attempt. Whoever is killed within it asks GOV.UK Notify first, and then sends.
        """
        self._db.execute(
            "UPDATE notice SET state = 'unknown', attempts = attempts + 1, day = ?, next_s = ? "
            "WHERE reference = ?",
            (day, next_s, reference),
        )

    def again(self, reference: str, why: str, next_s: float, *, unknown: bool) -> None:
        """Try it again then; `unknown`: it may have been sent."""
        self._db.execute(
            "UPDATE notice SET state = ?, why = ?, next_s = ? WHERE reference = ?",
            (UNKNOWN if unknown else DUE, why, next_s, reference),
        )

    def settle(self, reference: str, state: str, why: str = "") -> None:
        """It is `sent`, or will not be: `refused`, `no-address`."""
        self._db.execute("UPDATE notice SET state = ?, why = ? WHERE reference = ?", (state, why, reference))

    def sent_on(self, day: str) -> int:
        """Count what may have been sent on a day."""
        row = self._db.execute(
            "SELECT count(*) FROM notice WHERE day = ? AND state IN ('sent', 'unknown')", (day,)
        ).fetchone()
        return int(row[0])

    def forget(self, now_s: float) -> None:
        """Forget what was sent long ago."""
        self._db.execute("DELETE FROM notice WHERE state = 'sent' AND since_s < ?", (now_s - SENT_KEPT_S,))

    # -- looking ---------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Return how many notices there are in each state."""
        rows = self._db.execute("SELECT state, count(*) FROM notice GROUP BY state").fetchall()
        return dict.fromkeys((DUE, UNKNOWN, SENT, REFUSED, UNREACHED), 0) | dict(rows)

    def oldest_s(self, now_s: float) -> float:
        """Return how long the oldest notice that is owed has been waiting; 0: none is owed."""
        row = self._db.execute("SELECT min(since_s) FROM notice WHERE state IN ('due', 'unknown')").fetchone()
        return 0.0 if row[0] is None else max(0.0, now_s - row[0])

    def failed(self) -> list[Failed]:
        """Return what will not be sent, oldest first."""
        rows = self._db.execute(
            "SELECT reference, kind, agreement, state, why, time FROM notice "
            "WHERE state IN ('refused', 'no-address') ORDER BY number"
        ).fetchall()
        return [Failed(*row) for row in rows]

    def retry(self, now_s: float) -> int:
        """Make what was refused or had no address due again; return how many."""
        return self._db.execute(
            "UPDATE notice SET state = 'due', why = '', attempts = 0, since_s = ?, next_s = ? "
            "WHERE state IN ('refused', 'no-address')",
            (now_s, now_s),
        ).rowcount
