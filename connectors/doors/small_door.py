"""An HTTP door of a few routes: problems as answers, health, and nothing of a request in any log.

The gateway has its own, which knows clients and an OpenAPI document; this one is for doors that one outside
service or a few known callers come to. What a route may not answer it raises as a Problem.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.away import Away
from connectors.doors.bodies import json_answer, problem_answer
from connectors.doors.problems import Problem
from connectors.log_line import say
from connectors.signals import readiness

Handler = Callable[[Request], Awaitable[Response]]
Refused = Callable[[Request, Problem], None]
"""Is told of every problem before it is answered, to count it and to leave a line."""

_NAMES = {404: "not-found", 405: "method-not-allowed"}


UNKNOWN = "unknown"
"""What a service that there is not is called in metrics and logs."""


def service_of(request: Request, knows: Callable[[str], bool]) -> str:
    """The service that a path means, as far as it is one: what a caller typed is written nowhere."""
    name = str(request.path_params.get("service", ""))
    return name if knows(name) else UNKNOWN


def door_app(
    routes: Sequence[tuple[str, Handler]], waiting_for: Callable[[], list[str]], refused: Refused
) -> Starlette:
    """Return an application that takes POST on the routes and answers the two health paths to anybody."""

    async def live(_: Request) -> Response:
        return json_answer({"status": "live"})

    async def ready(_: Request) -> Response:
        status, body = readiness(waiting_for())
        return json_answer(body, status)

    async def on_problem(request: Request, error: Exception) -> Response:
        problem = _problem_of(error)
        refused(request, problem)
        return problem_answer(problem)

    async def on_defect(request: Request, error: Exception) -> Response:
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-3:]]
        say("defect", error=type(error).__name__, where=where)
        return await on_problem(request, Problem("defect"))

    return Starlette(
        routes=[
            *(Route(path, handler, methods=["POST"]) for path, handler in routes),
            Route("/health/live", live),
            Route("/health/ready", ready),
        ],
        exception_handlers={
            Problem: on_problem,
            Away: on_problem,
            HTTPException: on_problem,
            Exception: on_defect,
        },
    )


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, Away):
        return Problem("unavailable", retry_after_s=error.retry_after_s, why="unavailable")
    assert isinstance(error, HTTPException)  # noqa: S101 - how the handlers are registered
    return Problem(_NAMES.get(error.status_code, "invalid-request"), headers=error.headers)
