"""Notices without Kafka: a disclosure log and a view in memory, the official client against the stand-in."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from connectors.notify import Journal, Letterbox, Pace, Plan, Rounds, load_plan
from connectors.notify.letterbox import Answer
from connectors.notify.rounds import LogRecord
from postroom.private_files import read_secret
from tests.gateway_kit import CARERS, HOUSING, rules
from tests.standins.govuk_notify_stand_in import API_KEY, TEMPLATES, GovukNotifyStandIn

OWN = "citizen-notices"
FILE = f"""\
agreement: {OWN}
api_key: notify.key
base_url: URL
notices:
  shared: {{template: {TEMPLATES[0]}}}
  consent-changed: {{template: {TEMPLATES[1]}}}
timeout_ms: 30000
unknown_wait_s: 60
"""
BEGUN_S = 1_790_000_000.0
WITHDRAWN = {"name": "consent-withdrawn", "address": "consent-withdrawn"}


def plan_of(directory: Path, url: str, text: str = FILE, key: str = API_KEY, **changes: Any) -> Plan:
    """The plan as it is read from files."""
    file = directory / "notify.key"
    file.write_text(key + "\n")
    file.chmod(0o600)
    (directory / "notify.yaml").write_text(text.replace("URL", url))
    return replace(load_plan(directory / "notify.yaml", rules()[1], read_secret), **changes)


def entry(
    person: str,
    sequence: int,
    shown: Sequence[str] = (),
    denied: dict[str, str] | None = None,
    agreement: str = CARERS,
    kind: str = "view",
    why: str | None = None,
    key: str | None = None,
    reason: str | None = None,
) -> bytes:
    """An entry of the disclosure log (V5)."""
    attributes: dict[str, Any] = {
        name: {"consent": None, "gateway": None, "permit": "consent"} for name in shown
    }
    attributes |= {name: {"deny": reason} for name, reason in (denied or {}).items()}
    said = {
        "agreement": agreement,
        "cause": {"hash": f"cause-{person}-{sequence}", "id": "e-1", "source": "urn:gov:dwp:cis"},
        "commitment": "0" * 64,
        "decision": {"attributes": attributes, "denied": why},
        "fields": sorted(attributes),
        "key": key or f"s-{person}",
        "kind": kind,
        "person": person,
        "reason": reason,
        "sequence": sequence,
        "subscriber": rules()[1][agreement].subscriber,
        "time": "2026-11-27T10:00:00.000Z",
        "version": 1,
    }
    return json.dumps(said).encode()


class MemoryLog:
    """One partition, and how far the journal of it has come."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.at = 0
        self.touch: Callable[[], None] = lambda: None

    def read(self) -> list[LogRecord]:
        self.touch()
        found = [LogRecord(0, n, value) for n, value in enumerate(self.records) if n >= self.at]
        self.at = len(self.records)
        self.touch()
        return found


class NotifyRig:
    """Rounds, and what they stand on; its clock is the test's."""

    def __init__(
        self, directory: Path, stand_in: GovukNotifyStandIn, tells_from: int = 0, **changes: Any
    ) -> None:
        self.directory, self.stand_in, self.changes = directory, stand_in, changes
        self.tells_from = tells_from
        self.log = MemoryLog()
        self.addresses: dict[str, str] = {}
        self.later_s = 0.0
        self.touch: Callable[[], None] = lambda: None
        self.begin()

    def begin(self) -> None:
        """Begin a life with what outlives a process."""
        self.plan = plan_of(self.directory, self.stand_in.url, **self.changes)
        self.journal = Journal(self.directory / "state" / "journal.db")
        (self.log.at,) = self.journal.begin("log-1", [0], [self.tells_from])
        self.letterbox = Letterbox(self.plan.api_key, self.plan.base_url, self.plan.timeout_s)
        pace = Pace(self.plan.per_minute, self.plan.per_day, self.now_s)
        self.rounds = Rounds(
            self.plan, self.journal, self.log, self, self, pace, self.now_s, random.Random(1)
        )

    def end(self) -> None:
        self.journal.close()

    def now_s(self) -> float:
        return BEGUN_S + self.later_s

    def of(self, key: str) -> str | None:
        """As `Addresses`."""
        return self.addresses.get(key)

    def send(self, address: str, template: str, reference: str, words: dict[str, str]) -> Answer:
        """As `Post`."""
        self.touch()
        answer = self.letterbox.send(address, template, reference, words)
        self.touch()
        return answer

    def has(self, reference: str) -> bool | None:
        self.touch()
        return self.letterbox.has(reference)

    def knows(self, person: str, address: str | None = None) -> None:
        """The notifier gets somebody's address, by its own agreement."""
        self.log.records.append(entry(person, 1, ["email_address"], agreement=OWN, key=f"n-{person}"))
        self.addresses[f"n-{person}"] = address or f"{person}@example.com"

    def work(self, hours: float = 0.5) -> None:
        """Round after round while time passes."""
        until_s = self.later_s + hours * 3600
        while self.later_s < until_s:
            self.rounds.round()
            self.later_s += 30

    def told(self) -> list[tuple[str, str]]:
        """Who was told what, in order, by the template."""
        kinds = dict(zip(TEMPLATES, ("shared", "consent-changed"), strict=True))
        return [(each["email_address"], kinds[each["template_id"]]) for each in self.stand_in.messages]


__all__ = ["CARERS", "FILE", "HOUSING", "OWN", "NotifyRig", "entry", "plan_of"]
