"""GOV.UK Notify's limits, kept before it must refuse: so many in any minute, and so many a day.

3,000 messages a minute for each type of API key, and a daily limit of the service that "resets at midnight"
(docs.notifications.service.gov.uk, "Rate limits" and "Daily limits").
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE_S = 60.0
LONDON = ZoneInfo("Europe/London")


class Pace:
    """A bucket that lets no more through in any minute than allowed, and what GOV.UK Notify asked to wait."""

    def __init__(self, per_minute: int, per_day: int, monotonic_s: Callable[[], float]) -> None:
        # INVARIANT: what the bucket holds and what a minute adds are together what a minute may have.
        self._holds = max(1.0, per_minute / 60)
        self._adds_per_s = max(per_minute - self._holds, 0.5) / MINUTE_S
        self._per_day, self._monotonic_s = per_day, monotonic_s
        self._tokens, self._at_s = self._holds, monotonic_s()
        self._not_before_s = 0.0

    def wait_s(self, sent_today: int, now_s: float) -> float:
        """Return how long to wait before the next message; 0: none."""
        at_s = self._monotonic_s()
        self._tokens = min(self._holds, self._tokens + (at_s - self._at_s) * self._adds_per_s)
        self._at_s = at_s
        wait_s = max(0.0, self._not_before_s - at_s)
        if sent_today >= self._per_day:
            wait_s = max(wait_s, until_midnight_s(now_s))
        if self._tokens < 1:
            wait_s = max(wait_s, (1 - self._tokens) / self._adds_per_s)
        return wait_s

    def spend(self) -> None:
        """Count one message."""
        self._tokens -= 1

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._not_before_s = max(self._not_before_s, self._monotonic_s() + seconds)


def day_of(now_s: float) -> str:
    """Return the day by which messages are counted."""
    return datetime.fromtimestamp(now_s, LONDON).date().isoformat()


def until_midnight_s(now_s: float) -> float:
    """Return how long the day still lasts."""
    now = datetime.fromtimestamp(now_s, LONDON)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), LONDON)
    return max(1.0, midnight.timestamp() - now_s)
