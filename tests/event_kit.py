"""Events of the cases' contracts, by every way into intake: a line, a binary record, a structured one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from processors.intake import Intake, Rejected
from processors.messages import Said
from processors.outcomes import Rejection
from processors.rules import Keys, Limits, Rules
from processors.stage import Record, Step
from schemas import (
    cloudevent_from_json,
    format_instant,
    frame,
    load_contracts,
    parse_instant,
    to_headers,
)
from tests.nasty.generate import CASES

CONTRACTS = load_contracts(CASES / "contracts")
RULES = Rules(CONTRACTS, {}, Keys(b"tests"))
NOW_MS = parse_instant("2026-06-01T12:00:00Z")
TIME_MS = parse_instant("2026-05-01T00:00:00Z")
MISSING = 7  # an id of which the registry said that it has none
AWARD, NAME, LINK = "uk.gov.benefits.award.v1", "uk.gov.civil.name.v1", "uk.gov.identity.link.v1"
DWP = "urn:gov:dwp:main"
Event = dict[str, Any]


def event(type_: str, source: str = DWP, time_ms: int = TIME_MS, **data: Any) -> Event:
    """One CloudEvent as JSON has it (E3)."""
    return {
        "specversion": "1.0",
        "id": "e-1",
        "source": source,
        "type": type_,
        "time": format_instant(time_ms),
        "data": data,
    }


def award(**changes: Any) -> Event:
    """A fact with an item, a beginning and an end."""
    paid = {"weekly_pence": 100, "status": "AWARDED"}
    said = {"nino": "AB123456C", "benefit_type": "pip", "award": paid, "starts": "2026-04-01"}
    return event(AWARD, **(said | changes))


def line(of: Event) -> bytes:
    """The event as a line of a file."""
    return json.dumps(of).encode()


def intake(limits: Limits = RULES.limits) -> Intake:
    """An intake that knows the schemas with which :func:`binary` writes."""
    stage = Intake(replace(RULES, limits=limits))
    schemas = [dict(contract.schema) for contract in CONTRACTS.by_type.values()]
    stage.writers = {MISSING: None, **dict(enumerate(schemas, 100))}
    return stage


def binary(of: Event, topic: str | None = None) -> Record:
    """The event as a Kafka record in binary mode (E2)."""
    contract = CONTRACTS.by_type[of["type"]]
    writer = 100 + list(CONTRACTS.by_type).index(of["type"])
    value = frame(writer, contract.to_avro(contract.from_json(of["data"])))
    return Record(topic or of["type"], 3, 17, NOW_MS, b"any", value, to_headers(cloudevent_from_json(of)))


def structured(of: Event, topic: str | None = None) -> Record:
    """The event as a Kafka record in structured mode (E2)."""
    headers = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    return Record(topic or of["type"], 3, 17, NOW_MS, b"any", line(of), headers)


def accepted(of: Event) -> Said:
    """What an event says, which is the same by every way in (E2, E3)."""
    stage = intake()
    said = stage.accept_json(line(of), NOW_MS)
    assert isinstance(said, Said), said
    assert stage.accept_record(binary(of)) == said == stage.accept_record(structured(of))
    return said


def reason(verdict: Said | Rejected) -> Rejection | None:
    """Why an event was not accepted."""
    return verdict.reason if isinstance(verdict, Rejected) else None


def step(*records: Record) -> Step:
    """One step over the records."""
    return intake().step(lambda _: None, records, (), NOW_MS)


def registration(**data: Any) -> Event:
    """A fact with an attribute, another identifier and a note, each of which may be null."""
    return event("uk.gov.health.registration.v1", "urn:gov:nhs:main", **({"nhs_number": "9434765919"} | data))
