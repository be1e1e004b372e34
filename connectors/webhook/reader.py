"""Reads one agreement for one endpoint: news into the outbox, as far as there is room, and where it came to.

A way through the topic that began anew ends with a question: what may the receiver hold that the topic no
longer has? That is retracted. It is how a retraction survives the compaction of its own tombstone (V1).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from connectors.away import Away
from connectors.kafka_follower import Positions
from connectors.log_line import say
from connectors.view_topics import Expired, Page
from connectors.webhook import metrics
from connectors.webhook.envelope import vanished
from connectors.webhook.journal import Journal
from connectors.webhook.outbox import Outbox, is_news

DAY_MS = 24 * 3_600_000
BEHIND_MS_MAX = 28 * DAY_MS
"""Tombstones stay 30 days (V1); two are left for compaction's delay and the time of a way through."""
PAGE_MAX = 250
WAIT_S = 1.0
RETRY_S = 2.0
KEEP_EVERY_MS = 60_000


class StartOver(Exception):  # noqa: N818 - it says what to do
    """This life of a courier is over; the next begins from the journal."""


class Pages(Protocol):
    """A view topic, read committed, from given positions on."""

    async def page(self, positions: Positions, limit: int, wait_s: float) -> Page:
        """Return changes from there on, waiting a while for the first; Expired, Away."""

    async def close(self) -> None:
        """Let go of it."""


class Reader:
    """One agreement of one endpoint, in one life of its courier."""

    def __init__(
        self,
        endpoint: str,
        agreement: str,
        pages: Pages,
        journal: Journal,
        outbox: Outbox,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._endpoint, self.agreement = endpoint, agreement
        self._pages, self._journal, self._outbox, self._now_ms = pages, journal, outbox, now_ms
        self._way, self._read = journal.reading(endpoint, agreement, now_ms())
        self._kept_ms = 0
        self._was_read = self._was_at_end = False
        self._vanished_after = b""

    @property
    def number(self) -> int:
        """Which way through the topic this is."""
        return self._way.number

    def waiting_for(self) -> list[str]:
        """Name what is missing before this agreement's news can leave: its topic, or a way through it that
        began anew and has not come to the end. A receiver that takes nothing is not waited for.
        """
        if not self._was_read:
            return [f"{self._endpoint}: the topic of {self.agreement}"]
        anew = not self._way.complete and not self._was_at_end and self._outbox.room
        return [f"{self._endpoint}: {self.agreement} to be read anew"] if anew else []

    def low_water(self) -> Positions:
        """Where the next life begins: nothing before it is owed."""
        return self._outbox.low_water(self.agreement, self._read)

    async def run(self, wake: asyncio.Event) -> None:
        """Read until it is cancelled; StartOver."""
        try:
            while True:
                if not (room := self._outbox.room):
                    await asyncio.sleep(WAIT_S / 10)
                    self._require_fresh()
                    continue
                try:
                    self.take(await self._pages.page(self._read, min(room, PAGE_MAX), WAIT_S))
                except Away as away:
                    self._was_read = False
                    metrics.READ_ERRORS.labels(self._endpoint).inc()
                    say(
                        "webhook-reads-again",
                        level="warning",
                        endpoint=self._endpoint,
                        agreement=self.agreement,
                        why=away.why,
                    )
                    await asyncio.sleep(RETRY_S)
                except Expired:
                    self._start_over("the topic is another one", another_topic=True)
                wake.set()
        finally:
            await self._pages.close()

    def take(self, page: Page) -> None:
        """Owe what is news on a page, and remember how far it was read; StartOver."""
        self._require_fresh()
        where = (self._endpoint, self.agreement)
        keys = [change.key for change in page.changes]
        if not self._way.complete and keys:
            last = {change.key: self._way.number * (change.value is not None) for change in page.changes}
            self._journal.found(*where, last)
        least = self._journal.least_of(*where, keys)
        for change in page.changes:
            if is_news(change, least.get(change.key, 0)):
                self._outbox.take(self.agreement, change, len(msgspec.json.encode(change.value)))
        self._read, self._was_read = page.positions, True
        if page.at_end:
            self._at_end()
        elif page.changes:
            self._keep(None)

    def _at_end(self) -> None:
        """All that is there was read: settle what is not, and note that nothing is missed until now."""
        self._was_at_end = True
        now_ms = self._now_ms()
        if not self._way.complete:
            self._retract_vanished(now_ms)
            return
        oldest_ms = self._outbox.oldest_ms(self.agreement)
        self._keep(now_ms if oldest_ms is None else min(oldest_ms, now_ms))

    def _retract_vanished(self, now_ms: int) -> None:
        """Owe the retraction of each key that this way through did not find; a few at a time, until none."""
        where = (self._endpoint, self.agreement)
        if not (room := self._outbox.room):
            return
        missing = self._journal.vanished(*where, self._way.number, self._vanished_after, room)
        gone = [(key, sequence) for _, key, sequence in missing if not self._outbox.owes(self.agreement, key)]
        if gone:
            name = self._endpoint
            say("webhook-retracts-vanished", endpoint=name, agreement=self.agreement, keys=len(gone))
        for key, sequence in gone:
            self._outbox.take(self.agreement, vanished(self.agreement, key, sequence + 1, now_ms), 0)
        if missing:
            self._vanished_after = missing[-1][0]
        # INVARIANT: the way is complete only when they have arrived. Until then a restart asks again.
        if not missing and self._outbox.oldest_ms(self.agreement) is None:
            if not self._journal.vanished(*where, self._way.number, b"", 1):
                self._journal.complete(*where)
                self._way = self._way._replace(complete=True)
            self._vanished_after = b""

    def _keep(self, since_ms: int | None) -> None:
        """Keep where to go on, now and then: deliveries keep it too."""
        now_ms = self._now_ms()
        if now_ms - self._kept_ms < KEEP_EVERY_MS:
            return
        self._kept_ms = now_ms
        self._journal.advance(self._endpoint, self.agreement, self.low_water(), since_ms, now_ms)
        if since_ms is not None:
            self._way = self._way._replace(since_ms=max(self._way.since_ms, since_ms))

    def _require_fresh(self) -> None:
        if self._now_ms() - self._way.since_ms > BEHIND_MS_MAX:
            self._start_over("it was behind for too long")

    def _start_over(self, why: str, *, another_topic: bool = False) -> None:
        self._journal.read_again(self._endpoint, self.agreement, self._now_ms(), another_topic=another_topic)
        raise StartOver(why)
