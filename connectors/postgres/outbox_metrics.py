"""What an operator sees of an outbox: counted by type and reason, never by row."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import Counter, Gauge

DUE, PARKED_ROWS = "due", "parked"

PUBLISHED = Counter(
    "postroom_outbox_published_total", "Rows that Kafka has acknowledged, by type.", ["owner", "type"]
)
PARKED = Counter(
    "postroom_outbox_parked_total",
    "Rows that were put aside, by intake's reason (E7).",
    ["owner", "type", "reason"],
)
ROWS = Gauge(
    "postroom_outbox_rows",
    "Rows in the outbox: due, or parked; at most 100,000 of each are counted. None while the database is "
    "away.",
    ["owner", "state"],
)
OLDEST_SECONDS = Gauge(
    "postroom_outbox_oldest_unpublished_seconds",
    "How long ago, by the time that it states, the row was recorded that is next to go; 0: none. None while "
    "the database is away.",
    ["owner"],
)
DATABASE_REACHABLE = Gauge(
    "postroom_outbox_database_reachable",
    "1 if the outbox answered when it was last looked at, every fifteen seconds.",
    ["owner"],
)


class Standing(NamedTuple):
    """How an outbox stands: rows by what they wait for, and the age of the one that is next."""

    due: int
    parked: int
    oldest_s: float


def show(owner: str, standing: Standing | None) -> None:
    """Tell how it stands; None: the database is away, and what was told before is true no more."""
    DATABASE_REACHABLE.labels(owner).set(standing is not None)
    if standing is None:
        for state in (DUE, PARKED_ROWS):
            ROWS.remove(owner, state)
        OLDEST_SECONDS.remove(owner)
        return
    ROWS.labels(owner, DUE).set(standing.due)
    ROWS.labels(owner, PARKED_ROWS).set(standing.parked)
    OLDEST_SECONDS.labels(owner).set(standing.oldest_s)
