"""The routes by which a subscriber reads its views: pages of changes, a stream of them, one key (V1, V2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from connectors.away import Away
from connectors.callers import SUBSCRIBE, Caller
from connectors.doors import STREAMS_MAX, Problem, json_answer, one_text
from connectors.gateway import audit
from connectors.gateway.door import caller_of
from connectors.gateway.gateway import Gateway
from connectors.gateway.openapi import ANSWERS, described_body
from connectors.gateway.subscribing import PAGE_MAX

WAIT_S_MAX = 30.0

Agreement = Annotated[str, Path(description="the agreement's name")]
Cursor = Annotated[str | None, Query(max_length=8192, description="where to go on; none: the beginning")]
LastEventId = Annotated[str | None, Header(max_length=8192)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Wait = Annotated[float, Query(ge=0, le=WAIT_S_MAX, allow_inf_nan=False, description="seconds")]


def change_routes(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes of a view's changes in their order."""

    @app.get(
        "/views/{agreement}/changes",
        tags=["subscribe"],
        summary="A page of changes",
        responses=ANSWERS["changes"],
    )
    async def changes(
        request: Request, agreement: Agreement, cursor: Cursor = None, limit: Limit = 100, wait: Wait = 0
    ) -> Response:
        """Views and retractions in order for each key, from the cursor on; any server can resume one.
        `wait` holds the answer until there is a change.
        """
        _, subscriber = _reader(request, agreement)
        start = gateway.subscribing.start(cursor, subscriber, agreement)
        return json_answer(await gateway.subscribing.page(start, subscriber, agreement, limit, wait))

    @app.get(
        "/views/{agreement}/events",
        tags=["subscribe"],
        summary="Changes as Server-Sent Events",
        responses=ANSWERS["stream"],
    )
    async def stream(
        request: Request, agreement: Agreement, cursor: Cursor = None, last_event_id: LastEventId = None
    ) -> Response:
        """A stream that goes on until the client leaves or its token ends; each event's id is the cursor
        behind it, and `Last-Event-ID` goes on from there.
        """
        caller, subscriber = _reader(request, agreement)
        return await _streamed(gateway, caller, subscriber, agreement, last_event_id or cursor)


def key_routes(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes of one key's view."""

    @app.get(
        "/views/{agreement}/{key}",
        tags=["subscribe"],
        summary="The view of one key",
        responses=ANSWERS["view"],
    )
    async def view(request: Request, agreement: Agreement, key: str) -> Response:
        """The current view, as fresh as the topic is at the time of the question; 410 when it was retracted.
        A key that is an identifier is better asked for by POST: addresses are written into logs.
        """
        _reader(request, agreement)
        return json_answer(await gateway.subscribing.latest(agreement, key))

    @app.post(
        "/views/{agreement}/lookup",
        tags=["subscribe"],
        summary="The view of one key, named in the body",
        responses=ANSWERS["view"],
        openapi_extra=described_body({"key": {"type": "string"}}),
    )
    async def lookup(request: Request, agreement: Agreement) -> Response:
        """As the view of one key, the key being in the body: `{"key": KEY}`."""
        _reader(request, agreement)
        return json_answer(await gateway.subscribing.latest(agreement, await one_text(request, "key")))


def _reader(request: Request, agreement: str) -> tuple[Caller, str]:
    """Who asks, and as which subscriber it may read the agreement's view; Problem.

    INVARIANT: before anything else of the request is looked at.
    """
    caller = caller_of(request)
    caller.must(SUBSCRIBE)
    return caller, caller.may_read(agreement)


async def _streamed(
    gateway: Gateway, caller: Caller, subscriber: str, agreement: str, cursor: str | None
) -> Response:
    if gateway.streams.get(caller.client.id, 0) >= STREAMS_MAX:
        raise Problem("too-many-requests", f"at most {STREAMS_MAX} streams at once", retry_after_s=30)
    start = gateway.subscribing.start(cursor, subscriber, agreement)
    expires_s = caller.expires_s

    def left_s() -> float:
        if not gateway.access.may_still_read(caller.client.id, agreement):
            return 0.0
        return float("inf") if expires_s is None else expires_s - gateway.now_ms() / 1000

    events = gateway.subscribing.stream(start, subscriber, agreement, left_s)
    first = await anext(events, b"")  # what is wrong is answered before the stream begins
    counted = _counted(gateway, caller.client.id, first, events)
    audit.STREAMS.labels(agreement).inc()
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(counted, headers=headers, media_type="text/event-stream")


async def _counted(
    gateway: Gateway, client: str, first: bytes, events: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The stream, counted as one of the client's while it lasts."""
    gateway.streams[client] = gateway.streams.get(client, 0) + 1
    try:
        yield b"retry: 2000\n\n" + first
        async for event in events:
            yield event
    except (Away, Problem):
        return  # the reader connects again and goes on from the last id that it has
    finally:
        gateway.streams[client] -= 1
