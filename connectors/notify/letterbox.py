"""GOV.UK Notify, by its official client: sends one message, and finds one by its reference.

What its errors mean is a table: "use the status code or the error type", never the message, which changes and
may repeat what was sent (docs.notifications.service.gov.uk, "General errors"). The client's own log is
switched off for the same reason.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class Outcome(StrEnum):
    """What became of one attempt; also the label of its metric."""

    SENT = "sent"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    NOT_LET_IN = "not-let-in"
    RATE_LIMITED = "rate-limited"
    DAY_IS_FULL = "day-is-full"
    UNKNOWN = "unknown"


MEANINGS: dict[Outcome, str] = {
    Outcome.SENT: "201: GOV.UK Notify has it",
    Outcome.REFUSED: "400 ValidationError: the address is none; never again",
    Outcome.MISCONFIGURED: "400 BadRequestError or 404: the template, the service or the key; tried again",
    Outcome.NOT_LET_IN: "401 or 403: the key, or our clock; everything waits",
    Outcome.RATE_LIMITED: "429 RateLimitError: too many a minute; everything waits",
    Outcome.DAY_IS_FULL: "429 TooManyRequestsError: too many a day; everything waits for midnight",
    Outcome.UNKNOWN: "5xx, no answer, or one that nobody understands: it may have it or not",
}


class Answer(NamedTuple):
    """The end of one attempt; `why` is GOV.UK Notify's type of error, never its words."""

    outcome: Outcome
    why: str = ""


class Letterbox:
    """One service of GOV.UK Notify."""

    def __init__(self, api_key: str, base_url: str, timeout_s: float) -> None:
        from notifications_python_client.notifications import NotificationsAPIClient

        # INVARIANT: it would log what GOV.UK Notify says of a request, and that may hold an address.
        for name in ("notifications_python_client", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._client: Any = NotificationsAPIClient(api_key, base_url=base_url, timeout=timeout_s)
        self._client.request_session.max_redirects = 0  # an address goes where we were told, nowhere else

    def send(self, address: str, template: str, reference: str, words: Mapping[str, str]) -> Answer:
        """Send one e-mail."""
        from notifications_python_client.errors import APIError

        try:
            taken = self._client.send_email_notification(
                address, template, personalisation=dict(words), reference=reference
            )
        except APIError as error:
            return _answer(error)
        # INVARIANT: only GOV.UK Notify's own answer counts. Its client takes any status below 400.
        is_taken = isinstance(taken, dict) and bool(taken.get("id")) and taken.get("reference") == reference
        return Answer(Outcome.SENT) if is_taken else Answer(Outcome.UNKNOWN, "not-an-answer")

    def has(self, reference: str) -> bool | None:
        """Tell whether there is a message of this reference; None when that cannot be known now."""
        from notifications_python_client.errors import APIError

        try:
            found = self._client.get_all_notifications(reference=reference)
        except APIError:
            return None
        held = found.get("notifications") if isinstance(found, dict) else None
        return bool(held) if isinstance(held, list) else None


def _answer(error: Any) -> Answer:
    status, said = error.status_code, error.message
    first = said[0] if isinstance(said, list) and said and isinstance(said[0], dict) else {}
    kind = str(first.get("error", ""))
    why = kind if kind.isascii() and kind.isalnum() and len(kind) < 40 else "unnamed"
    if getattr(error, "response", None) is None:
        return Answer(Outcome.UNKNOWN, "no-answer")
    if status == 400:
        return Answer(Outcome.REFUSED if kind == "ValidationError" else Outcome.MISCONFIGURED, why)
    if status in (401, 403):
        return Answer(Outcome.NOT_LET_IN, why)
    if status == 404:
        return Answer(Outcome.MISCONFIGURED, why)
    if status == 429:
        day = kind == "TooManyRequestsError"
        return Answer(Outcome.DAY_IS_FULL if day else Outcome.RATE_LIMITED, why)
    return Answer(Outcome.UNKNOWN, f"status-{status}")
