"""May we send here? CloudEvents' validation handshake (HTTP Webhooks §4), before the first delivery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from connectors.webhook.answers import Answer, Outcome
from connectors.webhook.line import Line

ORIGIN, RATE = "webhook-request-origin", "webhook-request-rate"
MINUTE_S = 60.0


class Granted(NamedTuple):
    """The receiver agrees; `rate` is what it allows a minute, None as much as we like."""

    rate: int | None


class Withheld(NamedTuple):
    """It does not, or could not be asked; `why` is for an operator."""

    why: str
    answer: Answer


async def ask(line: Line, rate: int, headers: Sequence[tuple[str, str]]) -> Granted | Withheld:
    """Ask the receiver for its permission, by the very URL and with the headers that are sent with."""
    answer = await line.ask("OPTIONS", [(RATE, str(rate)), *headers])
    return judge(answer, dict(headers)[ORIGIN])


def judge(answer: Answer, origin: str) -> Granted | Withheld:
    """Read the answer: permission is in the headers alone, never in the status."""
    if answer.status is None:
        return Withheld(f"it cannot be asked for permission: {answer.outcome}", answer)
    allowed = answer.headers.get("webhook-allowed-origin")
    if allowed is None or answer.outcome is Outcome.REDIRECTED:
        return Withheld(f"it gives no permission: {answer.status} without WebHook-Allowed-Origin", answer)
    if allowed != "*" and allowed.lower() != origin.lower():
        return Withheld("it gives permission to another origin", answer)
    rate = answer.headers.get("webhook-allowed-rate", "")
    if rate == "*":
        return Granted(None)
    # It was asked for a rate, so it must name one; nothing is sent faster than was granted.
    if not (rate.isascii() and rate.isdigit() and int(rate[:9]) > 0):
        return Withheld("it gives permission without a WebHook-Allowed-Rate", answer)
    return Granted(int(rate[:9]))


class Pace:
    """Keeps to a rate: requests evenly apart, and never saved up."""

    def __init__(self, rate: int | None) -> None:
        self._apart_s = 0.0 if rate is None else MINUTE_S / rate
        self.next_s = 0.0

    def take(self, now_s: float) -> bool:
        """Take a turn; False when it is too early."""
        if now_s < self.next_s:
            return False
        self.next_s = now_s + self._apart_s
        return True
