"""One endpoint's courier: lets its readers read, asks for permission, sends, and waits, life after life.

A life ends when an operator releases the endpoint or a topic must be read again. The next begins from the
journal, as a restart does: there is one way to begin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from connectors.log_line import say
from connectors.tracing import Tell, trace_in, untold
from connectors.webhook import metrics
from connectors.webhook.answers import Outcome
from connectors.webhook.desk import LOOK_S, Desk
from connectors.webhook.endpoints import Endpoint
from connectors.webhook.envelope import CONTENT_TYPE, body_of, message_id
from connectors.webhook.handshake import ORIGIN, Granted, Withheld, ask
from connectors.webhook.line import Line
from connectors.webhook.outbox import Parcel
from connectors.webhook.reader import StartOver
from connectors.webhook.signatures import signed_headers

AGENT = "postroom-webhook/1"


class Courier:
    """Delivers to one endpoint until it is cancelled; `secret` keys the ids of messages."""

    def __init__(
        self, endpoint: Endpoint, line: Line, secret: bytes, desk: Callable[[], Desk], tell: Tell = untold
    ) -> None:
        self.endpoint, self._line, self._secret, self._new_desk = endpoint, line, secret, desk
        self._tell = tell
        self._desk: Desk | None = None

    def waiting_for(self) -> list[str]:
        """Name what it waits for before it can deliver."""
        desk = self._desk
        return [f"{self.endpoint.name}: its beginning"] if desk is None else desk.waiting_for()

    async def run(self) -> None:
        """Deliver, life after life."""
        try:
            while True:
                try:
                    await self._life()
                except* StartOver as over:
                    why = str(over.exceptions[0])
                    say("webhook-starts-over", endpoint=self.endpoint.name, why=why)
        finally:
            await self._line.close()

    async def _life(self) -> None:
        self._desk = desk = self._new_desk()
        wake = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for reader in desk.readers:
                group.create_task(reader.run(wake))
            group.create_task(self._look(desk, wake))
            while True:
                await self._dispatch(desk, wake, group)
                wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(desk.idle_s()):
                        await wake.wait()

    async def _look(self, desk: Desk, wake: asyncio.Event) -> None:
        while True:
            if desk.look():
                wake.set()
            await asyncio.sleep(LOOK_S)

    async def _dispatch(self, desk: Desk, wake: asyncio.Event, group: asyncio.TaskGroup) -> None:
        """Send what may be sent now."""
        while desk.may_send and desk.outbox.records:
            if desk.must_ask:
                if desk.outbox.in_flight:
                    return  # they come to their end under the permission that they began with
                await self._ask(desk)
                continue
            parcel = desk.next()
            if parcel is None:
                return
            group.create_task(self._deliver(desk, wake, parcel))

    async def _deliver(self, desk: Desk, wake: asyncio.Event, parcel: Parcel) -> None:
        """Make one attempt and tell the desk what came of it."""
        body, name = body_of(parcel.change), self.endpoint.name
        message = message_id(parcel.change, self._secret)
        signed = signed_headers(message, int(time.time()), body, self.endpoint.keys)
        started_s = time.monotonic()
        headers = [("content-type", CONTENT_TYPE), *_always(self.endpoint), *signed]
        answer = await self._line.ask("POST", headers, body)
        metrics.DELIVERIES.labels(name, answer.outcome.value).inc()
        metrics.ANSWER_SECONDS.labels(name).observe(time.monotonic() - started_s)
        self._tell_span(parcel, answer.outcome, time.monotonic() - started_s)
        if answer.outcome is Outcome.DELIVERED:
            desk.delivered(parcel)
        else:
            desk.failed(parcel, answer)
        wake.set()

    def _tell_span(self, parcel: Parcel, outcome: Outcome, took_s: float) -> None:
        """Tell an attempt to deliver what carries a trace."""
        if self._tell is untold:
            return
        ended_ms = time.time_ns() // 1_000_000
        labels = {"postroom.outcome": outcome.value, "postroom.endpoint": self.endpoint.name}
        labels["postroom.of"] = parcel.place[0]
        began_ms = ended_ms - round(took_s * 1000)
        self._tell("webhook deliver", trace_in(parcel.change.headers), began_ms, ended_ms, labels)

    async def _ask(self, desk: Desk) -> None:
        found = await permission(self.endpoint, self._line)
        if isinstance(found, Granted):
            desk.granted(found)
        else:
            metrics.DELIVERIES.labels(self.endpoint.name, "not-permitted").inc()
            desk.withheld(found)


async def permission(endpoint: Endpoint, line: Line) -> Granted | Withheld:
    """Ask a receiver whether it wants to be sent to."""
    return await ask(line, endpoint.requests_per_minute, _always(endpoint))


def _always(endpoint: Endpoint) -> list[tuple[str, str]]:
    """The headers of every request."""
    bearer = [("authorization", f"Bearer {endpoint.bearer}")] if endpoint.bearer else []
    return [(ORIGIN, endpoint.origin), ("user-agent", AGENT), *bearer]
