"""A gateway on the ASGI app alone: ports in memory, a clock of the test's own, an issuer with real keys."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import FastAPI

from connectors.callers import Access, Clients, KeySet, Tokens, load_clients
from connectors.doors import Rates
from connectors.doors.certificates import CERTIFICATE, Certificate
from connectors.gateway import Acknowledging, Cursors, Gateway, Subscribing, create_app
from connectors.gateway.memory import MemoryLedger
from connectors.publishing import Judge, Publishing
from connectors.publishing.memory import MemoryRegistry, MemorySink
from connectors.publishing.ports import LastWord
from connectors.tracing import Tell, untold
from connectors.view_topics.memory import MemoryViews
from postroom.composition import load_rules_files
from postroom.gateway import last_word
from schemas import Addressees, Agreement, Contracts, format_instant

ROOT = Path(__file__).resolve().parents[1]
ISSUER, AUDIENCE = "https://issuer.test", "postroom"
HOUSING, TAX, CARERS = "council-leeds-housing", "council-leeds-council-tax-reduction", "council-york-carers"
NHS = "999 000 0026"
CLIENTS = """\
clients:
  dwp-cis: {owner: dwp, scopes: [publish], systems: [cis, universal-credit]}
  nhs-pds: {owner: nhs, scopes: [publish]}
  leeds: {subscriber: council-leeds, scopes: [subscribe, acknowledge]}
  leeds-tax: {subscriber: council-leeds, scopes: [subscribe], agreements: [TAX]}
  york: {subscriber: council-york, scopes: [subscribe, acknowledge]}
  consent-web: {owner: consent-service, scopes: [publish]}
  slow: {owner: dwp, scopes: [publish], events_per_s: 1}
  mtls: {owner: dwp, scopes: [publish], proof: certificate, certificate: {san_dns: cis.dwp.example}}
  mtls-2: {owner: dwp, scopes: [publish], proof: certificate, certificate: {san_dns: second.dwp.example}}
  twice: {owner: dwp, scopes: [publish], proof: both, certificate: {san_uri: "urn:dwp:twice"}}
