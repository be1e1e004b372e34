"""A view's table as its sink writes it: rows and positions in one transaction, so that both always agree.

What is more than a batch is staged: read aside, into a table that this session alone sees, of each key what
is last, and becomes rows in one transaction. So no row holds what the topic, read that far, has replaced.

Whoever commits must find the positions that it started from. Two sinks, or one that was thought dead, can
therefore never write over each other: the later one hears `Moved` and begins again from what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from connectors.postgres import sink_metrics
from connectors.postgres.view_table import (
    KEY,
    SEQUENCE,
    STATE,
    ViewTable,
    conflict_update,
    quoted,
)
from connectors.trouble import Misused
from schemas import format_instant

_STATE = (
    "SELECT topic_id, positions, shape, (extract(epoch FROM at_end) * 1000)::bigint AS at_end_ms "  # noqa: S608 - ours
    f"FROM {STATE} WHERE agreement = %s"
)
STAGE = "pg_temp.postroom_stage"
GONE, FIRST = "postroom_gone", "postroom_first"
"""Columns of the stage alone: that a key was retracted, and when the first of its records that count came."""


class Change(NamedTuple):
    """One record of a view topic as the table takes it: `row` None is a retraction. Moments in UTC ms."""

    key: str
    row: Mapping[str, object] | None
    sequence: int
    agreement: str
    published_ms: int
    supersedes: tuple[str, ...] = ()


class SinkState(NamedTuple):
    """How far the view was read, and when (UTC ms) its end was last seen; None before the first time."""

    topic_id: str | None
    positions: list[int] | None
    shape: str | None
    at_end_ms: int | None


class Moved(Exception):  # noqa: N818 - it has moved
    """Somebody else has written since."""


class Differences(NamedTuple):
    """What a table and its view do not have alike: how many rows, and which columns in how many."""

    missing: int
    surplus: int
    columns: Mapping[str, int]

    @property
    def none(self) -> bool:
        """Whether they are equal."""
        return not (self.missing or self.surplus or self.columns)


class SinkTable:
    """The table of one agreement in one connection's database."""

    def __init__(self, connection: psycopg.Connection[Any], table: ViewTable) -> None:
        self._connection, self.table = connection, table

    def present(self) -> dict[str, str]:
        """The columns that the table has, with their types; Misused when there is none."""
        found = self._connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [self.table.qualified],
        ).fetchall()
        if not found:
            raise Misused(
                "the view has no table here",
                where=self.table.qualified,
                mend=f"run what `postroom sink ddl {self.table.agreement}` prints, as the database's owner",
            )
        return dict(found)

    def empty_withdrawn(self, columns: Sequence[str]) -> int:
        """Take away the values of columns that are granted no longer; return of how many rows."""
        rows = 0
        for name in map(quoted, columns):
            statement = f"UPDATE {self.table.qualified} SET {name} = NULL WHERE {name} IS NOT NULL"  # noqa: S608 - quoted
            rows += self._connection.execute(statement).rowcount
        return rows

    def filled(self, columns: Sequence[str]) -> dict[str, int]:
        """How many rows have a value in each of these columns, of those that have any."""
        found = {}
        for name in columns:
            statement = f"SELECT count({quoted(name)}) FROM {self.table.qualified}"  # noqa: S608 - quoted
            row = self._connection.execute(statement).fetchone()
            if row and row[0]:
                found[name] = int(row[0])
        return found

    def state(self) -> SinkState:
        """How far it was read."""
        return self._state(locked=False)

    def _state(self, *, locked: bool) -> SinkState:
        with self._connection.cursor(row_factory=class_row(SinkState)) as cursor:
            statement = f"{_STATE} {'FOR UPDATE' if locked else ''}"
            found = cursor.execute(statement, [self.table.agreement]).fetchone()
        if found is None:
            raise Misused(
                "the view's positions have no row here",
                where=STATE,
                mend=f"run what `postroom sink ddl {self.table.agreement}` prints, as the database's owner",
            )
        return found

    @contextmanager
    def _writing(self, state: SinkState) -> Iterator[None]:
        """A transaction of whoever still is where it thinks; Moved."""
        with self._connection.transaction():
            # INVARIANT: the row is locked until we commit, and is as we believe, or nothing is written.
            now = self._state(locked=True)
            if (now.topic_id, now.positions, now.shape) != (state.topic_id, state.positions, state.shape):
                raise Moved
            yield

    def _moved_on(self, topic_id: str | None, positions: Sequence[int]) -> None:
        self._connection.execute(
            f"UPDATE {STATE} SET topic_id = %s, positions = %s, shape = %s, "  # noqa: S608 - ours
            "at_end = clock_timestamp() WHERE agreement = %s",
            [topic_id, list(positions), self.table.shape, self.table.agreement],
        )

    def apply(self, state: SinkState, changes: Sequence[Change], positions: Sequence[int]) -> SinkState:
        """Write all up to the topic's end, of each key what is last, and the positions behind it; Moved."""
        last = _last_of_each(changes)
        gone = [change for change in last if change.row is None]
        come = [change for change in last if change.row is not None]
        with self._writing(state):
            superseded = self._supersede(changes)
            deleted, upserted = self._retract(gone), self._write(come)
            self._moved_on(state.topic_id, positions)
        ignored = len(last) - deleted - upserted
        self._count(upserted=upserted, deleted=superseded + deleted, ignored=ignored)
        return state._replace(positions=list(positions))

    def _count(self, **changed: int) -> None:
        sink_metrics.count(self.table.agreement, changed)

    def _supersede(self, changes: Sequence[Change]) -> int:
        """Delete under the old key what a new key carries on (V2); its own retraction comes too, elsewhere.

        A row that was published after the new one is another's: the old key has come back to life.
        """
        old = [(key, change.published_ms) for change in changes for key in change.supersedes]
        if not old:
            return 0
        return self._connection.execute(
            f"DELETE FROM {self.table.qualified} held "  # noqa: S608 - quoted
            "USING unnest(%s::text[], %s::bigint[]) AS old(key, ms) WHERE held.postroom_key = old.key "
            "AND held.postroom_published <= to_timestamp(old.ms / 1000.0)",
            [[key for key, _ in old], [ms for _, ms in old]],
        ).rowcount

    def _retract(self, changes: Sequence[Change]) -> int:
        return self._delete_older(self.table.qualified, changes)

    def _delete_older(self, table: str, changes: Sequence[Change]) -> int:
        if not changes:
            return 0
        return self._connection.execute(
            f"DELETE FROM {table} held "  # noqa: S608 - quoted
            "USING unnest(%s::text[], %s::bigint[]) AS gone(key, sequence) "
            f"WHERE held.{KEY} = gone.key AND held.{SEQUENCE} <= gone.sequence",
            [[change.key for change in changes], [change.sequence for change in changes]],
        ).rowcount

    def _write(self, changes: Sequence[Change]) -> int:
        if not changes:
            return 0
        columns = ", ".join(map(quoted, self.table.every_column))
        return self._connection.execute(
            f"INSERT INTO {self.table.qualified} AS held ({columns}) SELECT {columns} "  # noqa: S608 - quoted
            f"FROM jsonb_populate_recordset(NULL::{self.table.qualified}, %s) "
            f"ON CONFLICT ({KEY}) DO UPDATE SET {conflict_update(list(self.table.every_column))} "
            f"WHERE held.{SEQUENCE} < EXCLUDED.{SEQUENCE}",
            [Jsonb([_row(change) for change in changes])],
        ).rowcount

    # -- aside, and then at once -------------------------------------------------------------------------

    def begin_stage(self) -> None:
        """Make room, in this session alone, for what the topic holds: of each key its last view, when its
        first one came, or that it is gone.
        """
        self._connection.execute(f"DROP TABLE IF EXISTS {STAGE}")
        self._connection.execute(
            f"CREATE TEMP TABLE postroom_stage (LIKE {self.table.qualified}, {GONE} boolean NOT NULL, "
            f"{FIRST} timestamp with time zone NOT NULL, PRIMARY KEY ({KEY}))"
        )

    def end_stage(self) -> None:
        """Let go of it."""
        self._connection.execute(f"DROP TABLE IF EXISTS {STAGE}")

    def stage(self, changes: Sequence[Change]) -> None:
        """Take some records of the topic, in their order: of each key the last one counts."""
        last, first = _last_of_each(changes), {each.key: each.published_ms for each in reversed(changes)}
        rows = [
            {**_row(each), GONE: each.row is None, FIRST: format_instant(first[each.key])} for each in last
        ]
        names = list(self.table.every_column)
        columns = ", ".join([*map(quoted, names), GONE, FIRST])
        with self._connection.transaction():
            self._delete_older(STAGE, [change for change in last if change.row is None])
            self._connection.execute(
                f"INSERT INTO {STAGE} AS held ({columns}) SELECT {columns} "  # noqa: S608 - quoted
                f"FROM jsonb_populate_recordset(NULL::{STAGE}, %s) ON CONFLICT ({KEY}) DO UPDATE SET "
                f"{conflict_update(names)}, {GONE} = EXCLUDED.{GONE} "
                f"WHERE held.{SEQUENCE} <= EXCLUDED.{SEQUENCE}",
                [Jsonb(rows)],
            )

    def take_back(self, changes: Sequence[Change]) -> None:
        """Delete at once what these records retract, however long it takes to read what comes behind them.

        No position moves: a row's sequence says that it is older; reading them again deletes nothing more.
        """
        gone = [change for change in changes if change.row is None]
        self._count(deleted=self._retract(gone))

    def catch_up(self, state: SinkState, positions: Sequence[int]) -> SinkState:
        """Write what was staged, from the state's positions to these, as `apply` does; Moved."""
        with self._writing(state):
            superseded = self._connection.execute(
                f"DELETE FROM {self.table.qualified} held USING "  # noqa: S608 - quoted
                f"(SELECT unnest(postroom_supersedes) AS key, {FIRST} AS at FROM {STAGE}) old "
                f"WHERE held.{KEY} = old.key AND held.postroom_published <= old.at"
            ).rowcount
            deleted = self._connection.execute(
                f"DELETE FROM {self.table.qualified} held USING {STAGE} gone "  # noqa: S608 - quoted
                f"WHERE gone.{GONE} AND held.{KEY} = gone.{KEY} AND held.{SEQUENCE} <= gone.{SEQUENCE}"
            ).rowcount
            upserted = self._write_staged(f"held.{SEQUENCE} < EXCLUDED.{SEQUENCE}")
            self._moved_on(state.topic_id, positions)
        ignored = self._staged() - deleted - upserted
        self._count(upserted=upserted, deleted=superseded + deleted, ignored=ignored)
        return state._replace(positions=list(positions))

    def replace(self, state: SinkState, topic_id: str, positions: Sequence[int]) -> SinkState:
        """Make the table what was staged, whatever it was, and go on from these positions; Moved.

        Here the topic is the truth, not the sequence: what it does not have is deleted (V1).
        """
        names = [quoted(name) for name in self.table.every_column]
        held, taken = (", ".join(f"{side}.{name}" for name in names) for side in ("held", "EXCLUDED"))
        with self._writing(state):
            deleted = self._connection.execute(
                f"DELETE FROM {self.table.qualified} held WHERE NOT EXISTS "  # noqa: S608 - quoted
                f"(SELECT FROM {STAGE} found WHERE found.{KEY} = held.{KEY} AND NOT found.{GONE})"
            ).rowcount
            upserted = self._write_staged(f"({held}) IS DISTINCT FROM ({taken})")
            self._moved_on(topic_id, positions)
        self._count(upserted=upserted, deleted=deleted)
        return SinkState(topic_id, list(positions), self.table.shape, state.at_end_ms)

    def _write_staged(self, newer: str) -> int:
        """Write the views that were staged over rows for which this condition holds."""
        names = list(self.table.every_column)
        columns = ", ".join(map(quoted, names))
        return self._connection.execute(
            f"INSERT INTO {self.table.qualified} AS held ({columns}) SELECT {columns} FROM {STAGE} "  # noqa: S608 - quoted
            f"WHERE NOT {GONE} ON CONFLICT ({KEY}) DO UPDATE SET {conflict_update(names)} WHERE {newer}"
        ).rowcount

    def _staged(self) -> int:
        row = self._connection.execute(f"SELECT count(*) FROM {STAGE}").fetchone()  # noqa: S608 - ours
        assert row is not None  # noqa: S101 - an aggregate has a row
        return int(row[0])

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """A moment at which positions and rows are looked at together."""
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield

    def differences(self) -> Differences:
        """What the table has otherwise than what was staged."""
        alike = [name for name in self.table.every_column if name not in (KEY, "postroom_supersedes")]
        counted = ", ".join(
            f"count(*) FILTER (WHERE held.{KEY} IS NOT NULL AND found.{KEY} IS NOT NULL "
            f"AND held.{name} IS DISTINCT FROM found.{name}) AS {name}"
            for name in map(quoted, alike)
        )
        with self._connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(
                f"SELECT count(*) FILTER (WHERE held.{KEY} IS NULL) AS "  # noqa: S608 - quoted
                f'"missing rows", count(*) FILTER (WHERE found.{KEY} IS NULL) AS "surplus rows", {counted} '
                f"FROM {self.table.qualified} held FULL JOIN (SELECT * FROM {STAGE} WHERE NOT {GONE}) found "
                f"ON held.{KEY} = found.{KEY}"
            ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate has a row
        missing, surplus = row.pop("missing rows"), row.pop("surplus rows")
        return Differences(missing, surplus, {name: count for name, count in row.items() if count})


def _last_of_each(changes: Sequence[Change]) -> list[Change]:
    """Of each key what has the greatest sequence, of equals the last; with it what the views before it
    superseded, which is said once (V2).
    """
    last: dict[str, Change] = {}
    for change in changes:
        before = last.get(change.key)
        if before is None:
            last[change.key] = change
        elif before.sequence <= change.sequence:
            said = () if change.row is None else tuple(dict.fromkeys(before.supersedes + change.supersedes))
            last[change.key] = change._replace(supersedes=said)
    return list(last.values())


def _row(change: Change) -> dict[str, object]:
    return {
        **(change.row or {}),
        KEY: change.key,
        SEQUENCE: change.sequence,
        "postroom_agreement": change.agreement,
        "postroom_published": format_instant(change.published_ms),
        "postroom_supersedes": list(change.supersedes) or None,
    }
