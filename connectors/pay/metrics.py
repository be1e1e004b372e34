"""What an operator sees of payments: counted by service and by what became of a message."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

MESSAGES = Counter(
    "postroom_pay_messages_total",
    "Webhook messages of GOV.UK Pay by what became of them: written, known, or why not.",
    ["service", "outcome"],
)
SECONDS = Histogram(
    "postroom_pay_answer_seconds",
    "From a message of GOV.UK Pay to its answer; its sender gives up after five.",
    ["service"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
