"""Each publisher's own board: what became of the events of its types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postroom.dashboards.board import Board, Panel, Query, Row, Variable, line
from postroom.dashboards.govuk import ACCOUNTS, PAYMENTS

OF = '{stage="intake",type=~"$department"}'
RATE = "[$__rate_interval]"
SENT = f'postroom_outbox_published_total{{type=~"$department"}}{RATE}'
PUT_ASIDE = f'postroom_outbox_parked_total{{type=~"$department"}}{RATE}'
LETTERS = f'postroom_dead_letters_total{{type=~"$department"}}{RATE}'

EVENTS = Row(
    "Events",
    (
        line(
            "Events by type",
            "As intake has taken or refused them.",
            f"sum by (type) (rate(postroom_events_total{OF}{RATE}))",
            "{{type}}",
            "ops",
        ),
        line(
            "By what became of them",
            "Rejected ones are below, by reason.",
            f"sum by (outcome) (rate(postroom_events_total{OF}{RATE}))",
            "{{outcome}}",
            "ops",
            stacked=True,
        ),
        line(
            "Share that is refused",
            "From 5 % on, and twenty in five minutes, somebody is woken.",
            f"sum by (type) (rate({LETTERS})) / sum by (type) (rate(postroom_events_total{OF}{RATE}))",
            "{{type}}",
            "percentunit",
            red_from=0.05,
        ),
    ),
)

DEAD_LETTERS = Row(
    "Dead letters (E7)",
    (
        line(
            "Refused, by reason",
            "The first reason in the order of E7.",
            f"sum by (type, reason) (increase({LETTERS}))",
            "{{type}} {{reason}}",
            stacked=True,
        ),
        line(
            "Open",
            "Neither replayed nor discarded. The event goes when its retention ends.",
            'sum by (type, reason) (postroom_dead_letters_open{type=~"$department"})',
            "{{type}} {{reason}}",
            kind="table",
        ),
        Panel(
            "Of all departments",
            "Reports on what cannot do what it says, and dead letters that were dealt with.",
            (
                Query(f"sum by (report) (increase(postroom_reports_total{RATE}))", "{{report}}"),
                Query("max by (result) (postroom_dead_letters_closed)", "dead letters {{result}}"),
                Query("max(postroom_dead_letters_oldest_seconds)", "age of the oldest, in seconds"),
            ),
        ),
    ),
)

FROM_AN_OUTBOX = Row(
    "From an outbox",
    (
        Panel(
            "Published and parked",
            "A parked row waits for its department.",
            (
                Query(f"sum by (type) (rate({SENT}))", "{{type}}"),
                Query(f"sum by (type, reason) (rate({PUT_ASIDE}))", "{{type}} {{reason}}"),
            ),
            "ops",
        ),
        Panel(
            "Rows, of all departments",
            "Due, or parked; and whether the database answers its relay.",
            (
                Query("max by (owner, state) (postroom_outbox_rows)", "{{owner}} {{state}}"),
                Query("max by (owner) (postroom_outbox_database_reachable)", "{{owner}} answers"),
            ),
        ),
        line(
            "What goes next, of all departments",
            "How long ago it was recorded. A withdrawal may wait behind it.",
            "max by (owner) (postroom_outbox_oldest_unpublished_seconds)",
            "{{owner}}",
            "s",
            red_from=900,
        ),
    ),
)

FROM_NIGHTLY_FILES = Row(
    "From nightly files",
    (
        Panel(
            "Rows and files",
            "What became of them. Bad rows lie in quarantine; a refused file was not published.",
            (
                Query(
                    f"sum by (drop, outcome) (rate(postroom_files_rows_total{RATE}))",
                    "{{drop}} {{outcome}} rows",
                ),
                Query(
                    f"sum by (drop, outcome) (increase(postroom_files_total{RATE}))",
                    "{{drop}} {{outcome}} files",
                ),
            ),
        ),
        Panel(
            "In the drops, of all departments",
            "Whole, without a checksum, or odd; and what is left of the file at hand.",
            (
                Query("max by (drop, state) (postroom_files_waiting)", "{{drop}} {{state}}"),
                Query("max by (drop) (postroom_files_under_way_bytes)", "{{drop}} bytes left"),
            ),
        ),
        line(
            "Since a file came, of all departments",
            "How long ago a drop's last file was published.",
            "time() - max by (drop) (postroom_files_last_published_timestamp_seconds > 0)",
            "{{drop}}",
            "s",
        ),
        line(
            "Until a file is late, of all departments",
            "Of drops whose mapping expects one (`expect_within`); below zero it is late.",
            "max by (drop) (postroom_files_due_timestamp_seconds) - time()",
            "{{drop}}",
            "s",
        ),
    ),
)

OVER_HTTP = Row(
    "Over HTTP",
    (
        line(
            "Events at the gateway, of all departments",
            "By what became of them.",
            f"sum by (outcome) (rate(postroom_gateway_events_total{RATE}))",
            "{{outcome}}",
            "ops",
            width=24,
        ),
    ),
)


def departments(types: Mapping[str, Sequence[str]]) -> Board:
    """Return the board; a department is chosen by its name and stands for its types."""
    choices = tuple((owner, "|".join(its)) for owner, its in types.items())
    return Board(
        "postroom-departments",
        "Postroom: departments",
        "What became of a department's events, by type. It may be shown to that department.",
        (EVENTS, DEAD_LETTERS, FROM_AN_OUTBOX, FROM_NIGHTLY_FILES, OVER_HTTP, PAYMENTS, ACCOUNTS),
        (Variable("department", "department", choices=choices),),
    )
