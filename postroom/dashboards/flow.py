"""The way through the backbone: a row for each stage, the same questions of each."""

from __future__ import annotations

from postroom.dashboards.board import Board, Panel, Query, Row, line, quantiles

STAGES = ("intake", "identity", "persons", "record", "obligations")


def _stage(stage: str) -> Row:
    chosen = f'{{stage="{stage}"}}'
    return Row(
        stage.capitalize(),
        (
            line(
                "How far behind",
                "Age of the oldest record that waits. Below a second is good.",
                f"max by (partition) (postroom_lag_seconds{chosen})",
                "{{partition}}",
                "s",
                width=6,
                red_from=10,
            ),
            Panel(
                "Records waiting",
                "As the workers count them, and as the broker does (also when no worker lives).",
                (
                    Query(f"sum(postroom_lag_records{chosen})", "workers"),
                    Query(f'max(postroom_group_lag_records{{group="postroom.{stage}"}})', "broker"),
                ),
                width=6,
            ),
            Panel(
                "Records a second",
                "Messages whose step was committed, and keys that a moment or a sweep woke.",
                (
                    Query(f"sum(rate(postroom_records_total{chosen}[$__rate_interval]))", "records"),
                    Query(
                        f"sum by (cause) (rate(postroom_wakes_total{chosen}[$__rate_interval]))",
                        "woken by {{cause}}",
                    ),
                ),
                "ops",
                width=6,
            ),
            quantiles(
                "Commits",
                "From begin to commit of one transaction.",
                f"postroom_transaction_seconds{chosen}",
                width=6,
                red_from=1,
            ),
        ),
    )


FLOW = Board(
    "postroom-flow",
    "Postroom: the way through",
    "A row for each stage, in the order in which an event meets them.",
    (
        Row(
            "All",
            (
                line(
                    "Events at intake, by what became of them",
                    "After commit.",
                    'sum by (outcome) (rate(postroom_events_total{stage="intake"}[$__rate_interval]))',
                    "{{outcome}}",
                    "ops",
                    stacked=True,
                ),
                Panel(
                    "Waiting for another stage (I6)",
                    "Events of which something waits for persons, and records of which a part still travels.",
                    (
                        Query("sum(postroom_held_events)", "held"),
                        Query("sum(postroom_records_incomplete)", "incomplete records"),
                        Query("sum(postroom_annulments_unmatched)", "annulments that found nothing yet"),
                    ),
                ),
                Panel(
                    "How long the oldest of them waits",
                    "Seconds are good, minutes are a ticket.",
                    (
                        Query("max(postroom_held_oldest_seconds)", "held"),
                        Query("max(postroom_records_incomplete_oldest_seconds)", "incomplete"),
                    ),
                    "s",
                    red_from=300,
                ),
            ),
        ),
        *(_stage(stage) for stage in STAGES),
    ),
)
