"""The route by which events come in: judged all, then written all (E3, E7)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from connectors.callers import PUBLISH, Client
from connectors.doors import BATCH_BYTES_MAX, Hold, Problem, json_answer, read_body
from connectors.gateway import audit
from connectors.gateway.door import caller_of
from connectors.gateway.events import BATCH, arrived, media_type
from connectors.gateway.gateway import Gateway
from connectors.gateway.openapi import ANSWERS, EVENTS_BODY
from connectors.publishing import Judged, Refused, not_published
from connectors.tracing import trace_in, untold
from schemas import EVENT_BYTES_MAX, Rejection

WARNINGS_MAX = 100


def publish_routes(app: FastAPI, gateway: Gateway) -> None:
    """Add the route of events."""

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
        with gateway.bodies.of(caller.client.id) as hold:
            return await _published(request, gateway, caller.client, hold)


async def _published(request: Request, gateway: Gateway, client: Client, hold: Hold) -> Response:
    """Judge and write what a client may publish, its body counted while it is here."""
    headers = request.scope["headers"]
    type_ = media_type(headers)
    bytes_max, name = (
        (BATCH_BYTES_MAX, "too-large") if type_ == BATCH else (EVENT_BYTES_MAX, Rejection.OVERSIZED)
    )
    declared = request.headers.get("content-length")
    body = await read_body(request.stream(), declared, bytes_max, name, hold)
    lines, batch = await arrived(type_, headers, body, gateway.contracts, gateway.registered.writer)
    gateway.rates.spend(client.id, len(lines) - 1)
    now_ms = gateway.now_ms()
    verdicts = [gateway.judge.judge(line, client, headers, now_ms) for line in lines]
    events = [verdict for verdict in verdicts if isinstance(verdict, Judged)]
    if len(events) < len(verdicts):
        raise refused(verdicts, batch)
    published = await gateway.publishing.publish(events)
    _tell_spans(gateway, events, published.outcomes, now_ms)
    for outcome in set(published.outcomes):
        audit.EVENTS.labels(outcome).inc(published.outcomes.count(outcome))
    if not published.whole:
        raise not_published(published)
    return json_answer(published.counts() | warned(events, batch), 202)


def warned(events: list[Judged], batch: bool) -> dict[str, Any]:
    """What is odd in events that were taken all the same, at most so many; nothing where nothing is."""
    found = [
        {"path": f"$[{index}]{path[1:]}" if batch else path, "problem": problem}
        for index, event in enumerate(events)
        for path, problem in event.warnings
    ]
    return {"warnings": found[:WARNINGS_MAX]} if found else {}


def _tell_spans(gateway: Gateway, events: list[Judged], outcomes: list[str], began_ms: int) -> None:
    """Tell what became of each event that carries a trace."""
    if gateway.tell is untold:
        return
    ended_ms = gateway.now_ms()
    for event, outcome in zip(events, outcomes, strict=True):
        labels = {"postroom.outcome": outcome, "postroom.of": event.contract.type}
        gateway.tell("gateway publish", trace_in(event.headers), began_ms, ended_ms, labels)


def refused(verdicts: list[Judged | Refused], batch: bool) -> Problem:
    """Return the answer when some of the events are refused: the first one's reason, all their problems."""
    problems: list[dict[str, str]] = []
    first: Refused | None = None
    for index, verdict in enumerate(verdicts):
        if isinstance(verdict, Judged):
            continue
        first = first or verdict
        audit.EVENTS.labels(verdict.reason).inc()
        place = f"$[{index}]" if batch else "$"
        problems += [
            {"path": place + path[1:], "problem": problem, "reason": reason.value}
            for path, problem, reason in verdict.problems
        ]
    assert first is not None  # noqa: S101 - the caller counted
    said = ("nothing of the batch was written" if batch else "", first.mend)
    return Problem(first.reason, "; ".join(filter(None, said)), problems=problems)
