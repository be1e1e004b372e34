"""What identity keeps of one identifier: the fragment, its place among persons, and what waits (I6)."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

import msgspec

from processors.messages import (
    Consent,
    Enrolment,
    Message,
    Objection,
    PairStatement,
    Restriction,
    Said,
    encode,
)
from processors.pairs import exposed
from processors.register import Register, next_expiry
from processors.stage import NOTHING, Tally, tally_since

HELD, UNMATCHED = "held", "unmatched"
"""What is tallied of an identifier: events that wait (I6), annulments that found nothing yet (R3)."""

ASSERTION_BYTES = 96
"""What an assertion and its place in the state take beside what its message says: moments, digest, frames."""

PROTECTIVE_STATES = frozenset({"PAUSED", "WITHDRAWN", "OBJECTED", "RESTRICTED", "ENDED"})

Latest = TypeVar("Latest", Objection, Restriction, Enrolment)


class OwnPair(Message):
    """What this identifier said of one pair, and whether an unlink is known."""

    statements: tuple[PairStatement, ...] = ()
    contested: bool = False

    def exposed(self) -> tuple[PairStatement, ...]:
        """Return what persons is told of it."""
        return exposed(self.statements, self.contested)


class Held(Message):
    """What an event grants, waiting until persons has answered question ``awaited`` (I6)."""

    awaited: int
    said: Said


class Packed(Message):
    """A register as it lies in the state: still encoded, because a step touches one or two of many."""

    expires: int
    """The next moment at which one of its assertions is to be erased (R7), UTC ms."""
    assertions: msgspec.Raw


class IdentityState(Message):
    """The state of one identifier; ``housed`` once anything of it was sent to its person's record."""

    identifier: str
    person: str
    members: tuple[str, ...]
    superseded: tuple[str, ...] = ()
    restricted: bool = False
    move: int = 0
    housed: bool = False
    asked: int = 0
    answered: int = 0
    registers: dict[str, Packed] = {}
    annulled: tuple[tuple[str, str], ...] = ()
    consents: tuple[Consent, ...] = ()
    objections: dict[str, Objection] = {}
    restrictions: dict[str, Restriction] = {}
    enrolments: dict[str, Enrolment] = {}
    pairs: dict[str, OwnPair] = {}
    held: list[Held] = []
    unmatched: dict[str, int] = {}
    """Annulments that have found nothing yet, by `source NUL id`: when to report them (R3), UTC ms."""
    overfull: bool = False
    """Something was taken away that there was no room to remember: nothing is shared any more (R8)."""

    def register(self, key: str) -> Register:
        """Return a register; empty if nothing was said."""
        packed = self.registers.get(key)
        return () if packed is None else _decode_register(packed.assertions)

    def contents(self) -> dict[str, Register]:
        """Return all registers, unpacked."""
        return {key: self.register(key) for key in self.registers}

    def keep(self, key: str, register: Register) -> None:
        """Put a register in its place; an empty one has none."""
        expires = next_expiry(register)
        if expires is None:
            self.registers.pop(key, None)
        else:
            self.registers[key] = Packed(expires, msgspec.Raw(encode(register)))

    def pair(self, other: str) -> OwnPair:
        """Return what is known of the pair with ``other``, from now on kept."""
        return self.pairs.setdefault(other, OwnPair())

    def stated_restricted(self) -> bool:
        """Whether any owner protects this very identifier (C3); persons spreads it over the component."""
        return bool(self.restrictions) and any(r.state == "RESTRICTED" for r in self.restrictions.values())

    def is_worth_a_record(self) -> bool:
        """Whether a record must hold this fragment: it says something, or others name it as a member."""
        return bool(
            self.registers
            or self.consents
            or self.objections
            or self.enrolments
            or self.restrictions
            or self.overfull
            or len(self.members) > 1
        )

    def tally(self) -> Tally:
        """Count the events that wait here, by when they came, and the annulments that found nothing yet."""
        if not self.held and not self.unmatched:
            return NOTHING
        found = Counter(tally_since(HELD, held.said.cause.published_ms) for held in self.held)
        found[UNMATCHED] = len(self.unmatched)
        return found

    def next_wake(self) -> int | None:
        """The next moment at which an assertion is erased (R7) or an annulment is reported (R3)."""
        expiries = [packed.expires for packed in self.registers.values()]
        return min([*expiries, *self.unmatched.values()], default=None)


