"""What stands before every route: who asks is known, counted and written down, or nothing is answered.

One ASGI layer and not a dependency of each route, so that a route cannot be forgotten: only the two health
paths, spelled exactly so, are answered to nobody in particular.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.away import Away, Full
from connectors.callers import Access, Caller
from connectors.doors import Problem, Rates, problem_answer
from connectors.gateway import audit
from connectors.log_line import say

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
NO_REFUSALS = frozenset({"retracted", "cursor-expired", "no-view", "no-contract"})
"""Answers that refuse nothing: the caller may ask, and that is the answer."""
_CALLER = "postroom.caller"
_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}

Handler = Callable[[Request, Exception], Awaitable[Response]]


class Door:
    """Lets a request through with its caller, or answers it with a problem."""

    def __init__(self, app: ASGIApp, access: Access, rates: Rates) -> None:
        self._app = app
        self._access = access
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything that is not HTTP is closed without an answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        started = time.perf_counter()
        statuses: list[int] = []

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await self._through(scope, receive, observed)
        finally:
            route = route_of(scope)
            audit.REQUESTS.labels(route, _method(scope), str(statuses[0] if statuses else 499)).inc()
            if not audit.is_stream(route, scope["method"]):
                audit.SECONDS.labels(route).observe(time.perf_counter() - started)

    async def _through(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._access.caller(scope["headers"], scope.get("extensions") or {})
            scope[_CALLER] = caller
            self._rates.take(caller.client.id, caller.client.events_per_s)
        except Problem as problem:
            await answer(Request(scope), problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def caller_of(request: Request) -> Caller:
    """Return who asks; the door has seen to it."""
    found: Caller = request.scope[_CALLER]
    return found


def route_of(scope: MutableMapping[str, Any]) -> str:
    """Return the route as the code has it, never the path that was asked for."""
    found = scope.get("route")
    if found is None and "app" in scope:  # refused before any route was looked for
        matches = ((each, each.matches(scope)[0]) for each in scope["app"].routes)
        found = next((each for each, match in matches if match is not Match.NONE), None)
    return str(getattr(found, "path", "unknown"))


def answer(request: Request, problem: Problem) -> Response:
    """Return a problem as an answer, and leave the audit line."""
    status = problem.kind.status
    if status < 500 and problem.why not in NO_REFUSALS:
        caller: Caller | None = request.scope.get(_CALLER)
        audit.refused(
            client=None if caller is None else caller.client.id,
            route=route_of(request.scope),
            method=_method(request.scope),
            status=status,
            reason=problem.why,
            peer=request.client.host if request.client else "",
        )
    return problem_answer(problem)


def _method(scope: MutableMapping[str, Any]) -> str:
    method = scope["method"]
    return method if method in {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} else "other"


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a problem that a route raised."""
    assert isinstance(error, Problem)  # noqa: S101 - how the handler is registered
    if error.kind.status >= 500:  # no refusal, so no audit line: an operator must find it all the same
        say("unavailable", why=error.why, route=route_of(request.scope))
    return answer(request, error)


async def on_away(request: Request, error: Exception) -> Response:
    """Answer that something is not there now."""
    assert isinstance(error, Away)  # noqa: S101 - how the handler is registered
    name = "busy" if isinstance(error, Full) else "unavailable"
    say("unavailable", why=error.why, route=route_of(request.scope))
    detail = "ask the same again after as many seconds as `Retry-After` says"
    return answer(request, Problem(name, detail, retry_after_s=error.retry_after_s))


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: an unknown path, a method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - how the handler is registered
    name = _STATUS.get(error.status_code, "invalid-request")
    detail = {
        "not-found": "there is no such address; `GET /openapi.json` lists those that there are",
        "method-not-allowed": f"this address takes {(error.headers or {}).get('Allow', 'another method')}",
    }.get(name, "")
    return answer(request, Problem(name, detail, headers=error.headers))


async def on_invalid(request: Request, error: Exception) -> Response:
    """Answer parameters that are not what the document says; what they were is not repeated."""
    problems = [
        {"path": "$." + ".".join(map(str, each["loc"])), "problem": str(each["msg"])}
        for each in getattr(error, "errors", list)()
    ]
    return answer(request, Problem("invalid-request", problems=problems))


async def on_defect(request: Request, error: Exception) -> Response:
    """Answer a defect of ours, and say where it is without what it was about."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-3:]]
    say("defect", error=type(error).__name__, where=where, route=route_of(request.scope))
    return answer(request, Problem("defect"))
