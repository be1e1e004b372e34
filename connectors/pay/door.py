"""Where GOV.UK Pay sends its webhook messages: one path for each service, 2xx once the broker has the event.

GOV.UK Pay takes anything but a 2xx, and no answer in time, for not received, and sends the same message again
(docs.payments.service.gov.uk/webhooks, "Retry mechanism"). So a message that cannot become an event is not
answered as if it were taken: it stays in the service's list of events at GOV.UK Pay until somebody has mended
what is wrong, and no payment is lost in silence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from connectors.doors import UNKNOWN, Problem, RawHeaders, door_app, header, read_body, service_of
from connectors.log_line import say
from connectors.pay import metrics
from connectors.pay.messages import NotUnderstood, understand
from connectors.pay.services import Service
from connectors.pay.signature import SIGNATURE_HEADER, is_signed
from connectors.publishing import KNOWN, NOT_DELIVERED, WRITTEN, LastWord, Publishing, Submitting
from schemas import Contracts, Rejection

PATH = "/pay/{service}"
BYTES_MAX = 65_536
"""A message has a payment and at most fifteen short texts of metadata: a few KiB."""
TAKEN = 204

OUTCOMES = tuple(
    dict.fromkeys(
        (
            *(WRITTEN, KNOWN, NOT_DELIVERED, "busy", "unavailable"),
            *("bad-signature", "too-large", "too-slow", "method-not-allowed", "different-content", "defect"),
            *(*NotUnderstood, *Rejection),
        )
    )
)
"""What becomes of a message: the first two are taken, the next three come again by themselves."""

_PROBLEMS: Mapping[NotUnderstood, str] = {
    NotUnderstood.MALFORMED: Rejection.UNDECODABLE,
    NotUnderstood.UNKNOWN_EVENT: Rejection.UNKNOWN_TYPE,
    NotUnderstood.NO_IDENTIFIER: Rejection.IDENTIFIER_INVALID,
    NotUnderstood.IDENTIFIER_INVALID: Rejection.IDENTIFIER_INVALID,
}


class PayDoor:
    """Takes messages for the services of the file; `publishing` answers only what is acknowledged."""

    def __init__(
        self,
        services: Mapping[str, Service],
        contracts: Contracts,
        last_word: LastWord,
        publishing: Publishing,
        now_ms: Callable[[], int],
    ) -> None:
        self._services = services
        self._submitting = Submitting(contracts, last_word, publishing, now_ms)

    def renew(self, contracts: Contracts, last_word: LastWord) -> None:
        """Publish under other contracts from now on."""
        self._submitting.renew(contracts, last_word)

    def serve(self, services: Mapping[str, Service]) -> None:
        """Take messages for these services from now on, signed with these secrets, and for no others."""
        self._services = services

    def knows(self, name: str) -> bool:
        """Tell whether there is a service of this name."""
        return name in self._services

    async def take(self, name: str, headers: RawHeaders, body: bytes) -> str:
        """Publish what a message says; return `written` or `known`. Problem says why it was not taken."""
        service = self._services[name]
        # INVARIANT: nothing of a body is read before its signature is known to be right.
        if not is_signed(body, header(headers, SIGNATURE_HEADER.encode()), service.secrets):
            raise Problem("unauthenticated", why="bad-signature")
        found = understand(body, service, self._submitting.contracts.schemes)
        if isinstance(found, NotUnderstood):
            raise Problem(_PROBLEMS[found], why=found)
        return await self._submitting.submit(found.line, service)


def create_app(door: PayDoor, waiting_for: Callable[[], list[str]]) -> Starlette:
    """Return the application."""

    async def receive(request: Request) -> Response:
        started_s, name = time.perf_counter(), service_of(request, door.knows)
        if name == UNKNOWN:
            raise Problem("not-found", why="unknown-service")
        declared = request.headers.get("content-length")
        body = await read_body(request.stream(), declared, BYTES_MAX, "too-large")
        outcome = await door.take(name, request.scope["headers"], body)
        metrics.MESSAGES.labels(name, outcome).inc()
        metrics.SECONDS.labels(name).observe(time.perf_counter() - started_s)
        return Response(status_code=TAKEN, headers={"cache-control": "no-store"})

    def refused(request: Request, problem: Problem) -> None:
        name = service_of(request, door.knows)
        metrics.MESSAGES.labels(name, problem.why).inc()
        say("pay-refused", service=name, reason=problem.why, status=problem.kind.status)

    return door_app([(PATH, receive)], waiting_for, refused)
