"""GOV.UK One Login's door on its application alone: a broker in memory, the stand-in's keys over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx

from connectors.callers import Access, Clients, KeySet, Tokens, load_clients
from connectors.onelogin import (
    LinkDoor,
    Provider,
    UsedTokens,
    Verifier,
    create_app,
    load_provider,
)
from connectors.publishing import Publishing
from connectors.publishing.memory import MemoryRegistry, MemorySink
from postroom.gateway import last_word
from tests.gateway_kit import AUDIENCE, ISSUER, ISSUING, rules
from tests.standins.govuk_one_login_stand_in import GovukOneLoginStandIn

CLIENT_ID = "229pcVGuHP1lXX37T7Wfbr5SIgm"
NONCE = "lZk16Vmu8-h7r8L8bFFiHJxpC3L73UBpfb68WC1Qoqg"
SUBJECT = "urn:fdc:gov.uk:2022:VtcZjnU4Sif2oyJZola3OkN0e3Jeku1cIMN38rFlhU4"
DRIVER = "MORGA657054SM9IJ"
CLIENTS = """\
clients:
  gds-one-login: {owner: gds, scopes: [publish], systems: [one-login]}
  gds-other: {owner: gds, scopes: [publish]}
  dwp-cis: {owner: dwp, scopes: [publish]}
  leeds: {subscriber: council-leeds, scopes: [subscribe]}
"""
PATH = "/onelogin/driving-licence"


def file_text(stand_in: GovukOneLoginStandIn) -> str:
    """The file of services, for the stand-in."""
    return f"""\
issuer: {stand_in.issuer}
identity_issuer: {stand_in.identity_issuer}
identity_controller: {stand_in.controller}
identity_keys: {stand_in.did}
services:
  driving-licence: {{client: gds-one-login, client_id: {CLIENT_ID}, scheme: driver}}
  carers: {{client: gds-other, client_id: other, scheme: nino, trust: Cl, confidence: P1}}
"""


def clients_of(directory: Path) -> Clients:
    """The gateway's clients."""
    (directory / "clients.yaml").write_text(CLIENTS)
    return load_clients(directory / "clients.yaml", rules()[1])


def provider_of(directory: Path, text: str) -> Provider:
    """The provider as it is read from files."""
    (directory / "onelogin.yaml").write_text(text)
    return load_provider(directory / "onelogin.yaml", rules()[0], clients_of(directory))


class LinkRig:
    """The application and what it stands on."""

    def __init__(self, directory: Path, stand_in: GovukOneLoginStandIn, within_s: float = 0.2) -> None:
        contracts, _ = rules()
        self.stand_in, self.later_s = stand_in, 0.0
        self.provider = provider_of(directory, file_text(stand_in))
        self.sink, registry = MemorySink(), MemoryRegistry(contracts.by_type)
        self.used = UsedTokens(directory / "state" / "used.db")
        self.publishing = Publishing(self.sink, registry, time.monotonic, within_s)
        self.runner = asyncio.Runner()
        self.door = LinkDoor(
            self.provider,
            self.verifier(),
            self.used,
            contracts,
            last_word(contracts),
            self.publishing,
            lambda: int(self.now_s() * 1000),
        )

        async def fetch() -> bytes:
            return json.dumps(ISSUING.jwks()).encode()

        tokens = Tokens(KeySet(fetch, time.monotonic), ISSUER, AUDIENCE, time.time)
        self.app = create_app(self.door, Access(clients_of(directory), tokens), list)

    def verifier(self) -> Verifier:
        """A verifier that has fetched nothing yet."""
        return Verifier(self.provider, self.now_s, self.monotonic_s)

    def now_s(self) -> float:
        return time.time() + self.later_s

    def monotonic_s(self) -> float:
        return time.monotonic() + self.later_s

    def ask(
        self, body: Any, path: str = PATH, client: str | None = "gds-one-login", **more: Any
    ) -> httpx.Response:
        """One request of a client."""
        headers = {} if client is None else {"authorization": f"Bearer {ISSUING.token(client)}"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.runner.run(self._ask(path, content=content, headers=headers, **more))

    async def _ask(self, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://onelogin") as client:
            return await client.post(path, **more)

    def body(self, nonce: str = NONCE, identifier: str = DRIVER, **sign_in: Any) -> dict[str, str]:
        """What a service sends after a sign-in."""
        tokens = self.stand_in.sign_in(sign_in.pop("client_id", CLIENT_ID), nonce, **sign_in)
        return tokens | {"nonce": nonce, "identifier": identifier}

    def close(self) -> None:
        self.used.close()
