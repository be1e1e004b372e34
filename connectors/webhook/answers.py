"""What an answer of a receiver means, as a table: taken, not now, never again."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What became of one attempt; also the label of its metric."""

    DELIVERED = "delivered"
    GONE = "gone"
    REDIRECTED = "redirected"
    REFUSED = "refused"
    THROTTLED = "throttled"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    FORBIDDEN = "forbidden-address"


MEANINGS: dict[Outcome, str] = {
    Outcome.DELIVERED: "2xx",
    Outcome.GONE: "410: the endpoint is disabled",
    Outcome.REDIRECTED: "3xx: never followed",
    Outcome.REFUSED: "another 4xx",
    Outcome.THROTTLED: "429, or a 503 that says when",
    Outcome.FAILED: "5xx, or an answer that is not HTTP",
    Outcome.TIMED_OUT: "no answer in time",
    Outcome.UNREACHABLE: "no connection, or no address",
    Outcome.UNTRUSTED: "a certificate that is not believed, or of another name",
    Outcome.FORBIDDEN: "the address is not one to send to",
}


class Answer(NamedTuple):
    """One attempt's end; `headers` of an answer, names in lower case."""

    outcome: Outcome
    status: int | None = None
    retry_after_s: float | None = None
    headers: dict[str, str] = {}


def outcome_of(status: int, retry_after_s: float | None) -> Outcome:
    """Say what a status means: only 2xx is success."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if 300 <= status < 400:
        return Outcome.REDIRECTED
    if status == 410:
        return Outcome.GONE
    if status == 429 or (status == 503 and retry_after_s is not None):
        return Outcome.THROTTLED
    return Outcome.REFUSED if 400 <= status < 500 else Outcome.FAILED
