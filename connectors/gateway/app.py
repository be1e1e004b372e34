"""The gateway's routes: publish and subscribe for whoever does not run a Kafka client (issue 6).

Each route reads its request, asks the caller's entitlement first, and hands over to a part that knows no
HTTP. What a route may not answer is raised as a Problem. Nothing answers anonymously but health.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import msgspec
from fastapi import FastAPI, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from connectors.gateway import audit, door
from connectors.gateway.access import Access
from connectors.gateway.acknowledging import Acknowledging
from connectors.gateway.clients import ACKNOWLEDGE, PUBLISH, SUBSCRIBE
from connectors.gateway.door import Door, caller_of
from connectors.gateway.events import BATCH, arrived, media_type
from connectors.gateway.judging import Judge, Judged, Refused
from connectors.gateway.limits import (
    BATCH_BYTES_MAX,
    SMALL_BYTES_MAX,
    STREAMS_MAX,
    Rates,
    read_body,
)
from connectors.gateway.openapi import ANSWERS, EVENTS_BODY, described, described_body, html_page
from connectors.gateway.ports import Away, LastWord, Registered
from connectors.gateway.problems import Problem
from connectors.gateway.publishing import Publishing, not_published
from connectors.gateway.subscribing import PAGE_MAX, Subscribing
from connectors.signals import readiness
from connectors.tracing import Tell, trace_in, untold
from schemas import EVENT_BYTES_MAX, Contracts, Rejection

WAIT_S_MAX = 30.0

# INVARIANT: the framework's own spans and logs would carry paths, which may hold keys, out of this process.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}

Agreement = Annotated[str, Path(description="the agreement's name")]
Cursor = Annotated[str | None, Query(max_length=8192, description="where to go on; none: the beginning")]


@dataclass
class Gateway:
    """Everything that the routes use; `waiting_for` names what is not there yet."""

    contracts: Contracts
    access: Access
    rates: Rates
    judge: Judge
    registered: Registered
    publishing: Publishing
    subscribing: Subscribing
    acknowledging: Acknowledging
    now_ms: Callable[[], int]
    waiting_for: Callable[[], list[str]]
    streams: dict[str, int] = field(default_factory=dict)
    tell: Tell = untold

    def renew(self, contracts: Contracts, last_word: LastWord) -> None:
        """Answer by other contracts from now on; what is under way ends as it began."""
        self.contracts = contracts
        self.judge.renew(contracts, last_word)


def create_app(gateway: Gateway) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=NO_TELEMETRY
    )
    app.add_middleware(Door, access=gateway.access, rates=gateway.rates)
    app.add_exception_handler(Problem, door.on_problem)
    app.add_exception_handler(Away, door.on_away)
    app.add_exception_handler(HTTPException, door.on_http)
    app.add_exception_handler(RequestValidationError, door.on_invalid)
    app.add_exception_handler(Exception, door.on_defect)
    _routes(app, gateway)
    return app


def routes_of(app: FastAPI) -> list[tuple[str, str, int]]:
    """Return each route with its methods and the status of an answer that is hoped for."""
    found = [route for route in app.routes if isinstance(route, APIRoute)]
    return [
        (route.path, method, route.status_code or 200)
        for route in found
        for method in sorted(route.methods or ())
    ]


def document() -> dict[str, Any]:
    """Return the OpenAPI document, without a gateway."""
    app = FastAPI(openapi_url=None)
    _routes(app, cast("Gateway", None))  # no route is called
    return described(app)


def _routes(app: FastAPI, gateway: Gateway) -> None:
    _publish_routes(app, gateway)
    _view_routes(app, gateway)
    _obligation_routes(app, gateway)
    _own_routes(app, gateway)


def _publish_routes(app: FastAPI, gateway: Gateway) -> None:
    @app.post(
        "/events",
        status_code=202,
        tags=["publish"],
        summary="Publish one event, or a batch",
        responses=ANSWERS["publish"],
        openapi_extra=EVENTS_BODY,
    )
    async def publish(request: Request) -> Response:
        """Answered with 202 once every replica in sync has every event; the same (source, id) again is
        answered without being written again. Of a batch all events are judged first: one that is refused,
        and none is written.
        """
        caller = caller_of(request)
        caller.must(PUBLISH)
        headers = request.scope["headers"]
        type_ = media_type(headers)
        bytes_max, name = (
            (BATCH_BYTES_MAX, "too-large") if type_ == BATCH else (EVENT_BYTES_MAX, Rejection.OVERSIZED)
        )
        body = await read_body(request.stream(), request.headers.get("content-length"), bytes_max, name)
        lines, batch = await arrived(type_, headers, body, gateway.contracts, gateway.registered.writer)
        gateway.rates.spend(caller.client.id, len(lines) - 1)
        now_ms = gateway.now_ms()
        verdicts = [gateway.judge.judge(line, caller.client, headers, now_ms) for line in lines]
        events = [verdict for verdict in verdicts if isinstance(verdict, Judged)]
        if len(events) < len(verdicts):
            raise _refused(verdicts, batch)
        published = await gateway.publishing.publish(events)
        _tell_spans(gateway, events, published.outcomes, now_ms)
        for outcome in set(published.outcomes):
            audit.EVENTS.labels(outcome).inc(published.outcomes.count(outcome))
        if not published.whole:
            raise not_published(published)
        return _json(published.counts(), 202)


def _tell_spans(gateway: Gateway, events: list[Judged], outcomes: list[str], began_ms: int) -> None:
    """Tell what became of each event that carries a trace."""
    if gateway.tell is untold:
        return
    ended_ms = gateway.now_ms()
    for event, outcome in zip(events, outcomes, strict=True):
        labels = {"postroom.outcome": outcome, "postroom.of": event.contract.type}
        gateway.tell("gateway publish", trace_in(event.headers), began_ms, ended_ms, labels)


def _refused(verdicts: list[Judged | Refused], batch: bool) -> Problem:
    """The answer to a request of which some events are refused: the first one's reason, all problems."""
    problems: list[dict[str, str]] = []
    first: Refused | None = None
    for index, verdict in enumerate(verdicts):
        if isinstance(verdict, Judged):
            continue
        first = first or verdict
        audit.EVENTS.labels(verdict.reason).inc()
        place = f"$[{index}]" if batch else "$"
        found = verdict.problems or [
            ("$", verdict.detail or f"expected an event that is not {verdict.reason}")
        ]
        problems += [
            {"path": place + path[1:], "problem": problem, "reason": verdict.reason.value}
            for path, problem in found
        ]
    assert first is not None  # noqa: S101 - the caller counted
    return Problem(
        first.reason, "nothing of the batch was written" if batch else first.detail, problems=problems
    )