"""


def rules() -> tuple[Contracts, dict[str, Agreement]]:
    """The repository's own contracts and agreements, read once."""
    if not _RULES:
        _RULES.append(load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements"))
    return _RULES[0]


_RULES: list[tuple[Contracts, dict[str, Agreement]]] = []


class Issuer:
    """Issues tokens with real keys, right ones and wrong ones."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.ed = ed25519.Ed25519PrivateKey.generate()
        self.keys: dict[str, tuple[Any, str]] = {
            "rsa-1": (self.rsa, "RS256"),
            "ec-1": (self.ec, "ES256"),
            "ed-1": (self.ed, "EdDSA"),
        }

    def jwks(self) -> dict[str, Any]:
        """The public half."""
        return {
            "keys": [_jwk(key, alg) | {"kid": kid, "use": "sig"} for kid, (key, alg) in self.keys.items()]
        }

    def token(self, client: str = "dwp-cis", kid: str = "ec-1", **claims: Any) -> str:
        """A valid token, or with other claims; None takes one out."""
        key, algorithm = self.keys[kid]
        return jwt.encode(
            self.claims(client, **claims), key, algorithm, headers={"kid": kid, "typ": "at+jwt"}
        )

    def claims(self, client: str, **claims: Any) -> dict[str, Any]:
        """What a token says."""
        now = int(time.time())
        said = {"iss": ISSUER, "aud": AUDIENCE, "client_id": client, "sub": client, "iat": now}
        said |= {"nbf": now, "exp": now + 600, "scope": "publish subscribe acknowledge"}
        return {name: value for name, value in (said | claims).items() if value is not None}


def _jwk(key: Any, algorithm: str) -> dict[str, Any]:
    maker = jwt.get_algorithm_by_name(algorithm)
    made = maker.to_jwk(key.public_key())
    return (json.loads(made) if isinstance(made, str) else dict(made)) | {"alg": algorithm}


ISSUING = Issuer()


class Http:
    """Requests to an ASGI application, all in one loop as in a server."""

    def __init__(self, app: FastAPI, certificate: Certificate | None = None) -> None:
        self.runner = asyncio.Runner()
        self.app = app
        self.certificate = certificate

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request to its end."""
        return self.runner.run(self.ask(method, path, **more))

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request among others."""
        transport = httpx.ASGITransport(self._certified, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(method, path, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    async def _certified(self, scope: Any, receive: Any, send: Any) -> None:
        """What the server adds to a connection with a checked certificate."""
        if self.certificate is not None:
            scope.setdefault("extensions", {})[CERTIFICATE] = self.certificate
        await self.app(scope, receive, send)


@dataclass
class Rig:
    """The application and everything that it stands on."""

    app: FastAPI
    http: Http
    sink: MemorySink
    views: MemoryViews
    ledger: MemoryLedger
    registry: MemoryRegistry
    contracts: Contracts
    cursors: Cursors
    clients: Clients
    waiting: list[str] = field(default_factory=list)
    later_ms: int = 0
    ahead_s: float = 0.0

    def now_ms(self) -> int:
        """The gateway's clock."""
        return time.time_ns() // 1_000_000 + self.later_ms

    def monotonic_s(self) -> float:
        """The clock of its windows."""
        return time.monotonic() + self.ahead_s

    def auth(self, client: str = "dwp-cis", **claims: Any) -> dict[str, str]:
        """The header that says who asks."""
        now_s = self.now_ms() // 1000
        said = {"iat": now_s, "nbf": now_s, "exp": now_s + 600} | claims
        return {"authorization": f"Bearer {ISSUING.token(client, **said)}"}

    def publish(self, event: Any, client: str = "dwp-cis", **headers: str) -> Any:
        """POST one event in structured mode."""
        sent = {"content-type": "application/cloudevents+json", **self.auth(client), **headers}
        content = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.http.post("/events", content=content, headers=sent)

    def batch(self, events: list[Any], client: str = "dwp-cis") -> Any:
        """POST a batch."""
        headers = {"content-type": "application/cloudevents-batch+json", **self.auth(client)}
        return self.http.post("/events", content=json.dumps(events).encode(), headers=headers)

    def get(self, path: str, client: str = "leeds", **params: Any) -> Any:
        """GET as a subscriber."""
        return self.http.get(path, params=params, headers=self.auth(client))


def rig(
    tmp_path: Path,
    *,
    within_s: float = 0.2,
    events_per_s: float = 10_000,
    issuer: Issuer = ISSUING,
    word: LastWord | None = None,
    views: MemoryViews | None = None,
    tell: Tell = untold,
) -> Rig:
    """A gateway of the repository's contracts and agreements."""
    contracts, agreements = rules()
    file = tmp_path / "clients.yaml"
    file.write_text(CLIENTS.replace("TAX", TAX))
    clients = load_clients(file, agreements)
    sink, views, ledger = MemorySink(), views or MemoryViews(), MemoryLedger()
    registry = MemoryRegistry(contracts.by_type)
    made = Rig(None, None, sink, views, ledger, registry, contracts, Cursors(b"key"), clients)  # type: ignore[arg-type]

    async def fetch() -> bytes:
        return json.dumps(issuer.jwks()).encode()

    tokens = Tokens(KeySet(fetch, made.monotonic_s), ISSUER, AUDIENCE, lambda: made.now_ms() / 1000)
    gateway = Gateway(
        contracts=contracts,
        access=Access(clients, tokens),
        rates=Rates(events_per_s, made.monotonic_s),
        judge=Judge(contracts, word or last_word(contracts), Addressees(agreements, contracts)),
        registered=registry,
        publishing=Publishing(sink, registry, made.monotonic_s, within_s),
        subscribing=Subscribing(views, made.cursors, made.now_ms),
        acknowledging=Acknowledging(ledger, sink, made.now_ms, within_s),
        now_ms=made.now_ms,
        waiting_for=lambda: made.waiting,
        tell=tell,
    )
    made.app = create_app(gateway)
    made.http = Http(made.app)
    return made


def claimant(event_id: str = "a-1", **data: Any) -> dict[str, Any]:
    """DWP says what somebody is called."""
    said = {"nino": "NC 12 34 56 C", "name": {"given_names": "Ada", "family_name": "Specimen"}} | data
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "urn:gov:dwp:cis",
        "type": "uk.gov.benefits.claimant.v1",
        "time": "2026-03-02T09:00:00Z",
        "data": said,
    }


def changed(event: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """The event with other attributes; None takes one out."""
    return {name: value for name, value in (event | attributes).items() if value is not None}


def ce(event: dict[str, Any]) -> dict[str, str]:
    """An event's attributes as headers."""
    return {f"ce-{name}": value for name, value in event.items() if name != "data"}


def type_of(answer: Any) -> str:
    """What a refusal is called."""
    return str(answer.json()["type"]).removeprefix("urn:postroom:problem:")


def view_headers(sequence: int, agreement: str = f"{HOUSING}@1", **more: str) -> list[tuple[str, str]]:
    """The headers of a view record (V3)."""
    headers = {
        "ce_type": "uk.gov.postroom.view-updated.v1",
        "ce_id": f"{agreement}/k/{sequence}",
        "ce_time": format_instant(1_780_000_000_000),
        "postroom_sequence": str(sequence),
        "postroom_agreement": agreement,
        "postroom_cause": "0" * 32,
    }
    return list((headers | more).items())


def encoded(part: Any) -> str:
    """One part of a token."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
