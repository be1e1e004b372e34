"""What a subscriber reads: pages of changes, a stream of them, the view of one key (V1-V3).

Nothing is kept here: each answer is read from the view's topic, read committed, after asking where the topic
ends. A retraction is as visible as a view.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from connectors.doors import Problem
from connectors.gateway.cursor import Cursor, CursorInvalid, Cursors
from connectors.view_topics import Change, Expired, Page, Views, document

TOMBSTONES_KEPT_MS = 30 * 24 * 3_600_000  # V1: delete.retention.ms of a view's topic
MARGIN_MS = 3_600_000
PAGE_MAX = 1_000
STREAM_PAGE = 100
HEARTBEAT_S = 15.0
MEND = "connect again with a new token and the last id as Last-Event-ID"
BEGIN_ANEW = "begin without a cursor, read to `at_end`, and delete what you hold and do not find"
FRESH_S = 1.0
"""How long a page that a slow reader takes is believed; then what is left of it is read again."""
ENDED = (
    b"event: stream-ended\ndata: "
    + msgspec.json.encode({"why": "the token has ended, or the client may no longer read", "mend": MEND})
    + b"\n\n"
)
"""The last event of a stream; it has no id, so that the reader goes on from the one before."""


class Subscribing:
    """Answers one subscriber's questions about one of its agreements. Whether it is entitled is the caller's
    to know.
    """

    def __init__(self, views: Views, cursors: Cursors, now_ms: Callable[[], int]) -> None:
        self._views = views
        self._cursors = cursors
        self._now_ms = now_ms

    def start(self, text: str | None, subscriber: str, agreement: str) -> Cursor:
        """Return where to read from: the beginning, or where a cursor says. Problem."""
        if not text:
            return Cursor((), self._now_ms())
        try:
            cursor = self._cursors.read(text, subscriber, agreement)
        except CursorInvalid:
            raise Problem("invalid-cursor", BEGIN_ANEW) from None
        if self._now_ms() - cursor.since_ms > TOMBSTONES_KEPT_MS - MARGIN_MS:
            raise _expired()
        return cursor

    async def page(
        self, cursor: Cursor, subscriber: str, agreement: str, limit: int, wait_s: float
    ) -> dict[str, Any]:
        """Return a page of changes, waiting a while for the first when there is none. Problem, Away."""
        page = await self._page(agreement, cursor, limit)
        if not page.changes and page.at_end and wait_s > 0:
            await self._views.wait(agreement, page.positions, wait_s)
            page = await self._page(agreement, cursor._replace(positions=page.positions), limit)
        return {
            "changes": [document(change) for change in page.changes],
            "cursor": self._cursors.write(self._after(cursor, page), subscriber, agreement),
            "at_end": page.at_end,
        }

    async def stream(
        self, cursor: Cursor, subscriber: str, agreement: str, left_s: Callable[[], float]
    ) -> AsyncIterator[bytes]:
        """Yield Server-Sent Events, each with the cursor behind it as its id, while time is left."""
        told = False
        while left_s() > 0:
            page = await self._page(agreement, cursor, STREAM_PAGE)
            stale_ms = self._now_ms() + FRESH_S * 1000
            for change in page.changes:
                # INVARIANT: a slow reader is not handed a view that was retracted while it took its time.
                if self._now_ms() > stale_ms or left_s() <= 0:
                    break
                cursor = Cursor(_behind(cursor.positions, change), cursor.since_ms)
                told = False
                yield _event(change, self._cursors.write(cursor, subscriber, agreement))
            else:
                cursor = self._after(cursor, page)
                if not page.at_end:
                    continue
                yield self._at_end(cursor, subscriber, agreement, told=told)
                told = True
                await self._views.wait(agreement, cursor.positions, min(HEARTBEAT_S, max(0.0, left_s())))
        yield ENDED

    def _at_end(self, cursor: Cursor, subscriber: str, agreement: str, *, told: bool) -> bytes:
        """That there is no more now; said again it is a heartbeat, whose id alone a reader keeps."""
        text = self._cursors.write(cursor, subscriber, agreement).encode()
        return b"id: " + text + (b"\n\n" if told else b"\nevent: at-end\ndata: {}\n\n")

    async def latest(self, agreement: str, key: str) -> dict[str, Any]:
        """Return the current view of a key with its age; Problem `retracted` or `not-found`, Away."""
        change = await self._views.latest(agreement, key)
        if change is None:
            raise Problem("not-found", "no view under this key", why="no-view")
        shown = document(change)
        shown["age_ms"] = max(0, self._now_ms() - change.timestamp_ms)
        if change.value is None:
            raise Problem("retracted", "delete what you hold of it", more={"retraction": shown})
        return shown

    async def _page(self, agreement: str, cursor: Cursor, limit: int) -> Page:
        try:
            return await self._views.page(agreement, cursor.positions, limit)
        except Expired:
            raise _expired() from None

    def _after(self, cursor: Cursor, page: Page) -> Cursor:
        return Cursor(page.positions, self._now_ms() if page.at_end else cursor.since_ms)


def _behind(positions: tuple[int, ...], change: Change) -> tuple[int, ...]:
    """The positions behind a change, which came after `positions`."""
    reached = [*positions, *([0] * (change.partition + 1 - len(positions)))]
    reached[change.partition] = change.offset + 1
    return tuple(reached)


def _event(change: Change, cursor: str) -> bytes:
    name = "view-retracted" if change.value is None else "view-updated"
    data = msgspec.json.encode(document(change))  # one line: JSON text holds no line breaks
    return b"id: " + cursor.encode() + f"\nevent: {name}\ndata: ".encode() + data + b"\n\n"


def _expired() -> Problem:
    return Problem("cursor-expired", BEGIN_ANEW)
