"""One identifier in the hands of the identity stage: say something, and see what goes out."""

from __future__ import annotations

from typing import Any

import msgspec

from processors.fragment import IdentityState, decode_state
from processors.identity import Identity
from processors.messages import (
    ASSERTIONS_TOPIC,
    FRAGMENTS_TOPIC,
    PAIRS_TOPIC,
    REPORTS_TOPIC,
    Cause,
    Claims,
    Departed,
    Fragment,
    Message,
    PairStatement,
    Released,
    Said,
    Told,
    decode_for_persons,
    decode_for_record,
    encode,
    entries_of,
)
from processors.rules import Keys, Limits, Rules
from processors.stage import Outcome, Record
from schemas import load_contracts
from tests.nasty.generate import CASES

KEYS = Keys(b"tests")
RULES = Rules(load_contracts(CASES / "contracts"), {}, KEYS, Limits(register_depth=3))
NINO, NHS, UTR = "nino:AB123456C", "nhs:9434765919", "utr:2234567890"
ALONE = KEYS.person_id(NINO)
OTHER = KEYS.person_id(NHS)
SOURCE = "urn:gov:dwp:main"
NOW_MS, NEVER_MS = 1_000_000, 10**12


def said(id_: str, time: int = 1_000, **changes: Any) -> Said:
    """What one event says of the NINO; nothing unless ``changes`` says what."""
    source = changes.pop("source", SOURCE)
    given_as: dict[str, Any] = {
        "subject": NINO,
        "owner": source.split(":")[2],
        "type": "uk.gov.civil.name.v1",
        "time": time,
        "cause": Cause(source, id_, time),
        "expires": NEVER_MS,
        "effective_at": time,
        "content": id_.encode(),
    }
    return Said(**(given_as | changes))


def named(id_: str, value: str = "", **changes: Any) -> Said:
    """An event that says what the person is called."""
    return said(id_, **({"values": (("name", (value or id_).encode()),)} | changes))


def paired(id_: str, kind: str = "same-person", other: str = NHS, **changes: Any) -> Said:
    """An event that says something about the pair with another identifier."""
    return said(id_, **({"pairs": ((kind, other),)} | changes))


def told(answered: int, *members: str, **changes: Any) -> Told:
    """What persons answers: the person of these members, or nobody else."""
    everyone = tuple(sorted({NINO, *members}))
    given_as: dict[str, Any] = {
        "identifier": NINO,
        "answered": answered,
        "person": ALONE if everyone == (NINO,) else OTHER,
        "members": everyone,
        "superseded": (),
        "restricted": False,
        "contested": (),
        "disputes": (),
        "merged": True,
        "cause": Cause("urn:gov:nhs:main", "answer", 1),
    }
    return Told(**(given_as | changes))


def claims_about(other: str, *statements: tuple[int, str, str]) -> dict[str, tuple[PairStatement, ...]]:
    """What persons is told of one pair: (time, id, kind) each."""
    return {other: tuple(PairStatement(time, SOURCE, id_, kind) for time, id_, kind in statements)}  # type: ignore[arg-type]


class Identifier:
    """The NINO's state and what the last step did, as the engine would keep it."""

    def __init__(self, *first: Message) -> None:
        self.stage = Identity(RULES)
        self.body: bytes | None = None
        self.wake_ms: int | None = None
        self.outcomes: list[Outcome] = []
        self.reports: list[dict[str, str]] = []
        for message in first:
            self.step(message)

    @property
    def state(self) -> IdentityState:
        assert self.body is not None
        return decode_state(self.body)

    def step(self, *messages: Message, now_ms: int = NOW_MS) -> list[Fragment | Departed | Released | Claims]:
        """Fold the messages in one step, or wake without one; return what goes to persons and records."""
        key = NINO.encode()
        batch = [Record(ASSERTIONS_TOPIC, 0, n, now_ms, key, encode(each)) for n, each in enumerate(messages)]
        bodies = {} if self.body is None else {key: self.body}
        step = self.stage.step(bodies.get, batch, () if messages else (key,), now_ms)
        state = step.states.get(key)
        if state is not None:  # else nothing changed
            self.body, self.wake_ms = state.body, state.wake_ms
        self.outcomes = step.outcomes
        reports = [out.value for out in step.outgoing if out.topic == REPORTS_TOPIC]
        self.reports = [msgspec.json.decode(each or b"") for each in reports]
        sent: list[Fragment | Departed | Released | Claims] = []
        for out in step.outgoing:
            if out.topic == PAIRS_TOPIC:
                sent.append(decode_for_persons(out.value or b""))
                assert out.key == key
            elif out.topic == FRAGMENTS_TOPIC:
                sent.append(decode_for_record(out.value or b""))
                assert out.key.decode() == sent[-1].person  # the record's key is its person
        return sent


def only(sent: list[Any], kind: type[Any]) -> Any:
    """The one message that was sent, which is of this kind."""
    assert [type(each) for each in sent] == [kind], [type(each).__name__ for each in sent]
    return sent[0]


def values_of(fragment: Fragment) -> dict[str, list[str]]:
    """What a fragment says by attribute, in the order of its registers."""
    return {
        key.partition("\0")[0]: [entry.value.decode() for entry in entries_of(entries)]
        for key, entries in fragment.registers.items()
    }
