"""Events of which each can be found again in a view: what latency and recovery are measured with.

W1's contracts and agreements, facts in W1's proportions. Each citizen has granted one agreement everything.
About *stable* citizens facts are stated, each with a number that its view will show; *fickle* ones withdraw,
once each, and their view ends.
"""

from __future__ import annotations

import io
import json
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastavro import parse_schema, schemaless_writer

from schemas import frame
from tests.bench.ground import Ground
from tests.bench.w1.terms import AGREEMENTS, CATEGORIES, SCHEMAS, TOPICS
from tests.bench.w1.workload import CONSENT_SOURCES, SOURCES, Event

HOUR_MS = 3_600_000
FACTS, WEIGHTS = ("address", "benefit", "practice"), (40, 25, 15)
WITHDRAWN = "withdrawn"
STABLE_LEAST = 500


@dataclass(frozen=True)
class Told:
    """One event on its way: its number, whom it is about, and which part of the view will show it."""

    number: int
    citizen: str
    part: str
    topic: str
    value: bytes
    headers: list[tuple[str, bytes]]


class Encoder:
    """Events as they go on the wire (E2)."""

    def __init__(self, ground: Ground) -> None:
        self._ids = {
            kind: ground.registry.register(f"{topic}-value", ground.contracts.by_type[topic].schema)
            for kind, topic in TOPICS.items()
        }
        self._schemas = {kind: parse_schema(json.loads(path.read_text())) for kind, path in SCHEMAS.items()}

    def told(self, number: int, part: str, event: Event) -> Told:
        """The event, encoded, and how it will be found again."""
        body = io.BytesIO()
        schemaless_writer(body, self._schemas[event.kind], event.data)
        value = frame(self._ids[event.kind], body.getvalue())
        return Told(number, event.citizen or "", part, TOPICS[event.kind], value, event.headers())


class Population:
    """Citizens of one trial, told apart from other trials' by the prefix of their numbers."""

    def __init__(self, encoder: Encoder, prefix: str, stable: int, fickle: int, now_ms: int) -> None:
        self._encoder, self._prefix, self._since_ms = encoder, prefix, now_ms - HOUR_MS
        self._chance = random.Random(prefix)
        self._stable = [self._nino(number) for number in range(max(STABLE_LEAST, stable))]
        self._fickle = deque(self._nino(len(self._stable) + number) for number in range(fickle))
        self._last = 0

    def opening(self) -> list[Told]:
        """A grant and a first fact of everybody: afterwards everybody has a view."""
        events = []
        for citizen in (*self._stable, *self._fickle):
            events.append(self._decision(citizen, "GRANTED"))
            events.append(self._fact(citizen))
        return events

    def live(self, count: int, withdrawal_every: int) -> list[Told]:
        """So many events, every so-manieth a withdrawal while there are fickle citizens."""
        return [
            self._decision(self._fickle.popleft(), "WITHDRAWN")
            if withdrawal_every and self._fickle and number % withdrawal_every == 0
            else self._fact(self._chance.choice(self._stable))
            for number in range(count)
        ]

    def _nino(self, number: int) -> str:
        return f"{self._prefix}{number:06d}A"

    def _fact(self, nino: str) -> Told:
        kind = self._chance.choices(FACTS, WEIGHTS)[0]
        number = self._last + 1
        return self._told(nino, kind, SOURCES[kind], kind, {kind: _numbered(kind, number)})

    def _decision(self, nino: str, state: str) -> Told:
        subscriber, purpose = tuple(AGREEMENTS)[int(nino[2:8]) % len(AGREEMENTS)]
        data: dict[str, Any] = {"subscriber": subscriber, "purpose": purpose, "state": state}
        data |= {"categories": sorted(CATEGORIES.values()), "valid_from": None, "valid_until": None}
        part = WITHDRAWN if state == "WITHDRAWN" else ""
        return self._told(nino, "consent", CONSENT_SOURCES[0], part, data)

    def _told(self, nino: str, kind: str, source: str, part: str, data: dict[str, Any]) -> Told:
        self._last += 1
        time_ms = self._since_ms + self._last  # each later than the one before, and none in the future
        name = f"{self._prefix}-{self._last}"
        event = Event(kind, f"nino:{nino}", name, source, time_ms, {"nino": nino, **data})
        return self._encoder.told(self._last, part, event)


def _numbered(kind: str, number: int) -> dict[str, Any]:
    """A fact that shows the number of its event."""
    if kind == "address":
        return {"line1": str(number), "line2": "Flat 1", "town": "Leeds", "postcode": "LS1 1AB"}
    if kind == "benefit":
        return {"name": "UC", "status": "ACTIVE", "weekly_pence": number}
    return {"code": str(number), "registered": True}


def numbers(view: Mapping[str, Any] | None) -> dict[str, int]:
    """Which event each part of a view shows; everything before it is settled by a view that is gone."""
    if view is None:
        return {WITHDRAWN: 1 << 62}
    shown = {"address": "line1", "benefit": "weekly_pence", "practice": "code"}
    return {part: int(view[part][field]) for part, field in shown.items() if view.get(part)}
