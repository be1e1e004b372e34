"""W2's events: the synthetic departments, and people of a given number of identifiers.

The departments tell a citizen's whole life before the next one's. A batch that held a whole life would fold
it at once and flatter us, so citizens come in cohorts, each cohort in the order of time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Any

import msgspec
from confluent_kafka import Producer

from producers import Event, Ready, in_order_of_time, lives, make_ready, synthetic
from producers import departments as said
from schemas import frame
from tests.bench.ground import Ground

SEED = 5
COHORT_EVENTS = 40_000
"""About two thousand citizens."""
DAY_MS = 24 * 3_600_000
IDENTIFIERS = (2, 6)
EVENTS_PER_PERSON = 10
NAME = {"given_names": "Ada", "family_name": "Specimen"}
FLUSH_S = 120


def country(citizens: int) -> Iterator[Event]:
    """Six years of the synthetic departments: about 21 events a citizen, with links and mistakes."""
    yield from _in_cohorts(lives(SEED, citizens, time.time_ns() // 1_000_000))


def people(citizens: int, identifiers: int) -> Iterator[Event]:
    """Ten events each; two identifiers are joined by one of them, six by four; the last is a consent."""
    yield from _in_cohorts(event for serial in range(citizens) for event in _person(serial, identifiers))


def _in_cohorts(events: Iterator[Event]) -> Iterator[Event]:
    while cohort := list(islice(events, COHORT_EVENTS)):
        yield from in_order_of_time(cohort)


def _person(serial: int, identifiers: int) -> Iterator[Event]:
    nino, nhs = synthetic.nino(serial), synthetic.nhs_number(serial)
    told = [said.claimant(nino, "2025-01-01", nhs_number=nhs, name=NAME)]
    if identifiers == 6:
        driver = synthetic.driver_number(serial, "Specimen", date(1980, 1, 1), woman=True)
        details: dict[str, Any] = {
            "type": "FULL",
            "status": "VALID",
            "categories": ["B"],
            "penalty_points": 0,
        }
        passport = synthetic.passport_number(serial)
        told += [
            said.licence(driver, nino, passport, details, since="2025-01-01", until="2034-12-31", issue=1),
            said.self_assessment(synthetic.utr(serial), nino, "2025-01-01"),
            said.account_link(synthetic.onelogin_subject(serial), f"nhs:{nhs}"),
        ]
    # Who lives and decided nothing is nobody's business: without this event no view would be written.
    agreed = said.decision(
        said.CONSENT,
        f"nhs:{nhs}",
        "council-leeds",
        "housing-support",
        categories=["identity"],
        state="GRANTED",
        until=None,
    )
    told += [
        *(_fact(serial, nino, nhs, number) for number in range(EVENTS_PER_PERSON - len(told) - 1)),
        agreed,
    ]
    start = time.time_ns() // 1_000_000 - 300 * DAY_MS
    for number, each in enumerate(told):
        yield said.cloudevent(each, f"p-{serial}-{number}", start + number * 20 * DAY_MS + serial)


def _fact(serial: int, nino: str, nhs: str, number: int) -> said.Said:
    """Alternately what DWP and what the NHS knows."""
    if number % 2:
        return said.claimant(nino, "2025-01-01", address=synthetic.address("leeds", serial + number))
    return said.demographics(nhs, "2025-01-01", home_address=synthetic.address("york", serial + number))


def load(ground: Ground, events: Iterable[Event]) -> None:
    """Wipe everything and publish the events as departments would (E2, without keys)."""
    ground.wipe()
    ground.create()
    ids = {
        name: ground.registry.register(f"{name}-value", contract.schema)
        for name, contract in ground.contracts.by_type.items()
    }
    producer = Producer(
        {
            "bootstrap.servers": ground.stack.kafka,
            "log_level": 0,
            "enable.idempotence": True,
            "linger.ms": 20,
            "sticky.partitioning.linger.ms": 0,  # without a key each record goes where chance has it
        }
    )
    now_ms = time.time_ns() // 1_000_000
    for event in events:
        ready = make_ready(msgspec.json.encode(event), ground.contracts, now_ms)
        if not isinstance(ready, Ready):
            raise SystemExit(f"bench: a synthetic event is not fit to publish: {ready.why}")
        _produce(producer, ready, frame(ids[ready.contract.type], ready.body))
    if producer.flush(FLUSH_S):
        raise SystemExit("bench: the broker did not take all events in time")
    time.sleep(1)  # let the broker settle


def _produce(producer: Producer, ready: Ready, value: bytes) -> None:
    while True:
        try:
            producer.produce(ready.contract.type, value, headers=list(ready.headers))
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.1)
