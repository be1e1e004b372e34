"""Who the clients are and what each may: `clients.yaml`, read strictly.

A client is bound to one owner or to one subscriber, never to both, and has the scopes that are written down,
never more. What is not in the file is not a client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from connectors.settings_file import read_settings
from schemas import Agreement, Contracts, few_of, near_hint
from schemas.written import ShortName, Written

WHAT = "the file of clients"
MEND = "docs/examples/clients.yaml is one that is right; docs/gateway.md says what each key means"
PUBLISH, SUBSCRIBE, ACKNOWLEDGE = "publish", "subscribe", "acknowledge"
CLIENT_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
"""Also the system part of the source of a client's acknowledgements (E1)."""

Scope = Literal["publish", "subscribe", "acknowledge"]
Proof = Literal["token", "certificate", "both"]


class _Certificate(Written):
    san_dns: str | None = None
    san_uri: str | None = None

    @classmethod
    def between(cls, written: Mapping[str, object]) -> Iterator[str]:
        """One name, of one kind."""
        if (written.get("san_dns") is None) == (written.get("san_uri") is None):
            yield "give exactly one of san_dns and san_uri"


class _Client(Written):
    owner: ShortName | None = None
    subscriber: ShortName | None = None
    scopes: list[Scope] = Field(min_length=1, examples=["[publish]", "[subscribe]"])
    systems: list[str] | None = None
    agreements: list[str] | None = None
    proof: Proof = "token"
    certificate: _Certificate | None = None
    events_per_s: float | None = Field(None, gt=0)

    @classmethod
    def between(cls, written: Mapping[str, object]) -> Iterator[str]:
        """What binds it, and what whoever is so bound may have."""
        said = {key for key, value in written.items() if value is not None}
        bound = said & {"owner", "subscriber"}
        if len(bound) != 1:
            yield "bind it to exactly one of owner (publishes) and subscriber (reads)"
        else:
            yield from _beyond(bound == {"owner"}, said, written.get("scopes"))
        proof = written.get("proof", "token")
        if proof in get_args(Proof) and ("certificate" in said) == (proof == "token"):
            yield "proof certificate and both need a certificate, proof token has none"


def _beyond(publishes: bool, said: set[str], scopes: object) -> Iterator[str]:
    """What only the other kind of client can have."""
    may = {PUBLISH} if publishes else {SUBSCRIBE, ACKNOWLEDGE}
    known = {each for each in get_args(Scope) if isinstance(scopes, list) and each in scopes}
    if not known <= may:
        bound = "an owner" if publishes else "a subscriber"
        yield f"a client of {bound} may have the scopes {', '.join(sorted(may))}"
    if "systems" in said and not publishes:
        yield "systems narrow an owner's client; leave them out"
    if "agreements" in said and publishes:
        yield "agreements narrow a subscriber's client; leave them out"


class _File(Written):
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
    parsed = read_settings(
        path,
        _File,
        WHAT,
        "POSTROOM_GATEWAY_CLIENTS; docs/examples/clients.yaml is one",
        MEND,
        lambda sound: _faults(sound, agreements),
    )
    return Clients(_client(name, each, agreements) for name, each in parsed.clients.items())


def _faults(parsed: _File, agreements: Mapping[str, Agreement]) -> Iterable[str]:
    seen: dict[tuple[str, str], str] = {}
    for name, each in parsed.clients.items():
        if CLIENT_ID.fullmatch(name) is None:
            yield f"clients.{name}: a client id is lower case with digits, hyphens and dots: leeds-housing"
        certificate = _certificate(each)
        if certificate is not None and seen.setdefault(certificate, name) != name:
            yield f"clients.{name}.certificate: {seen[certificate]} has the same"
        for agreement in each.agreements or ():
            found = agreements.get(agreement)
            if found is None or found.subscriber != each.subscriber:
                own = [a.agreement for a in agreements.values() if a.subscriber == each.subscriber]
                near = near_hint(agreement, own) or few_of(own)
                yield f"clients.{name}.agreements: {agreement} is no agreement of {each.subscriber}{near}"


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


def strangers(clients: Clients, contracts: Contracts, agreements: Mapping[str, Agreement]) -> Iterator[str]:
    """Say which clients are bound to somebody of whom nothing else speaks: new, or misspelt.

    It is no fault: a department may get its client before its contract or its agreement.
    """
    owners = {owner for contract in contracts.by_type.values() for owner in contract.owners}
    subscribers = {each.subscriber for each in agreements.values()}
    for client in sorted(clients.by_id.values(), key=lambda each: each.id):
        if client.owner is not None and client.owner not in owners:
            yield f"{client.id}: no contract names the owner {client.owner}{near_hint(client.owner, owners)}"
        elif client.owner is None and client.party not in subscribers:
            near = near_hint(client.party, subscribers)
            yield f"{client.id}: no agreement names the subscriber {client.party}{near}"
