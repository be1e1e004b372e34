"""GOV.UK services: payments that come in, and what became of them; nobody's data."""

from __future__ import annotations

from postroom.dashboards.board import Row, line, quantiles

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
