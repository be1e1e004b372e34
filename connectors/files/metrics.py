"""What an operator sees of drops: counted by drop and outcome, never by row or by what a file is called."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

ROWS = Counter(
    "postroom_files_rows_total",
    "Rows of files by what became of them: published (Kafka has acknowledged them), or bad (put aside when "
    "their file was judged, at each judging).",
    ["drop", "outcome"],
)
FILES = Counter(
    "postroom_files_total",
    "Files that are done with: published, refused, or known (published before under whatever name).",
    ["drop", "outcome"],
)
WAITING = Gauge(
    "postroom_files_waiting",
    "What lies in incoming: whole (it has a checksum, and is taken or will be), unmarked (it has "
    "none yet), or odd (a link, a name that is not plain).",
    ["drop", "state"],
)
LAST_PUBLISHED = Gauge(
    "postroom_files_last_published_timestamp_seconds",
    "When a file of the drop was published last, in seconds since 1970; 0: never.",
    ["drop"],
)
DUE = Gauge(
    "postroom_files_due_timestamp_seconds",
    "When the drop's next file is late, of a drop whose mapping says how often one comes (`expect_within`): "
    "counted from the last file that came or, before there was one, from the mapping's last change.",
    ["drop"],
)
UNDER_WAY_BYTES = Gauge(
    "postroom_files_under_way_bytes",
    "How much of the file at hand is left to publish; 0: none is at hand.",
    ["drop"],
)
