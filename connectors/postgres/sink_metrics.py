"""What an operator sees of a sink: counted by agreement, never by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import Counter, Gauge

ROWS = Counter(
    "postroom_sink_rows_total",
    "What became of records, once committed: upserted, deleted, or ignored because the row was newer, or "
    "gone.",
    ["agreement", "change"],
)
BEHIND = Gauge(
    "postroom_sink_behind_records",
    "Offsets between what was read and the end of the view's topic, when it was last read on. Transactions' "
    "markers count too.",
    ["agreement"],
)
AT_END = Gauge(
    "postroom_sink_at_end_timestamp_seconds",
    "When the table last held all that its view did, Unix time; none until it has. In quiet times it is told "
    "every half minute.",
    ["agreement"],
)
READING_ANEW = Gauge(
    "postroom_sink_reading_anew",
    "1 while everything is read anew, beside the table: until it is done only retractions reach that.",
    ["agreement"],
)
DATABASE_REACHABLE = Gauge(
    "postroom_sink_database_reachable",
    "1 if the table's database answered when it was last asked, every fifteen seconds.",
    ["agreement"],
)


def count(agreement: str, changed: Mapping[str, int]) -> None:
    """Count what was committed."""
    for change, rows in changed.items():
        ROWS.labels(agreement, change).inc(rows)


def show_behind(agreement: str, positions: Sequence[int], ends: Sequence[int]) -> None:
    """Tell how far reading is behind."""
    BEHIND.labels(agreement).set(sum(max(0, end - at) for at, end in zip(positions, ends, strict=True)))
