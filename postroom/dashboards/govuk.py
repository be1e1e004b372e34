"""GOV.UK services: payments and accounts that come in, and what became of them; nobody's data."""

from __future__ import annotations

from postroom.dashboards.board import Panel, Query, Row, line, quantiles

RATE = "[$__rate_interval]"

PAYMENTS = Row(
    "GOV.UK Pay, of all services",
    (
        line(
            "Messages",
            "By what became of them; what was not taken is sent again for days.",
            f"sum by (service, outcome) (rate(postroom_pay_messages_total{RATE}))",
            "{{service}} {{outcome}}",
            "ops",
            width=12,
        ),
        quantiles(
            "Answers to GOV.UK Pay",
            "Its sender gives up after five seconds.",
            "postroom_pay_answer_seconds",
            "service",
            red_from=5,
            width=12,
        ),
    ),
)

ACCOUNTS = Row(
    "GOV.UK One Login, of all services",
    (
        line(
            "Links",
            "By what became of them; whatever is not proved is refused.",
            f"sum by (service, outcome) (rate(postroom_onelogin_links_total{RATE}))",
            "{{service}} {{outcome}}",
            "ops",
            width=12,
        ),
        quantiles(
            "Answers to services",
            "With the broker's acknowledgement.",
            "postroom_onelogin_answer_seconds",
            "service",
            width=12,
        ),
    ),
)

NOTICES = Row(
    "GOV.UK Notify",
    (
        Panel(
            "Notices",
            "By what they tell, and by state; what is refused or has no address waits for somebody.",
            (
                Query(f"sum by (change) (increase(postroom_notify_notices_total{RATE}))", "{{change}}"),
                Query("max by (state) (postroom_notify_standing)", "{{state}}"),
            ),
        ),
        line(
            "Attempts",
            "By what became of them.",
            f"sum by (outcome) (rate(postroom_notify_attempts_total{RATE}))",
            "{{outcome}}",
            "ops",
        ),
        line(
            "Oldest that is owed",
            "Somebody has not been told for so long.",
            "max(postroom_notify_oldest_owed_seconds)",
            "oldest",
            "s",
        ),
    ),
)
