"""What is shared and what is taken back; and what each subscriber gets and owes."""

from __future__ import annotations

from postroom.dashboards.board import Board, Panel, Query, Row, Variable, line, quantiles
from postroom.dashboards.govuk import NOTICES

AGREEMENT = Variable("agreement", "agreement", "postroom_decisions_total")
SUBSCRIBER = Variable("subscriber", "subscriber", "postroom_obligations_open")
OF = '{agreement=~"$agreement"}'
RATE = "[$__rate_interval]"
DENIED = 'postroom_decisions_total{agreement=~"$agreement",outcome="denied"}'
FAILED = 'postroom_decisions_total{agreement=~"$agreement",reason="error"}'
SETTLED = 'postroom_obligations_total{subscriber=~"$subscriber"}'

CONSENT = Board(
    "postroom-consent",
    "Postroom: consent and disclosure",
    "What is decided, written and taken back, by agreement; nobody's data.",
    (
        Row(
            "Decisions (C6)",
            (
                line(
                    "By outcome",
                    "Permitted whole, permitted in part, denied.",
                    f"sum by (agreement, outcome) (rate(postroom_decisions_total{OF}{RATE}))",
                    "{{agreement}} {{outcome}}",
                    "ops",
                ),
                line(
                    "Why denied",
                    "The reason of the first denial; `error` is a defect.",
                    f"sum by (reason) (rate({DENIED}{RATE}))",
                    "{{reason}}",
                    "ops",
                    stacked=True,
                ),
                line(
                    "Decisions that failed",
                    "Denied because deciding failed. Anything but nothing is a page.",
                    f"sum by (agreement) (increase({FAILED}{RATE}))",
                    "{{agreement}}",
                    red_from=1,
                ),
            ),
        ),
        Row(
            "Disclosure (V1 to V5)",
            (
                line(
                    "Views written and retracted",
                    "Each is one entry of the disclosure log.",
                    f"sum by (agreement, change) (rate(postroom_views_total{OF}{RATE}))",
                    "{{agreement}} {{change}}",
                    "ops",
                ),
                line(
                    "Deletions owed",
                    "What was shared and is permitted no more.",
                    f"sum by (agreement) (rate(postroom_deletions_owed_total{OF}{RATE}))",
                    "{{agreement}}",
                    "ops",
                ),
                quantiles(
                    "From a withdrawal to its retraction (V7)",
                    "99 of 100 within a second.",
                    "postroom_withdrawal_to_retraction_seconds",
                    red_from=1,
                ),
            ),
        ),
        NOTICES,
        Row(
            "Identity",
            (
                line(
                    "Disputes open",
                    "Pairs that join nothing until a person settles them (I3).",
                    "sum by (reason) (postroom_disputes_open)",
                    "{{reason}}",
                    stacked=True,
                    width=12,
                ),
                line(
                    "Disputes begun and settled",
                    "By reason.",
                    f"sum by (change, reason) (increase(postroom_disputes_total{RATE}))",
                    "{{change}} {{reason}}",
                    width=12,
                ),
            ),
        ),
    ),
    (AGREEMENT,),
)

