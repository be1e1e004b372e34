"""JSON that comes in by one member, and goes out to be kept by nobody."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from connectors.doors.limits import SMALL_BYTES_MAX, read_body
from connectors.doors.problems import CONTENT_TYPE, Problem
from schemas import json_value


def json_answer(content: object, status: int = 200) -> Response:
    """Return an answer in JSON that nobody keeps."""
    headers = {"cache-control": "no-store"}
    return Response(_line(content), status, headers, media_type="application/json")


def problem_answer(problem: Problem) -> Response:
    """Return the answer that a problem is (RFC 9457)."""
    body, headers = _line(problem.body()), problem.headers()
    return Response(body, problem.kind.status, headers, media_type=CONTENT_TYPE)


def _line(content: object) -> bytes:
    """JSON that ends as a line does, because at a terminal the prompt comes behind it."""
    return msgspec.json.encode(content) + b"\n"


async def one_text(request: Request, name: str) -> str:
    """Return the one member of a small JSON object; Problem for anything else."""
    type_ = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type_ != "application/json":
        raise Problem("unsupported-media-type", "send application/json")
    declared = request.headers.get("content-length")
    body = await read_body(request.stream(), declared, SMALL_BYTES_MAX, "too-large")
    try:
        given: Any = json_value(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        given = None
    if not isinstance(given, dict) or given.keys() != {name} or not isinstance(given[name], str):
        problem = {"path": f"$.{name}", "problem": "expected a text, and nothing beside it"}
        raise Problem("invalid-request", problems=[problem])
    return str(given[name])
