"""The gateway's routes: publish and subscribe for whoever does not run a Kafka client.

Each route reads its request, asks the caller's entitlement first, and hands over to a part that knows no
HTTP. What a route may not answer is raised as a Problem. Nothing answers anonymously but health.
"""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from connectors.away import Away
from connectors.callers import ACKNOWLEDGE
from connectors.doors import Problem, json_answer, one_text
from connectors.gateway import door
from connectors.gateway.door import Door, caller_of
from connectors.gateway.gateway import Gateway
from connectors.gateway.openapi import ANSWERS, described, described_body, html_page
from connectors.gateway.publish_routes import publish_routes
from connectors.gateway.view_routes import change_routes, key_routes
from connectors.signals import readiness

# INVARIANT: the framework's own spans and logs would carry paths, which may hold keys, out of this process.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


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
    publish_routes(app, gateway)
    change_routes(app, gateway)
    key_routes(app, gateway)
    _obligation_routes(app, gateway)
    _own_routes(app, gateway)


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
        return json_answer(await gateway.acknowledging.owed(caller.client, overdue_only=overdue))

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
        obligation = await one_text(request, "obligation")
        return json_answer(await gateway.acknowledging.acknowledge(caller.client, obligation), 202)


def _own_routes(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/contracts", tags=["contracts"], summary="Every contract", responses=ANSWERS["contracts"])
    async def contracts(request: Request) -> Response:
        """The types that can be published, and by whom."""
        found = gateway.contracts.by_type.values()
        return json_answer(
            {"contracts": [{"type": c.type, "owners": sorted(c.owners), "doc": c.doc} for c in found]}
        )

    @app.get("/contracts/{type}", tags=["contracts"], summary="One contract", responses=ANSWERS["contract"])
    async def contract(request: Request, type: str) -> Response:  # noqa: A002 - the attribute's name
        """Its Avro schema with its meaning (E4), and the registry's id of it for Avro bodies."""
        found = gateway.contracts.by_type.get(type)
        if found is None:
            raise Problem("not-found", "no such contract", why="no-contract")
        schema_id = await gateway.registered.schema_id(found)
        return json_answer({"type": found.type, "schema_id": schema_id, "schema": found.schema})

    @app.get("/openapi.json", tags=["gateway"], summary="This document", responses=ANSWERS["document"])
    async def openapi(request: Request) -> Response:
        """The document itself is public knowledge (`postroom gateway openapi` prints it); the gateway still
        answers nobody whom it does not know.
        """
        return json_answer(described(app))

    @app.get("/docs", tags=["gateway"], summary="This document as a page", response_class=HTMLResponse)
    async def docs(request: Request) -> Response:
        """One page without scripts."""
        return HTMLResponse(html_page(described(app)))

    @app.get("/health/live", tags=["health"], summary="The process runs", responses=ANSWERS["live"])
    async def live() -> Response:
        return json_answer({"status": "live"})

    @app.get("/health/ready", tags=["health"], summary="It can do its work", responses=ANSWERS["ready"])
    async def ready() -> Response:
        status, body = readiness(gateway.waiting_for())
        return json_answer(body, status)
