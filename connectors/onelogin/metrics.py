"""What an operator sees of accounts that are linked: counted by service and outcome, never by account."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

LINKS = Counter(
    "postroom_onelogin_links_total",
    "Requests to link a GOV.UK One Login account by what became of them: written, known, or why not.",
    ["service", "outcome"],
)
SECONDS = Histogram(
    "postroom_onelogin_answer_seconds",
    "From a request to link an account to its answer.",
    ["service"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