SUBSCRIBERS = Board(
    "postroom-subscribers",
    "Postroom: subscribers",
    "What each subscriber gets, and what it owes to delete.",
    (
        Row(
            "Obligations (V4)",
            (
                line(
                    "Overdue",
                    "Past the deadline and not acknowledged. Somebody must ask.",
                    'sum by (subscriber) (postroom_obligations_overdue{subscriber=~"$subscriber"})',
                    "{{subscriber}}",
                    kind="stat",
                    red_from=1,
                ),
                line(
                    "Open",
                    "Neither acknowledged nor overdue.",
                    'sum by (subscriber) (postroom_obligations_open{subscriber=~"$subscriber"})',
                    "{{subscriber}}",
                ),
                line(
                    "What became of them",
                    "Opened, done in time or late, overdue, or an acknowledgement that did not count.",
                    f"sum by (subscriber, change, reason) (increase({SETTLED}{RATE}))",
                    "{{subscriber}} {{change}} {{reason}}",
                ),
            ),
        ),
        Row(
            "Over HTTP",
            (
                line(
                    "Streams opened",
                    "By agreement.",
                    f"sum by (agreement) (increase(postroom_gateway_streams_total{RATE}))",
                    "{{agreement}}",
                ),
                line(
                    "Requests",
                    "By status; 4xx is the caller, 5xx is us.",
                    f"sum by (status) (rate(postroom_gateway_requests_total{RATE}))",
                    "{{status}}",
                    "ops",
                    stacked=True,
                ),
                quantiles(
                    "Answers", "Without streams.", "postroom_gateway_request_seconds", "route", red_from=1
                ),
                line(
                    "Refusals",
                    "Why the gateway did not do what was asked.",
                    f"sum by (reason) (rate(postroom_gateway_refusals_total{RATE}))",
                    "{{reason}}",
                    "ops",
                    width=12,
                ),
                Panel(
                    "Gateways",
                    "Ready, of those that are scraped.",
                    (
                        Query("sum(postroom_gateway_ready)", "ready"),
                        Query('count(up{job="postroom-gateway"})', "known"),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Into their tables",
            (
                line(
                    "Rows",
                    "Upserted, deleted, or ignored because the row was newer.",
                    f"sum by (agreement, change) (rate(postroom_sink_rows_total{RATE}))",
                    "{{agreement}} {{change}}",
                    "ops",
                ),
                Panel(
                    "Behind the view",
                    "Seconds since the table held all of it; a quarter of an hour is a ticket.",
                    (
                        Query(
                            "time() - max by (agreement) (postroom_sink_at_end_timestamp_seconds)",
                            "{{agreement}}",
                        ),
                    ),
                    "s",
                    red_from=900,
                ),
                Panel(
                    "Still to be written",
                    "Offsets of the view. While all is read anew, nothing but retractions is written.",
                    (
                        Query("max by (agreement) (postroom_sink_behind_records)", "{{agreement}}"),
                        Query("max by (agreement) (postroom_sink_reading_anew)", "{{agreement}} read anew"),
                    ),
                ),
                line(
                    "Database",
                    "1 while it answers its sink.",
                    "max by (agreement) (postroom_sink_database_reachable)",
                    "{{agreement}}",
                    red_below=1,
                ),
            ),
        ),
        Row(
            "Webhooks",
            (
                Panel(
                    "Parked, and owed",
                    "A parked one waits for an operator; what is owed is kept meanwhile.",
                    (
                        Query("max by (endpoint) (postroom_webhook_parked)", "{{endpoint}} parked"),
                        Query("sum by (endpoint) (postroom_webhook_owed)", "{{endpoint}} owed"),
                        Query("max(postroom_webhook_file_refused)", "file of webhooks refused"),
                    ),
                ),
                line(
                    "Oldest undelivered",
                    "A retraction may be behind it. Half an hour is a ticket.",
                    "max by (endpoint) (postroom_webhook_oldest_undelivered_seconds)",
                    "{{endpoint}}",
                    "s",
                    red_from=1800,
                ),
                quantiles(
                    "From a change to its delivery",
                    "By endpoint.",
                    "postroom_webhook_latency_seconds",
                    "endpoint",
                ),
                Panel(
                    "Attempts",
                    "By what became of them, retractions that were delivered, and failures to read.",
                    (
                        Query(
                            f"sum by (endpoint, outcome) (rate(postroom_webhook_deliveries_total{RATE}))",
                            "{{endpoint}} {{outcome}}",
                        ),
                        Query(
                            f"sum by (endpoint) (rate(postroom_webhook_retractions_total{RATE}))",
                            "{{endpoint}} retractions",
                        ),
                        Query(
                            f"sum by (endpoint) (rate(postroom_webhook_read_errors_total{RATE}))",
                            "{{endpoint}} not read",
                        ),
                    ),
                    "ops",
                    width=12,
                ),
                quantiles(
                    "Answers of receivers",
                    "By endpoint.",
                    "postroom_webhook_answer_seconds",
                    "endpoint",
                    width=12,
                ),
            ),
        ),
        Row(
            "Views",
            (
                line(
                    "Views written and retracted",
                    "By agreement.",
                    f"sum by (agreement, change, reason) (rate(postroom_views_total{RATE}))",
                    "{{agreement}} {{change}} {{reason}}",
                    "ops",
                    width=24,
                ),
            ),
        ),
    ),
    (SUBSCRIBER,),
)
