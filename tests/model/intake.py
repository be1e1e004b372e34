"""E1, E3, E7: which lines are events, and why the others are not."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from tests.model import times
from tests.model.contracts import Contract, Rules
from tests.model.identifiers import IdentifierError, Schemes
from tests.model.plain import MismatchError, normal

MEBIBYTE = 1 << 20
YEAR_2000_MS = times.instant("2000-01-01T00:00:00Z")
SOURCE = re.compile(r"urn:gov:([a-z][a-z0-9-]{1,30}):[A-Za-z0-9._-]{1,64}")
TYPE = re.compile(r"uk\.gov\.[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*\.v[1-9][0-9]*")
NAMED = ("specversion", "id", "source", "type", "time", "data", "data_base64")
EXTENSION = re.compile(r"[a-z0-9]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Event:
    """An accepted event. `data` is normalised; `identifiers` has every identifier field that is not null."""

    id: str
    source: str
    owner: str
    time_ms: int
    contract: Contract
    data: dict[str, Any]
    identifiers: dict[str, str]

    @property
    def subject(self) -> str:
        (name,) = self.contract.fields_in_role("subject")
        return self.identifiers[name]

    def term(self, name: str) -> Any:
        """The value of the field that carries a term; None where there is no such field."""
        field = self.contract.field_of_term(name)
        return None if field is None else self.data[field]

    @property
    def prior(self) -> str | None:
        field = self.contract.field_marked("prior")
        return None if field is None else self.data[field]


class RejectedError(Exception):
    """E7: the reason is the message."""


def e7_event(line: bytes, rules: Rules, at_ms: int) -> Event:
    """The event of a line that is not blank, or RejectedError with the first reason of E7 that applies."""
    if len(line) > MEBIBYTE:
        raise RejectedError("oversized")
    envelope, owner, time_ms = e1_envelope(line)
    if attributes_bytes(envelope) > 16 * 1024:
        raise RejectedError("oversized")
    if envelope.get("data") is None:
        raise RejectedError("null-value")
    contract = rules.contracts.get(envelope["type"])
    if contract is None:
        raise RejectedError("unknown-type")
    if owner not in contract.owners:
        raise RejectedError("not-the-owner")
    try:
        data = normal(contract.schema, envelope["data"])
    except MismatchError:
        raise RejectedError("contract-mismatch") from None
    try:
        identifiers = i1_identifiers(contract, data, rules.schemes)
    except IdentifierError:
        raise RejectedError("identifier-invalid") from None
    if time_ms < YEAR_2000_MS:
        raise RejectedError("time-too-old")
    if time_ms > at_ms + times.FIVE_MINUTES_MS:
        raise RejectedError("time-in-future")
    return Event(envelope["id"], envelope["source"], owner, time_ms, contract, data, identifiers)


def e1_envelope(line: bytes) -> tuple[dict[str, Any], str, int]:
    """The CloudEvent, its owner and its time; RejectedError as `undecodable`."""
    try:
        envelope = json.loads(line.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
        json.dumps(envelope, ensure_ascii=False).encode()  # a lone surrogate is no text
        if not isinstance(envelope, dict) or envelope.get("specversion") != "1.0":
            raise ValueError("not a CloudEvent 1.0")
        for name in ("id", "source", "type", "time"):
            if not isinstance(envelope.get(name), str):
                raise ValueError(f"no {name}")
        source = SOURCE.fullmatch(envelope["source"])
        if (
            not envelope["id"]
            or CONTROL.search(envelope["id"])
            or not source
            or not TYPE.fullmatch(envelope["type"])
        ):
            raise ValueError("malformed")
        return envelope, source[1], times.instant(envelope["time"])
    except (ValueError, RecursionError):
        raise RejectedError("undecodable") from None


def attributes_bytes(envelope: dict[str, Any]) -> int:
    """How long the event's attributes are: what names it, and each extension with its own name."""
    named = [envelope[name] for name in ("id", "source", "type")]
    beside = [
        name + str(value)
        for name, value in envelope.items()
        if name not in NAMED and EXTENSION.fullmatch(name) and isinstance(value, str | int)
    ]
    return sum(len(text.encode()) for text in (*named, *beside))


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError("no double holds it")
    return float(text)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def i1_identifiers(contract: Contract, data: dict[str, Any], schemes: Schemes) -> dict[str, str]:
    """Every identifier that the data names, canonical, by field; the data is brought into normal form."""
    identifiers = {}
    for name in contract.identifier_fields:
        value = data[name]
        if value is None:
            continue
        said = contract.annotations[name]
        if said["identifier"] == "*":
            allowed = frozenset(said["schemes"]) if said.get("schemes") else None
            identifiers[name] = schemes.already_canonical(value, allowed)
        else:
            identifiers[name] = schemes.canonical(said["identifier"], value)
            data[name] = identifiers[name].partition(":")[2]
    return identifiers
