"""Whose tokens count, and which services may link accounts to what: POSTROOM_ONELOGIN, read strictly.

A service is one client of GOV.UK One Login and one client of the gateway's file: the second says who asks,
the first for whom a token must have been made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from connectors.callers import PUBLISH, Clients, Fetch
from connectors.event_types import LINK_TYPE
from connectors.onelogin.keys import from_did, from_discovery, from_place
from connectors.private_line import is_private_line
from connectors.settings_file import read_settings
from schemas import Contracts, Kind
from schemas.written import Written, matching

WHAT = "the file of One Login services"
EXAMPLE = "docs/examples/onelogin.yaml"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
ACCOUNT_SCHEME = "onelogin"
TRUST = ("Cl", "Cl.Cm")
"""How the sign-in is protected: a password, and a second factor beside it."""
CONFIDENCE = ("P0", "P1", "P2", "P3")
"""How sure the identity is (Good Practice Guide 45)."""


class _Service(Written):
    client: str
    client_id: str = Field(min_length=1, max_length=256)
    scheme: str
    contract: str = LINK_TYPE
    trust: Literal["Cl", "Cl.Cm"] = "Cl.Cm"
    confidence: Literal["P1", "P2", "P3"] = "P2"


class _File(Written):
    issuer: str
    keys: str | None = None
    identity_issuer: str
    identity_controller: Annotated[str, matching(r"did:web:[A-Za-z0-9.%:-]{1,253}", "did:web: and its host")]
    identity_keys: str
    services: dict[str, _Service] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Service:
    """One service: who asks for it, for whom its tokens are, and what it links, under which contract."""

    name: str
    client: str
    client_id: str
    owner: str
    system: str
    scheme: str
    contract: str
    trust: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Provider:
    """GOV.UK One Login as it is configured, or its stand-in: two issuers and where their keys are."""

    issuer: str
    keys: Fetch
    identity_issuer: str
    identity_keys: Fetch
    """As a JWKS; only of the controller that is configured."""
    services: Mapping[str, Service]


def load_provider(path: Path, contracts: Contracts, clients: Clients) -> Provider:
    """Read the file; Misused says all that is wrong with it under these contracts and clients."""
    parsed = read_settings(
        path,
        _File,
        WHAT,
        f"POSTROOM_ONELOGIN; {EXAMPLE} is one",
        f"{EXAMPLE} is one that is right",
        lambda sound: [*_issuer_faults(sound), *_faults(sound, contracts, clients)],
    )
    return Provider(
        parsed.issuer,
        from_discovery(parsed.issuer) if parsed.keys is None else from_place(parsed.keys, path.parent),
        parsed.identity_issuer,
        from_did(from_place(parsed.identity_keys, path.parent), parsed.identity_controller),
        {name: _service(name, each, clients) for name, each in parsed.services.items()},
    )


def _service(name: str, each: _Service, clients: Clients) -> Service:
    client = clients.by_id[each.client]
    return Service(
        name,
        each.client,
        each.client_id,
        str(client.owner),
        min(client.systems or {"one-login"}),
        each.scheme,
        each.contract,
        each.trust,
        each.confidence,
    )


def _issuer_faults(parsed: _File) -> Iterator[str]:
    for name in ("issuer", "identity_issuer"):
        if not getattr(parsed, name).endswith("/"):
            yield f"{name}: GOV.UK One Login's issuers end with a slash"
    for name in ("issuer", "keys", "identity_keys"):
        if not is_private_line(getattr(parsed, name) or ""):
            yield f"{name}: keys come over https, or from this machine"


def _faults(parsed: _File, contracts: Contracts, clients: Clients) -> Iterator[str]:
    for name, each in parsed.services.items():
        place = f"services.{name}"
        if NAME.fullmatch(name) is None:
            yield f"{place}: a name is {NAME.pattern}"
        client = clients.by_id.get(each.client)
        if client is None or client.owner is None or PUBLISH not in client.scopes:
            yield f"{place}.client: no client of the gateway's file that publishes"
        contract = contracts.by_type.get(each.contract)
        if contract is None or contract.kind is not Kind.LINK or contract.other is None:
            yield f"{place}.contract: no contract of kind link"
            continue
        if contract.subject.scheme != ACCOUNT_SCHEME:
            yield f"{place}.contract: its subject is no {ACCOUNT_SCHEME}"
        if client is not None and client.owner not in contract.owners:
            yield f"{place}.client: {contract.type} is published by {', '.join(sorted(contract.owners))}"
        taken = contract.other.schemes or {contract.other.scheme}
        if each.scheme not in taken:
            yield f"{place}.scheme: {contract.type} links to {', '.join(sorted(taken))}"
