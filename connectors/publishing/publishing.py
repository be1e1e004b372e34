"""From judged events to the broker's acknowledgement, each at most once as far as this process knows (E1).

A batch is taken whole or not at all as far as judging goes: one bad event, and none is written. What the
broker then does with it is said event by event, and the whole request may be repeated: an event that is known
is answered without being written again. Beyond this process and its window Kafka may hold an event twice;
the backbone counts it once, because (source, id) names it (E1).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from connectors.away import Away, Full
from connectors.doors import Problem
from connectors.publishing.judging import Judged
from connectors.publishing.ports import Registered, Sink
from schemas import frame

WINDOW_S = 600.0
REMEMBERED_MAX = 200_000
WRITTEN, KNOWN, NOT_DELIVERED = "written", "known", "not-delivered"


class _Entry(NamedTuple):
    digest: bytes
    delivery: asyncio.Future[None]
    at_s: float


class Published(NamedTuple):
    """What became of a request's events, in their order."""

    outcomes: list[str]
    retry_after_s: float | None
    busy: bool

    @property
    def whole(self) -> bool:
        """Tell whether every event is acknowledged."""
        return NOT_DELIVERED not in self.outcomes

    def counts(self) -> dict[str, Any]:
        """Return the body of the answer."""
        said: dict[str, Any] = {name: self.outcomes.count(name) for name in (WRITTEN, KNOWN)}
        if not self.whole:
            said[NOT_DELIVERED.replace("-", "_")] = self.outcomes.count(NOT_DELIVERED)
            said["events"] = self.outcomes
        return said


class Publishing:
    """Writes events and remembers those of the last minutes, as hashes only."""

    def __init__(
        self,
        sink: Sink,
        registered: Registered,
        monotonic_s: Callable[[], float],
        acknowledged_within_s: float,
        remembered_max: int = REMEMBERED_MAX,
    ) -> None:
        self._sink = sink
        self._registered = registered
        self._monotonic_s = monotonic_s
        self._within_s = acknowledged_within_s
        self._remembered_max = remembered_max
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    async def publish(self, events: Sequence[Judged]) -> Published:
        """Write what is not known yet; return once all is acknowledged, or after the time for that.

        Problem `different-content` before anything is written, `unavailable` when a contract is not
        registered.
        """
        self._forget()
        self._refuse_other_content(events)
        values = [await self._value(event) for event in events]
        deliveries, busy = self._hand_over(events, values)
        pending = {delivery for _, delivery in deliveries if delivery is not None}
        if pending:
            await asyncio.wait(pending, timeout=self._within_s)
        return _published(deliveries, busy)

    def _refuse_other_content(self, events: Sequence[Judged]) -> None:
        contents: dict[bytes, bytes] = {}
        problems = []
        for index, event in enumerate(events):
            entry = self._entries.get(event.name)
            known = contents.setdefault(event.name, event.digest if entry is None else entry.digest)
            if known != event.digest:
                place = f"$[{index}].id" if len(events) > 1 else "$.id"
                problems.append({"path": place, "problem": "expected a new id for new content"})
        if problems:
            detail = "what is repeated is repeated as it was, its `time` too; what is new has a new id"
            raise Problem("different-content", detail, problems=problems)

    async def _value(self, event: Judged) -> bytes:
        schema_id = await self._registered.schema_id(event.contract)
        if schema_id is None:
            raise Problem("unavailable", "the contract is not registered yet", retry_after_s=30)
        return frame(schema_id, event.body)

    def _hand_over(
        self, events: Sequence[Judged], values: Sequence[bytes]
    ) -> tuple[list[tuple[str, asyncio.Future[None] | None]], Full | None]:
        """Send what is not on its way or there; stop handing over when the sink is full."""
        deliveries: list[tuple[str, asyncio.Future[None] | None]] = []
        full: Full | None = None
        for event, value in zip(events, values, strict=True):
            entry = self._entries.get(event.name)
            if entry is not None:
                deliveries.append((KNOWN, entry.delivery))
                continue
            if full is None:
                try:
                    deliveries.append((WRITTEN, self._send(event, value)))
                    continue
                except Full as error:
                    full = error
            deliveries.append((NOT_DELIVERED, None))
        return deliveries, full

    def _send(self, event: Judged, value: bytes) -> asyncio.Future[None]:
        delivery = self._sink.send(event.contract.type, value, event.headers)
        self._entries[event.name] = _Entry(event.digest, delivery, self._monotonic_s())
        # INVARIANT: what was not delivered is not known, or a retry would be answered with nothing written.
        delivery.add_done_callback(lambda done: self._settled(event.name, done))
        return delivery

    def _settled(self, name: bytes, delivery: asyncio.Future[None]) -> None:
        entry = self._entries.get(name)
        failed = delivery.cancelled() or delivery.exception() is not None
        if failed and entry is not None and entry.delivery is delivery:
            del self._entries[name]

    def _forget(self) -> None:
        """Let go of what is old or too much; what is on its way stays; the sink bounds that."""
        oldest_s = self._monotonic_s() - WINDOW_S
        while self._entries:
            name, entry = next(iter(self._entries.items()))
            if entry.at_s > oldest_s and len(self._entries) <= self._remembered_max:
                return
            if not entry.delivery.done():
                return
            del self._entries[name]


def _published(deliveries: Sequence[tuple[str, asyncio.Future[None] | None]], full: Full | None) -> Published:
    outcomes = []
    retry_after_s = None if full is None else full.retry_after_s
    for outcome, delivery in deliveries:
        if delivery is not None and delivery.done() and not delivery.cancelled():
            error = delivery.exception()
            if error is None:
                outcomes.append(outcome)
                continue
            if not isinstance(error, Away):
                raise error
            retry_after_s = max(retry_after_s or 0.0, error.retry_after_s)
        outcomes.append(NOT_DELIVERED)
    if NOT_DELIVERED in outcomes and retry_after_s is None:
        retry_after_s = 5.0
    return Published(outcomes, retry_after_s, busy=full is not None)


def not_published(published: Published) -> Problem:
    """Return the answer to a request of which not all is acknowledged: repeat it, nothing counts twice."""
    name = "busy" if published.busy else "not-delivered"
    detail = "repeat the request as it is: an event that did arrive is not written again"
    return Problem(name, detail, retry_after_s=published.retry_after_s, more=published.counts())