def _view_routes(app: FastAPI, gateway: Gateway) -> None:
    @app.get(
        "/views/{agreement}/changes",
        tags=["subscribe"],
        summary="A page of changes",
        responses=ANSWERS["changes"],
    )
    async def changes(
        request: Request,
        agreement: Agreement,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
        wait: Annotated[float, Query(ge=0, le=WAIT_S_MAX, allow_inf_nan=False, description="seconds")] = 0,
    ) -> Response:
        """Views and retractions in order for each key, from the cursor on; any server can resume one.
        `wait` holds the answer until there is a change.
        """
        caller = caller_of(request)
        caller.must(SUBSCRIBE)
        subscriber = caller.may_read(agreement)
        start = gateway.subscribing.start(cursor, subscriber, agreement)
        return _json(await gateway.subscribing.page(start, subscriber, agreement, limit, wait))

    @app.get(
        "/views/{agreement}/events",
        tags=["subscribe"],
        summary="Changes as Server-Sent Events",
        responses=ANSWERS["stream"],
    )
    async def stream(
        request: Request,
        agreement: Agreement,
        cursor: Cursor = None,
        last_event_id: Annotated[str | None, Header(max_length=8192)] = None,
    ) -> Response:
        """A stream that goes on until the client leaves or its token ends; each event's id is the cursor
        behind it, and `Last-Event-ID` goes on from there.
        """
        caller = caller_of(request)
        caller.must(SUBSCRIBE)
        subscriber = caller.may_read(agreement)
        if gateway.streams.get(caller.client.id, 0) >= STREAMS_MAX:
            raise Problem("too-many-requests", f"at most {STREAMS_MAX} streams at once", retry_after_s=30)
        start = gateway.subscribing.start(last_event_id or cursor, subscriber, agreement)
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
        return await _view(request, gateway, agreement, key)

    @app.post(
        "/views/{agreement}/lookup",
        tags=["subscribe"],
        summary="The view of one key, named in the body",
        responses=ANSWERS["view"],
        openapi_extra=described_body({"key": {"type": "string"}}),
    )
    async def lookup(request: Request, agreement: Agreement) -> Response:
        """As the view of one key, the key being in the body: `{"key": KEY}`."""
        caller = caller_of(request)
        caller.must(SUBSCRIBE)
        caller.may_read(agreement)
        return await _view(request, gateway, agreement, await _one_text(request, "key"))


