"""Who the clients are and what each may: `clients.yaml`, read strictly.

A client is bound to one owner or to one subscriber, never to both, and has the scopes that are written down,
never more. What is not in the file is not a client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.settings_file import read_settings, refuse_faults
from schemas import OWNER_PATTERN, Agreement

WHAT = "the file of clients"
PUBLISH, SUBSCRIBE, ACKNOWLEDGE = "publish", "subscribe", "acknowledge"
CLIENT_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
"""Also the system part of the source of a client's acknowledgements (E1)."""

Scope = Literal["publish", "subscribe", "acknowledge"]
Proof = Literal["token", "certificate", "both"]


class _Certificate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    san_dns: str | None = None
    san_uri: str | None = None

    @model_validator(mode="after")
    def _one_name(self) -> _Certificate:
        if (self.san_dns is None) == (self.san_uri is None):
            raise ValueError("give exactly one of san_dns and san_uri")
        return self


class _Client(BaseModel):
    model_config = ConfigDict(extra="forbid")
    owner: str | None = Field(None, pattern=f"^{OWNER_PATTERN}$")
    subscriber: str | None = Field(None, pattern=f"^{OWNER_PATTERN}$")
    scopes: list[Scope] = Field(min_length=1)
    systems: list[str] | None = None
    agreements: list[str] | None = None
    proof: Proof = "token"
    certificate: _Certificate | None = None
    events_per_s: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _bound(self) -> _Client:
        if (self.owner is None) == (self.subscriber is None):
            raise ValueError("bind it to exactly one of owner and subscriber")
        may = {PUBLISH} if self.owner is not None else {SUBSCRIBE, ACKNOWLEDGE}
        if not set(self.scopes) <= may:
            bound = "an owner" if self.owner is not None else "a subscriber"
            raise ValueError(f"a client of {bound} may have: {', '.join(sorted(may))}")
        if self.systems is not None and self.owner is None:
            raise ValueError("systems narrow an owner's client")
        if self.agreements is not None and self.subscriber is None:
            raise ValueError("agreements narrow a subscriber's client")
        if (self.certificate is None) != (self.proof == "token"):
            raise ValueError("proof certificate and both need a certificate, proof token has none")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    clients: dict[str, _Client]


@dataclass(frozen=True, slots=True)
class Client:
    """One client: `party` is the owner that it publishes as, or the subscriber that it reads as."""

    id: str
    owner: str | None
    subscriber: str | None
    scopes: frozenset[str]
    systems: frozenset[str] | None
    agreements: frozenset[str]
    proof: Proof
    certificate: tuple[str, str] | None
    events_per_s: float | None

    @property
    def party(self) -> str:
        """Return whom the client speaks for."""
        return self.owner or self.subscriber or ""


class Clients:
    """Every client, by id and by the name in its certificate."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self.by_id: Mapping[str, Client] = {client.id: client for client in clients}
        self.by_certificate: Mapping[tuple[str, str], Client] = {
            client.certificate: client for client in self.by_id.values() if client.certificate is not None
        }

    @property
    def read_agreements(self) -> frozenset[str]:
        """Return the agreements that some client may read."""
        return frozenset().union(*(client.agreements for client in self.by_id.values()))


def load_clients(path: Path, agreements: Mapping[str, Agreement]) -> Clients:
    """Read the file; Misused says all that is wrong with it. A subscriber's client gets its agreements."""
    parsed = read_settings(path, _File, WHAT, "POSTROOM_GATEWAY_CLIENTS; docs/examples/clients.yaml is one")
    refuse_faults(path, WHAT, _faults(parsed, agreements))
    return Clients(_client(name, each, agreements) for name, each in parsed.clients.items())


def _faults(parsed: _File, agreements: Mapping[str, Agreement]) -> Iterable[str]:
    seen: dict[tuple[str, str], str] = {}
    for name, each in parsed.clients.items():
        if CLIENT_ID.fullmatch(name) is None:
            yield f"clients.{name}: a client id is {CLIENT_ID.pattern}"
        certificate = _certificate(each)
        if certificate is not None and seen.setdefault(certificate, name) != name:
            yield f"clients.{name}.certificate: {seen[certificate]} has the same"
        for agreement in each.agreements or ():
            found = agreements.get(agreement)
            if found is None or found.subscriber != each.subscriber:
                yield f"clients.{name}.agreements: {agreement} is no agreement of {each.subscriber}"


def _client(name: str, each: _Client, agreements: Mapping[str, Agreement]) -> Client:
    own = {a.agreement for a in agreements.values() if a.subscriber == each.subscriber}
    return Client(
        name,
        each.owner,
        each.subscriber,
        frozenset(each.scopes),
        None if each.systems is None else frozenset(each.systems),
        frozenset(own if each.agreements is None else own & set(each.agreements)),
        each.proof,
        _certificate(each),
        each.events_per_s,
    )


def _certificate(each: _Client) -> tuple[str, str] | None:
    """The name in a certificate, in the words of `ssl.SSLSocket.getpeercert`."""
    if each.certificate is None:
        return None
    if each.certificate.san_dns is not None:
        return "DNS", each.certificate.san_dns
    return "URI", str(each.certificate.san_uri)


def describe(clients: Clients) -> list[dict[str, Any]]:
    """Say who may what, one row a client."""
    return [
        {
            "client": client.id,
            "speaks_for": client.party,
            "scopes": sorted(client.scopes),
            "agreements": sorted(client.agreements),
            "proof": client.proof,
        }
        for client in sorted(clients.by_id.values(), key=lambda each: each.id)
    ]
