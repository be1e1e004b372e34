"""The record stage by itself, for its tests: one town of persons, and what a test says to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from processors.citizen_state import RecordState, decode_record
from processors.messages import (
    FRAGMENTS_TOPIC,
    Cause,
    Consent,
    Departed,
    Entry,
    Fragment,
    Message,
    Released,
    decode_for_record,
    encode,
    pack_entries,
    register_key,
)
from processors.record import Records
from processors.rules import Keys, Rules
from processors.stage import Outgoing, Record, Step
from schemas import Agreement, load_agreements, load_contracts
from tests.nasty.generate import CASES

CONTRACTS = load_contracts(CASES / "contracts")
AGREEMENTS = load_agreements(CASES / "agreements", CONTRACTS)
ESTATES, HOUSING, POLICE = (AGREEMENTS[n] for n in ("hmrc-estates", "leeds-housing", "police-protection"))
NOW = 1_780_000_000_000
CAUSE = Cause("urn:gov:dwp:main", "e1", NOW - 100, "00-trace")
NINO, OTHER_NINO, NHS = "nino:AB123456C", "nino:CE123456D", "nhs:9912003888"
NAME = {"given": "Ada", "family": "Specimen"}
ADDRESS = {"lines": ["1 Row"], "postcode": "LS1 1AA", "authority": "leeds"}
P, Q = "p-1", "p-2"
SECTIONS = ("consents", "superseded", "restricted", "overfull")


@dataclass
class Town:
    """The stage and its states; what it wrote in the last step."""

    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    states: dict[bytes, bytes] = field(default_factory=dict)
    out: list[Outgoing] = field(default_factory=list)

    def tell(self, person: str, *messages: Message, now_ms: int = NOW) -> list[Outgoing]:
        """One step of one person; return what went out."""
        return self.step(person, *messages, now_ms=now_ms).outgoing

    def step(self, person: str, *messages: Message, now_ms: int = NOW) -> Step:
        """One step of one person."""
        stage = Records(Rules(CONTRACTS, dict(self.agreements), Keys(b"secret")))
        batch = [
            Record(FRAGMENTS_TOPIC, 0, n, now_ms, person.encode(), encode(m)) for n, m in enumerate(messages)
        ]
        step = stage.step(self.states.get, batch, () if messages else (person.encode(),), now_ms)
        self.states |= {key: state.body for key, state in step.states.items() if state is not None}
        self.out = step.outgoing
        return step

    def deliver(self, person: str) -> None:
        """Hand over what the last step sent to another record."""
        sent = [out for out in self.out if out.topic == FRAGMENTS_TOPIC and out.key == person.encode()]
        assert sent, "nothing was released"
        self.tell(person, *(decode_for_record(out.value or b"") for out in sent))

    def state(self, person: str) -> RecordState:
        return decode_record(self.states[person.encode()])

    def views(self) -> list[tuple[str, bool]]:
        """Of the last step, each view record: its key, and whether it is a view (not a tombstone)."""
        return [(o.key.decode(), o.value is not None) for o in self.out if o.topic.startswith("view.")]

    def owed(self) -> dict[str, list[str]]:
        """Of the last step, the fields to be deleted by key."""
        owed: dict[str, list[str]] = {}
        for out in self.out:
            if out.topic.startswith("obligations."):
                said = json.loads(out.value or b"")
                owed[said["key"]] = sorted((*owed.get(said["key"], ()), *said["fields"]))
        return owed

    def header(self, name: str) -> list[str]:
        """A header of the last step's view records."""
        views = [out for out in self.out if out.topic.startswith("view.")]
        return [value.decode() for out in views for header, value in out.headers if header == name]


def town(*agreements: Agreement) -> Town:
    return Town({agreement.agreement: agreement for agreement in agreements})


def entry(value: Any, number: int = 1) -> tuple[Entry, ...]:
    said = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    return (Entry(number, number, "urn:gov:gro:main", f"e{number}", None, NOW * 2, said),)


def fragment(person: str, identifier: str, *members: str, move: int = 0, **said: Any) -> Fragment:
    """A whole fragment; ``said`` holds values by attribute, and the ``SECTIONS`` by name."""
    sections = {name: said.pop(name) for name in SECTIONS if name in said}
    registers = {register_key(name, "gro", ""): pack_entries(entry(value)) for name, value in said.items()}
    return Fragment(
        person,
        identifier,
        move,
        True,
        tuple(sorted(members or (identifier,))),
        sections.get("superseded", ()),
        sections.get("restricted", False),
        CAUSE,
        registers,
        sections.get("consents", ()),
        (),
        (),
        overfull=sections.get("overfull", False),
    )


def departed(person: str, identifier: str, to: str, merged: bool, move: int = 1) -> Departed:
    return Departed(person, identifier, move, to, merged, CAUSE)


def consent(state: str, time: int) -> Consent:
    return Consent(time, "urn:gov:consent:web", f"c{time}", "council-leeds", "housing-support", (), state)


def replace_registers(whole: Fragment, registers: dict[str, tuple[Entry, ...]]) -> Fragment:
    whole.registers = {key: pack_entries(entries) for key, entries in registers.items()}
    return whole


def released(out: list[Outgoing]) -> list[Released]:
    messages = [decode_for_record(o.value or b"") for o in out if o.topic == FRAGMENTS_TOPIC]
    return [message for message in messages if isinstance(message, Released)]
