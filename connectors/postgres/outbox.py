"""The outbox table as its relay uses it: committed rows in order, taken away once they are acknowledged.

A row is done when it is deleted, and only then: there is no mark that moves on, so a transaction that commits
late cannot fall behind one. Whatever is there and not parked is due, whatever its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

from connectors.postgres.outbox_ddl import TABLE
from connectors.postgres.outbox_metrics import Standing

EVENT_BYTES_MAX = 1_048_576
"""What an event may hold (E7). A longer one is not even fetched."""
BATCH_ROWS_MAX = 1_000
BATCH_BYTES_MAX = 16 * 1_048_576
COUNTED_ROWS_MAX = 100_000
"""A look every fifteen seconds must stay cheap, however much has piled up."""

_TURN = "SELECT pg_try_advisory_lock(hashtextextended('postroom.outbox', 0))"
_DUE = f"""
WITH due AS (
    SELECT o.position, o.id::text AS id, o.aggregatetype, o.aggregateid, o.type, o.source, o.event,
           octet_length(o.event) AS size
    FROM {TABLE} o
    WHERE o.parked_reason IS NULL
      AND NOT EXISTS (
        SELECT FROM {TABLE} e
        WHERE e.parked_reason IS NULL AND e.type = ANY(%(waiting)s)
          AND (e.aggregatetype, e.aggregateid) = (o.aggregatetype, o.aggregateid) AND e.position <= o.position
      )
    ORDER BY o.position
    LIMIT %(rows_max)s
), counted AS (
    SELECT *, sum(least(size, %(event_max)s)) OVER (ORDER BY position) - least(size, %(event_max)s) AS before
    FROM due
)
SELECT position, id, aggregatetype, aggregateid, type, source,
       CASE WHEN size <= %(event_max)s THEN event END AS event, size IS NULL AS unmade
FROM counted
WHERE before IS NULL OR before < %(bytes_max)s
ORDER BY position
"""  # noqa: S608 - the table's name is ours
_DELETE = f"DELETE FROM {TABLE} WHERE id = ANY(%s::uuid[])"  # noqa: S608 - the same
_PARK = f"""
UPDATE {TABLE} o SET parked_reason = p.reason, parked_why = p.why, parked_at = clock_timestamp()
FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS p(id, reason, why)
WHERE o.id = p.id
"""  # noqa: S608 - the same
_PARKED = f"""
SELECT id::text AS id, type, source, parked_reason AS reason, parked_why AS why,
       to_char(parked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since
FROM {TABLE} WHERE parked_reason IS NOT NULL AND (%(reason)s::text IS NULL OR parked_reason = %(reason)s)
ORDER BY parked_at, position
"""  # noqa: S608 - the same
_RETRY = f"""
UPDATE {TABLE} SET parked_reason = NULL, parked_why = NULL, parked_at = NULL
WHERE parked_reason IS NOT NULL AND (%(reason)s::text IS NULL OR parked_reason = %(reason)s)
"""  # noqa: S608 - the same

_STANDING = f"""
SELECT (SELECT count(*) FROM (SELECT FROM {TABLE} WHERE parked_reason IS NULL LIMIT %(most)s) due),
       (SELECT count(*) FROM (SELECT FROM {TABLE} WHERE parked_reason IS NOT NULL LIMIT %(most)s) parked),
       coalesce((SELECT greatest(0, extract(epoch FROM clock_timestamp() - "time"))
                 FROM {TABLE} WHERE parked_reason IS NULL ORDER BY position LIMIT 1), 0)
"""  # noqa: S608 - the same


class OutboxRow(NamedTuple):
    """One committed row: `event` is its CloudEvent in JSON, None when it is longer than an event may be."""

    id: str
    aggregate: str
    type: str
    source: str
    event: bytes | None


class OutboxTable:
    """The rows of one connection's outbox."""

    def __init__(self, connection: psycopg.Connection[Any], rows_max: int = BATCH_ROWS_MAX) -> None:
        self._connection = connection
        self._rows_max = rows_max

    def is_our_turn(self) -> bool:
        """Take the lock that one relay holds as long as its session lives: two would mix up the order."""
        found = self._connection.execute(_TURN).fetchone()
        return bool(found and found[0])

    def take(self, waiting: Sequence[str] = ()) -> list[OutboxRow]:
        """Read what is due, in order and bounded, but for types that wait and what follows them in their
        aggregates.
        """
        bounds: Mapping[str, object] = {
            "waiting": list(waiting),
            "rows_max": self._rows_max,
            "bytes_max": BATCH_BYTES_MAX,
            "event_max": EVENT_BYTES_MAX,
        }
        with self._connection.cursor(row_factory=namedtuple_row) as cursor:
            return [_row(found) for found in cursor.execute(_DUE, bounds)]

    def settle(self, done: Sequence[str], parked: Sequence[tuple[str, str, str]]) -> None:
        """Take away what is acknowledged and park what cannot go: (id, reason, why), neither with a value."""
        if not done and not parked:
            return
        with self._connection.transaction():
            if done:
                self._connection.execute(_DELETE, [list(done)])
            if parked:
                ids, reasons, whys = (list(column) for column in zip(*parked, strict=True))
                self._connection.execute(_PARK, [ids, reasons, whys])

    def standing(self) -> Standing:
        """How many rows are due and parked, and how old what goes next is."""
        found = self._connection.execute(_STANDING, {"most": COUNTED_ROWS_MAX}).fetchone()
        assert found is not None  # noqa: S101 - a SELECT without FROM has one row
        return Standing(int(found[0]), int(found[1]), float(found[2]))

    def parked(self, reason: str | None = None) -> list[dict[str, Any]]:
        """What lies there and why: never what it says."""
        with self._connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(_PARKED, {"reason": reason}).fetchall()

    def retry(self, reason: str | None = None) -> int:
        """Make what is parked due again; return how many rows."""
        return self._connection.execute(_RETRY, {"reason": reason}).rowcount


def _row(found: Any) -> OutboxRow:
    aggregate = f"{found.aggregatetype}\0{found.aggregateid}"
    # A row without its event was inserted while the trigger was off: an empty line is refused as such.
    event = b"{}" if found.unmade else None if found.event is None else found.event.encode()
    return OutboxRow(found.id, aggregate, found.type, found.source, event)
