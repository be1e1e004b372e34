"""The OpenAPI document: what the routes cannot say of themselves, and a page of it without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from connectors.doors import CONTENT_TYPE, KINDS
from connectors.gateway.events import AVRO, BATCH, JSON, STRUCTURED

Schema = dict[str, Any]
Answers = dict[int | str, dict[str, Any]]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_OPEN: Schema = {"type": "object"}


def _object(properties: Mapping[str, Schema], required: Iterable[str] | None = None) -> Schema:
    names = list(properties if required is None else required)
    return {"type": "object", "properties": dict(properties), "required": names}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: Mapping[str, Schema] = {
    "Problem": _object(
        {
            "type": {"type": "string", "pattern": "^urn:postroom:problem:"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "problems": _list(
                _object({"path": _TEXT, "problem": _TEXT, "reason": _TEXT}, ("path", "problem"))
            ),
        },
        ("type", "title", "status"),
    ),
    "CloudEvent": _object(
        {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "pattern": r"^urn:gov:[a-z][a-z0-9-]{1,30}:[A-Za-z0-9._-]{1,64}$"},
            "type": {
                "type": "string",
                "pattern": r"^uk\.gov\.[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*\.v[1-9][0-9]*$",
            },
            "time": {"type": "string", "format": "date-time"},
            "data": {"type": "object", "description": "plain JSON of the contract (GET /contracts/{type})"},
        }
    ),
    "Published": _object(
        {
            "written": _WHOLE,
            "known": {**_WHOLE, "description": "were here already, and are not written again"},
            "warnings": {
                **_list(_object({"path": _TEXT, "problem": _TEXT})),
                "description": "taken, and odd: a name that no agreement knows, an end before the beginning",
            },
        },
        ("written", "known"),
    ),
    "Change": _object(
        {
            "key": _TEXT,
            "value": {"type": ["object", "null"], "description": "the view; null is a retraction"},
            "type": _TEXT,
            "sequence": _WHOLE,
            "agreement": _TEXT,
            "time": _TEXT,
            "published": _TEXT,
            "reason": {"enum": ["ended", "corrected"]},
            "supersedes": _list(_TEXT),
            "age_ms": _WHOLE,
        },
        ("key", "value", "sequence", "published"),
    ),
    "Changes": _object({"changes": _list(_ref("Change")), "cursor": _TEXT, "at_end": {"type": "boolean"}}),
    "Obligations": _object(
        {
            "obligations": _list(
                _object(
                    {
                        "obligation": _TEXT,
                        "state": {"enum": ["open", "overdue"]},
                        "agreement": _TEXT,
                        "key": _TEXT,
                        "fields": _list(_TEXT),
                        "since": _TEXT,
                        "deadline": _TEXT,
                    }
                )
            )
        }
    ),
    "Acknowledged": _object({"obligation": _TEXT, "written": {"type": "boolean"}}),
}


def _answers(
    description: str, schema: Schema, *problems: int, status: int = 200, media: str = JSON
) -> Answers:
    answers: Answers = {status: {"description": description, "content": {media: {"schema": schema}}}}
    for code in sorted({401, 403, 429, 503, *problems}):
        titles = " ".join(kind.title for kind in KINDS.values() if kind.status == code)
        answers[code] = {"description": titles, "content": {CONTENT_TYPE: {"schema": _ref("Problem")}}}
        if code in (429, 503):
            answers[code]["headers"] = {"Retry-After": {"schema": _WHOLE, "description": "seconds"}}
    answers["default"] = {"description": "A problem.", "content": {CONTENT_TYPE: {"schema": _ref("Problem")}}}
    return answers


ANSWERS: Mapping[str, Answers] = {
    "publish": _answers(
        "Acknowledged by the broker.", _ref("Published"), 400, 408, 409, 413, 415, 422, status=202
    ),
    "changes": _answers("Changes, oldest first for each key.", _ref("Changes"), 400, 404, 410),
    "stream": _answers(
        "view-updated, view-retracted and at-end events.", _TEXT, 400, 404, 410, media="text/event-stream"
    ),
    "view": _answers("The view.", _ref("Change"), 400, 404, 408, 410, 413, 415),
    "obligations": _answers("What is owed.", _ref("Obligations"), 400),
    "acknowledge": _answers(
        "Acknowledged by the broker.", _ref("Acknowledged"), 400, 404, 408, 413, 415, status=202
    ),
    "contracts": _answers("Every contract.", _OPEN),
    "contract": _answers("The contract.", _OPEN, 404),
    "document": _answers("The document.", _OPEN),
    "live": {200: {"description": "It runs."}},
    "ready": {200: {"description": "It is ready."}, 503: {"description": "It waits for what is named."}},
}

EVENTS_BODY: Schema = {
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": _ref("CloudEvent")},
            BATCH: {"schema": {"type": "array", "items": _ref("CloudEvent"), "minItems": 1, "maxItems": 500}},
            JSON: {
                "schema": {"type": "object", "description": "binary mode: the data; the rest in ce- headers"}
            },
            AVRO: {"schema": {"type": "string", "format": "binary", "description": "Confluent wire format"}},
        },
    },
    "parameters": [
        {
            "name": f"ce-{name}",
            "in": "header",
            "required": False,
            "description": "binary mode only, percent-encoded",
            "schema": {"type": "string"},
        }
        for name in ("specversion", "id", "source", "type", "time")
    ],
}


def described_body(properties: Mapping[str, Schema]) -> Schema:
    """Return a small JSON object as a request body that a route reads itself."""
    schema = _object(properties) | {"additionalProperties": False}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def described(app: FastAPI) -> dict[str, Any]:
    """Return the document of the application, with schemas and the ways to say who asks."""
    document = get_openapi(
        title="Postroom gateway",
        version="1",
        summary="Publish events and subscribe to views over HTTP.",
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **SCHEMAS}
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "OAuth 2.0 client credentials; scopes publish, subscribe, acknowledge",
        },
        "certificate": {"type": "mutualTLS"},
    }
    document["security"] = [{"token": []}, {"certificate": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["operationId"] = operation["operationId"].replace("__", "_").strip("_")
            if path.startswith("/health/"):
                operation["security"] = []
    return document


def html_page(document: Mapping[str, Any]) -> str:
    """Return the document as one page: no script, nothing fetched from elsewhere."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{escape(document['info']['title'])}</title>",
        "<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
        "code{font:14px monospace}td,th{text-align:left;padding:.2em 1em .2em 0;vertical-align:top}</style>",
        f"<h1>{escape(document['info']['title'])}</h1><p>{escape(document['info']['summary'])}</p>",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(
                f"<p><b>{escape(operation['summary'])}.</b> {escape(operation.get('description', ''))}</p>"
            )
            parts.append(_rows("Parameter", _parameters(operation)))
            parts.append(_rows("Body", _bodies(operation)))
            parts.append(_rows("Answer", _said(operation)))
    return "".join([*parts, "</html>"])


def _rows(title: str, rows: Iterable[tuple[str, str]]) -> str:
    found = [f"<tr><td><code>{escape(name)}</code><td>{escape(text)}" for name, text in rows]
    return f"<table><tr><th>{title}<th>{''.join(found)}</table>" if found else ""


def _parameters(operation: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for each in operation.get("parameters", ()):
        yield each["name"], f"{each['in']}: {each.get('description', '')}"


def _bodies(operation: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        yield media, str(body["schema"].get("$ref", body["schema"].get("description", "")))


def _said(operation: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for status, answered in operation["responses"].items():
        yield str(status), str(answered["description"])