async def _view(request: Request, gateway: Gateway, agreement: str, key: str) -> Response:
    caller = caller_of(request)
    caller.must(SUBSCRIBE)
    caller.may_read(agreement)
    return _json(await gateway.subscribing.latest(agreement, key))


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


def _obligation_routes(app: FastAPI, gateway: Gateway) -> None:
    @app.get(
        "/obligations",
        tags=["acknowledge"],
        summary="What the subscriber owes to delete",
        responses=ANSWERS["obligations"],
    )
    async def obligations(request: Request, overdue: bool = False) -> Response:
        """The subscriber's own, open or overdue, the earliest deadline first."""
        caller = caller_of(request)
        caller.must(ACKNOWLEDGE)
        return _json(await gateway.acknowledging.owed(caller.client, overdue_only=overdue))

    @app.post(
        "/acknowledgements",
        status_code=202,
        tags=["acknowledge"],
        summary="Say that an obligation is fulfilled",
        responses=ANSWERS["acknowledge"],
        openapi_extra=described_body({"obligation": {"type": "string", "pattern": "^o-[0-9a-f]{32}$"}}),
    )
    async def acknowledge(request: Request) -> Response:
        """`{"obligation": ID}`; answered once the broker has it. Saying it again changes nothing."""
        caller = caller_of(request)
        caller.must(ACKNOWLEDGE)
        obligation = await _one_text(request, "obligation")
        return _json(await gateway.acknowledging.acknowledge(caller.client, obligation), 202)


def _own_routes(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/contracts", tags=["contracts"], summary="Every contract", responses=ANSWERS["contracts"])
    async def contracts(request: Request) -> Response:
        """The types that can be published, and by whom."""
        found = gateway.contracts.by_type.values()
        return _json(
            {"contracts": [{"type": c.type, "owners": sorted(c.owners), "doc": c.doc} for c in found]}
        )

    @app.get("/contracts/{type}", tags=["contracts"], summary="One contract", responses=ANSWERS["contract"])
    async def contract(request: Request, type: str) -> Response:  # noqa: A002 - the attribute's name
        """Its Avro schema with its meaning (E4), and the registry's id of it for Avro bodies."""
        found = gateway.contracts.by_type.get(type)
        if found is None:
            raise Problem("not-found", "no such contract", why="no-contract")
        schema_id = await gateway.registered.schema_id(found)
        return _json({"type": found.type, "schema_id": schema_id, "schema": found.schema})

    @app.get("/openapi.json", tags=["gateway"], summary="This document", responses=ANSWERS["document"])
    async def openapi(request: Request) -> Response:
        """The document itself is public knowledge (`postroom gateway openapi` prints it); the gateway still
        answers nobody whom it does not know.
        """
        return _json(described(app))

    @app.get("/docs", tags=["gateway"], summary="This document as a page", response_class=HTMLResponse)
    async def docs(request: Request) -> Response:
        """One page without scripts."""
        return HTMLResponse(html_page(described(app)))

    @app.get("/health/live", tags=["health"], summary="The process runs", responses=ANSWERS["live"])
    async def live() -> Response:
        return _json({"status": "live"})

    @app.get("/health/ready", tags=["health"], summary="It can do its work", responses=ANSWERS["ready"])
    async def ready() -> Response:
        status, body = readiness(gateway.waiting_for())
        return _json(body, status)


async def _one_text(request: Request, name: str) -> str:
    """The one member of a small JSON object; Problem for anything else."""
    type_ = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type_ != "application/json":
        raise Problem("unsupported-media-type", "send application/json")
    declared = request.headers.get("content-length")
    body = await read_body(request.stream(), declared, SMALL_BYTES_MAX, "too-large")
    try:
        given: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        given = None
    if not isinstance(given, dict) or given.keys() != {name} or not isinstance(given[name], str):
        problem = {"path": f"$.{name}", "problem": "expected a text, and nothing beside it"}
        raise Problem("invalid-request", problems=[problem])
    return str(given[name])


def _json(content: Any, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")
