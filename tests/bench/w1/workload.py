"""The events of W1: three departments say what is so of citizens, citizens decide who may see it.

Deterministic: the same count and seed give the same events. On average ten events a citizen, one in twenty
sent twice, one in twenty older than one already sent, one in ten with its identifier as people write it,
one in a thousand with an identifier that fails its check (I1). Consents come from two sources, some at the
same moment or within the five minutes in which the stop wins (C1); some name no category, some begin or end.
Those days lie years from any run, so that the answer does not depend on the moment at which it is asked.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from schemas import format_instant
from tests.bench.w1.terms import AGREEMENTS, CATEGORIES, GRACE_MS, TOPICS

EVENTS_PER_CITIZEN = 10
FIRST_MS = 1_735_689_600_000  # 2025-01-01; an event a second from there
EPOCH = date(1970, 1, 1)
SOURCES = {"address": "urn:gov:council:crm", "benefit": "urn:gov:dwp:awards", "practice": "urn:gov:nhs:gp"}
CONSENT_SOURCES = ("urn:gov:consent-service:web", "urn:gov:council:desk")
STATES = ("GRANTED", "WITHDRAWN", "PAUSED")
TOWNS = ("Leeds", "York", "Hull", "Derby", "Bath", "Ely")
SETS = [[c for bit, c in enumerate(sorted(CATEGORIES.values())) if mask >> bit & 1] for mask in range(1, 8)]
FIRST_LETTERS, SECOND_LETTERS = "ABCEGHJKLMNOPRSTWXYZ", "ABCEGHJKLMNPRSTWXYZ"
NO_PREFIX = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
RECENT = 50_000  # from among so many is what comes twice


class Event(NamedTuple):
    """One event; ``citizen`` is the canonical identifier, None if ``data`` holds one that fails its check.

    ``data`` is as Avro has it: days since 1970 for a day.
    """

    kind: str
    citizen: str | None
    id: str
    source: str
    time_ms: int
    data: dict[str, Any]

    @property
    def key(self) -> bytes:
        """The record's key: a gift to the peers, whose state is by key; Postroom does not look at it."""
        return (self.citizen or "nino:" + str(self.data["nino"])).encode()

    def headers(self) -> list[tuple[str, bytes]]:
        """CloudEvents binary mode (E2)."""
        return [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.id.encode()),
            ("ce_source", self.source.encode()),
            ("ce_type", TOPICS[self.kind].encode()),
            ("ce_time", format_instant(self.time_ms).encode()),
            ("content-type", b"application/avro"),
        ]

    def line(self) -> bytes:
        """CloudEvents JSON (E3)."""
        days = {
            name: value and str(EPOCH + timedelta(value))
            for name, value in self.data.items()
            if name.startswith("valid_")
        }
        attributes = {"specversion": "1.0", "id": self.id, "source": self.source, "type": TOPICS[self.kind]}
        attributes["time"] = format_instant(self.time_ms)
        return json.dumps(attributes | {"data": self.data | days}).encode()


def events(count: int, seed: int = 1) -> Iterator[Event]:
    """So many events, about a tenth as many citizens."""
    r = random.Random(seed)
    citizens = [_nino(r, number) for number in range(max(1, count // EVENTS_PER_CITIZEN))]
    latest: dict[tuple[str, ...], int] = {}
    sent: list[Event] = []
    for number in range(count):
        if sent and r.random() < 0.05:
            yield r.choice(sent)
            continue
        event = _event(r, FIRST_MS + number * 1000, r.choice(citizens), latest)
        if len(sent) < RECENT:
            sent.append(event)
        else:
            sent[r.randrange(RECENT)] = event
        yield event


def _event(r: random.Random, time_ms: int, nino: str, latest: dict[tuple[str, ...], int]) -> Event:
    kind = r.choices(tuple(TOPICS), (40, 25, 15, 20))[0]
    data: dict[str, Any] = {"nino": nino}
    slot: tuple[str, ...] = (nino, kind)
    source = SOURCES.get(kind, "")
    if kind == "consent":
        data |= _decision(r)
        source = CONSENT_SOURCES[r.random() < 0.2]
        slot = (nino, data["subscriber"])
    else:
        data[kind] = _fact(r, kind)
    known = latest.get(slot)
    if known is not None and r.random() < 0.075:
        time_ms = known - r.randrange(1, 10_000_000)
    elif known is not None and kind == "consent" and r.random() < 0.2:
        time_ms = known + r.choice((0, -GRACE_MS, GRACE_MS, GRACE_MS + 1, r.randrange(-GRACE_MS, GRACE_MS)))
    latest[slot] = max(time_ms, latest.get(slot, 0))
    citizen: str | None = "nino:" + nino
    if (spelling := r.random()) < 0.1:
        data["nino"] = f"{nino[:2]} {nino[2:4]} {nino[4:6]} {nino[6:8]} {nino[8:]}".lower()
    elif spelling < 0.101:
        data["nino"], citizen = "D" + nino[1:], None
    return Event(kind, citizen, f"{r.getrandbits(64):016x}", source, time_ms, data)


def _fact(r: random.Random, kind: str) -> dict[str, Any]:
    n = r.randrange(10**6)
    if kind == "address":
        town, postcode = r.choice(TOWNS), f"LS{n % 29} {n % 9}AB"
        return {
            "line1": f"{n % 200 + 1} High Street",
            "line2": f"Flat {n % 37}",
            "town": town,
            "postcode": postcode,
        }
    if kind == "benefit":
        name, status = r.choice(("UC", "PIP", "CHB")), r.choice(("ACTIVE", "ENDED"))
        return {"name": name, "status": status, "weekly_pence": r.randrange(1000, 20000)}
    return {"code": f"P{n % 9000:05d}", "registered": r.random() < 0.9}


def _decision(r: random.Random) -> dict[str, Any]:
    subscriber, purpose = r.choice(tuple(AGREEMENTS))
    state = r.choices(STATES, (75, 20, 5))[0]
    begins = ends = None
    if state == "GRANTED":
        begins = r.choices((None, date(2025, 1, 1), date(2036, 1, 1)), (90, 5, 5))[0]
        ends = r.choices((None, date(2038, 12, 31), date(2025, 6, 30)), (85, 10, 5))[0]
    return {
        "subscriber": subscriber,
        "purpose": purpose,
        "categories": [] if r.random() < 0.1 else r.choice(SETS),
        "state": state,
        "valid_from": begins and (begins - EPOCH).days,
        "valid_until": ends and (ends - EPOCH).days,
    }


def _nino(r: random.Random, number: int) -> str:
    while True:
        prefix = r.choice(FIRST_LETTERS) + r.choice(SECOND_LETTERS)
        if prefix not in NO_PREFIX:
            return f"{prefix}{number:06d}{'ABCD'[number % 4]}"