def takes_away(said: Said) -> bool:
    """Whether anything of the event takes away: then there is more room for it (R8)."""
    if said.annuls is not None or protects(said):
        return True
    return bool(said.pairs) and any(kind == "unlink" for kind, _ in said.pairs)


def protects(said: Said) -> bool:
    """Whether the event's statement takes away rather than allows (I6)."""
    # A loop, not `any` of a generator: every event is asked twice or more, and most state nothing.
    for stated in (said.consent, said.objection, said.restriction, said.enrolment):
        if stated is not None and stated.state in PROTECTIVE_STATES:
            return True
    return False


def grants(said: Said) -> bool:
    """Whether the event says anything that allows more, or may be seen: that may have to wait (I6)."""
    if said.values:
        return True
    stated = said.consent or said.objection or said.restriction or said.enrolment
    return stated is not None and not protects(said)


def state_bytes(said: Said, message_bytes: int) -> int:
    """How many bytes of state an event may take whose message has so many, at most.

    The first value stands for all that its message says of the event; each other one names the event again.
    """
    values = len(said.values)
    if not values:
        return message_bytes + _key_bytes(said)
    if values == 1:
        return message_bytes + ASSERTION_BYTES
    named_bytes = len(encode((said.cause, said.owner, said.item)))
    return message_bytes + ASSERTION_BYTES * values + named_bytes * (values - 1)


def taken_away_bytes(said: Said, message_bytes: int) -> int:
    """How many bytes of state it takes to remember what an event takes away: of a correction, its `prior`."""
    if said.values and said.annuls is not None:
        return len(encode((said.cause.source, said.annuls)))
    return message_bytes + _key_bytes(said)


def _key_bytes(said: Said) -> int:
    """How many bytes the key has under which a statement lies: it repeats names, and they may be long."""
    if said.objection is not None:
        return len(objection_key(said.objection).encode())
    if said.enrolment is not None:
        return len(enrolment_key(said.enrolment).encode())
    return 0 if said.restriction is None else len(said.restriction.owner)


def latest(kept: dict[str, Latest], key: str, statement: Latest) -> bool:
    """Keep ``statement`` if it is later than the one kept; at equal times the protective one wins (§5)."""
    before = kept.get(key)
    if before is not None and supersedes(before) >= supersedes(statement):
        return False
    kept[key] = statement
    return True


def supersedes(statement: Objection | Restriction | Enrolment) -> tuple[int, bool, str, str]:
    """The order between statements of one kind (§5): time, then the protective state, then (source, id)."""
    return (statement.time, statement.state in PROTECTIVE_STATES, statement.source, statement.id)


def restates(state: IdentityState, said: Said) -> bool:
    """Whether the same event has stated something else under §5: a publisher's error, of which both count
    (R2).
    """
    name = (said.cause.source, said.cause.id)
    if said.consent is not None:
        return said.consent not in state.consents and any((c.source, c.id) == name for c in state.consents)
    kept: Objection | Restriction | Enrolment | None = None
    if said.objection is not None:
        kept = state.objections.get(objection_key(said.objection))
    elif said.enrolment is not None:
        kept = state.enrolments.get(enrolment_key(said.enrolment))
    elif said.restriction is not None:
        kept = state.restrictions.get(said.restriction.owner)
    stated = said.objection or said.enrolment or said.restriction
    return kept is not None and (kept.source, kept.id) == name and kept != stated


def objection_key(objection: Objection) -> str:
    """Objections are told apart as stated, ``*`` included (C2)."""
    return f"{objection.subscriber}\0{objection.purpose}"


def enrolment_key(enrolment: Enrolment) -> str:
    """Enrolments are kept by who stated them, because only the agreement's own subscriber may (C4)."""
    return f"{enrolment.agreement}\0{enrolment.owner}"


_decode_register = msgspec.msgpack.Decoder(Register).decode
_decoder = msgspec.msgpack.Decoder(IdentityState)
decode_state = _decoder.decode
encode_state = msgspec.msgpack.Encoder().encode
