"""Where a service says whose account it has seen: the tokens of a sign-in, and its own identifier.

What is published is a `link` (DESIGN I2) between the account's subject and that identifier, and only if all
holds: the caller is the client that the service is bound to, both tokens verify, the identity is sure enough,
and the sign-in was used for nothing else. Anything else, and anything that cannot be known now, is refused.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from connectors.callers import PUBLISH, Access, Caller, TokenInvalid
from connectors.doors import UNKNOWN, Problem, door_app, json_answer, read_body, service_of
from connectors.log_line import say
from connectors.onelogin import metrics
from connectors.onelogin.journal import UsedTokens
from connectors.onelogin.services import Provider, Service
from connectors.onelogin.tokens import REASONS, Proof, Verifier
from connectors.publishing import KNOWN, NOT_DELIVERED, WRITTEN, LastWord, Publishing, Submitting
from schemas import (
    Contracts,
    IdentifierInvalid,
    KeyTwice,
    Rejection,
    format_instant,
    how_to_mend,
    json_value,
    keys_twice,
)

PATH = "/onelogin/{service}"
BYTES_MAX = 98_304
NONCE_CHARACTERS_MIN = 8
LEVEL = "level_of_confidence"

OUTCOMES = tuple(
    dict.fromkeys(
        (
            *(WRITTEN, KNOWN, NOT_DELIVERED, "busy", "unavailable", "sign-in-used"),
            *("not-this-client", "too-large", "invalid-request", "method-not-allowed", "defect"),
            *(*REASONS, *Rejection, "different-content", "unauthenticated", "insufficient-scope"),
        )
    )
)
"""What becomes of a request; who asks is refused by the reasons of its access besides."""


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    id_token: str
    core_identity: str
    nonce: str
    identifier: str


_decoder = msgspec.json.Decoder(_Asked)


def _read(body: bytes) -> _Asked:
    """What a request asks for. Problem; a key that stands twice is told by its place."""
    try:
        json_value(body)  # INVARIANT: of two identifiers nobody knows whose the account is (E3)
        return _decoder.decode(body)
    except KeyTwice as twice:
        found = keys_twice(twice)
        problems = [{"path": each.path, "problem": each.problem} for each in found]
        raise Problem("invalid-request", how_to_mend(found[0]), problems=problems) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem("invalid-request", "see docs/govuk.md for the body") from None


class LinkDoor:
    """Links accounts for the services of the file."""

    def __init__(
        self,
        provider: Provider,
        verifier: Verifier,
        used: UsedTokens,
        contracts: Contracts,
        last_word: LastWord,
        publishing: Publishing,
        now_ms: Callable[[], int],
    ) -> None:
        self._provider, self._verifier, self._used = provider, verifier, used
        self._submitting = Submitting(contracts, last_word, publishing, now_ms)
        self._now_ms = now_ms

    def renew(self, contracts: Contracts, last_word: LastWord) -> None:
        """Publish under other contracts from now on."""
        self._submitting.renew(contracts, last_word)

    def serve(self, provider: Provider, verifier: Verifier) -> None:
        """Believe this provider and serve its services from now on, and no others."""
        self._provider, self._verifier = provider, verifier

    def knows(self, name: str) -> bool:
        """Tell whether there is a service of this name."""
        return name in self._provider.services

    def require_its_client(self, name: str, caller: Caller) -> None:
        """Problem unless the caller is the client that the service is bound to."""
        caller.must(PUBLISH)
        if caller.client.id != self._provider.services[name].client:
            raise Problem("not-found", "no such service", why="not-this-client")

    async def link(self, name: str, caller: Caller, body: bytes) -> str:
        """Publish the link that a request asks for; return `written` or `known`. Problem."""
        service = self._provider.services[name]
        asked = _read(body)
        if len(asked.nonce) < NONCE_CHARACTERS_MIN:
            raise Problem("invalid-request", f"a nonce has {NONCE_CHARACTERS_MIN} characters at least")
        try:
            proof = await self._verifier.proof(service, asked.id_token, asked.core_identity, asked.nonce)
        except TokenInvalid as invalid:
            raise Problem("unauthenticated", "the tokens prove nothing", why=invalid.why) from None
        identifier = self._identifier(service, asked.identifier)
        # INVARIANT: before anything is sent. A token that was heard says what it has said, and nothing new.
        sign_in = f"{self._provider.issuer}\0{service.client_id}\0{asked.nonce}"
        if not self._used.use(
            sign_in, f"{proof.subject}\0{identifier}", proof.expires_s, self._now_ms() / 1000
        ):
            raise Problem("different-content", "this sign-in was used for another link", why="sign-in-used")
        line = self._line(service, proof, identifier, sign_in)
        return await self._submitting.submit(line, caller.client)

    def _identifier(self, service: Service, given: str) -> str:
        try:
            return self._submitting.contracts.schemes.canonical(service.scheme, given)
        except IdentifierInvalid:
            raise Problem(Rejection.IDENTIFIER_INVALID) from None

    def _line(self, service: Service, proof: Proof, identifier: str, sign_in: str) -> bytes:
        """The event, named and timed by the sign-in: said again, it is the same event (E1)."""
        contract = self._submitting.contracts.by_type[service.contract]
        assert contract.other is not None  # noqa: S101 - the file was refused otherwise
        data: dict[str, Any] = {contract.subject.name: proof.subject, contract.other.name: identifier}
        if any(field["name"] == LEVEL for field in contract.schema["fields"]):  # type: ignore[attr-defined]  # a schema's fields are a list
            data[LEVEL] = proof.confidence
        return msgspec.json.encode(
            {
                "specversion": "1.0",
                "id": "sign-in-" + hashlib.sha256(sign_in.encode()).hexdigest()[:40],
                "source": f"urn:gov:{service.owner}:{service.system}",
                "type": service.contract,
                "time": format_instant(proof.issued_s * 1000),
                "data": data,
            }
        )


def create_app(door: LinkDoor, access: Access, waiting_for: Callable[[], list[str]]) -> Starlette:
    """Return the application; `access` tells who asks."""

    async def link(request: Request) -> Response:
        started_s = time.perf_counter()
        # Who asks is asked first: whether there is such a service is nobody else's to know.
        caller = await access.caller(request.scope["headers"], request.scope.get("extensions") or {})
        name = service_of(request, door.knows)
        if name == UNKNOWN:
            raise Problem("not-found", "no such service", why="unknown-service")
        door.require_its_client(name, caller)
        declared = request.headers.get("content-length")
        body = await read_body(request.stream(), declared, BYTES_MAX, "too-large")
        outcome = await door.link(name, caller, body)
        metrics.LINKS.labels(name, outcome).inc()
        metrics.SECONDS.labels(name).observe(time.perf_counter() - started_s)
        return json_answer({"outcome": outcome}, 202)

    def refused(request: Request, problem: Problem) -> None:
        name = service_of(request, door.knows)
        metrics.LINKS.labels(name, problem.why).inc()
        say("onelogin-refused", service=name, reason=problem.why, status=problem.kind.status)

    return door_app([(PATH, link)], waiting_for, refused)
