"""At one glance: do the promises hold, how much of each budget is left, and what is firing."""

from __future__ import annotations

from postroom.dashboards.board import Board, Panel, Query, Row, line, quantiles

OF_ALLOWED = " / on (promise) group_left () (1 - postroom:objective:ratio)"

OVERVIEW = Board(
    "postroom-overview",
    "Postroom: promises and budgets",
    "Whether V6, V7 and V8 hold, what is left of each budget, and what is wrong now.",
    (
        Row(
            "Now",
            (
                line(
                    "Firing",
                    "Alerts that fire now; each has a page in docs/runbooks. Empty is good.",
                    'sum by (alertname, severity) (ALERTS{alertname=~"Postroom.+",alertstate="firing"})',
                    "{{alertname}} ({{severity}})",
                    kind="table",
                    width=12,
                ),
                line(
                    "Stages with a process that does their work",
                    "0 is an outage of that stage.",
                    "postroom:stage_ready:processes",
                    "{{stage}}",
                    kind="stat",
                    width=12,
                    red_below=1,
                ),
            ),
        ),
        Row(
            "Budgets over four weeks",
            (
                line(
                    "What is left of each budget",
                    "1 is untouched, 0 is gone. Below 0 the promise is broken over these four weeks.",
                    "postroom:budget_left:ratio",
                    "{{promise}}",
                    "percentunit",
                    kind="stat",
                    width=24,
                    red_below=0.1,
                ),
                line(
                    "How fast budgets burn, over an hour",
                    "1 uses the budget up in exactly four weeks; from 14.4 on somebody is woken.",
                    f"postroom:errors:ratio_rate1h{OF_ALLOWED}",
                    "{{promise}}",
                    width=12,
                    red_from=14.4,
                ),
                line(
                    "How fast budgets burn, over six hours",
                    "From 6 on somebody is woken.",
                    f"postroom:errors:ratio_rate6h{OF_ALLOWED}",
                    "{{promise}}",
                    width=12,
                    red_from=6,
                ),
            ),
        ),
        Row(
            "The promises themselves",
            (
                quantiles(
                    "From a withdrawal to its retraction (V7)",
                    "99 of 100 within a second.",
                    "postroom_withdrawal_to_retraction_seconds",
                    red_from=1,
                ),
                quantiles(
                    "From a moment to what it changes (V8)",
                    "Within a second.",
                    "postroom_moment_to_view_seconds",
                    red_from=1,
                ),
                quantiles(
                    "From an event to the views that it changes",
                    "99 of 100 within 2.5 s.",
                    "postroom_end_to_end_seconds",
                    red_from=2.5,
                ),
                quantiles(
                    "As the canary sees it",
                    "From publishing to what a subscriber reads, of a citizen of our own making.",
                    "postroom_canary_seconds",
                    "path",
                ),
                Panel(
                    "What was noticed of losses (V6)",
                    "Ends of workers, because a count, an offset or a log is not what it must be.",
                    (Query("postroom:stops:increase15m", "{{error}}"),),
                    red_from=1,
                ),
                line(
                    "Since the canary last came through",
                    "Seconds; from two minutes on somebody is woken.",
                    "time() - max by (path) (postroom_canary_last_success_timestamp_seconds)",
                    "{{path}}",
                    "s",
                    red_from=120,
                ),
            ),
        ),
    ),
)
