"""What the stages say to each other: compact msgpack structs on the internal topics.

Array-like and without garbage-collector bookkeeping, because a stage decodes one for every message. Fields
are only ever appended, each with a default, so that yesterday's bytes decode for ever (`tests/golden`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

ASSERTIONS_TOPIC = "postroom.assertions"
PAIRS_TOPIC = "postroom.pairs"
FRAGMENTS_TOPIC = "postroom.fragments"
DEAD_LETTERS_TOPIC = "postroom.dead-letters"
LETTER_REQUESTS_TOPIC = "postroom.dead-letters.requests"
LETTER_DECISIONS_TOPIC = "postroom.dead-letters.decisions"
DISPUTES_TOPIC = "postroom.disputes"
DISCLOSURES_TOPIC = "postroom.disclosures"
REPORTS_TOPIC = "postroom.reports"
OBLIGATIONS_TOPIC = "postroom.obligations"
ACKNOWLEDGEMENTS_TOPIC = "acknowledgements"

StatementKind = Literal["link", "unlink", "same-person", "superseded-by"]


class Message(msgspec.Struct, array_like=True, gc=False, tag_field="kind"):
    """Anything on an internal topic."""


class Value(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """An immutable part of a message or of a state."""


class Cause(Value, frozen=True):
    """The event that set a change going: its name, and when the broker had it (UTC ms)."""

    source: str = ""
    id: str = ""
    published_ms: int = 0
    traceparent: str = ""


class PairStatement(Value, frozen=True, order=True):
    """One statement that a subject made about a pair (I2); ``time`` in UTC ms."""

    time: int
    source: str
    id: str
    kind: StatementKind


class Consent(Value, frozen=True):
    """One consent statement (C1); ``begins`` and ``ends`` are instants, ``ends`` exclusive."""

    time: int
    source: str
    id: str
    subscriber: str
    purpose: str
    categories: tuple[str, ...]
    state: Literal["GRANTED", "PAUSED", "WITHDRAWN"]
    begins: int | None = None
    ends: int | None = None


class Objection(Value, frozen=True):
    """One objection, or its lifting (C2), as stated: either name may be ``*``."""

    time: int
    source: str
    id: str
    subscriber: str
    purpose: str
    state: Literal["OBJECTED", "LIFTED"]


class Restriction(Value, frozen=True):
    """One owner's word that a person is protected, or no longer (C3)."""

    time: int
    source: str
    id: str
    owner: str
    state: Literal["RESTRICTED", "LIFTED"]


class Enrolment(Value, frozen=True):
    """One subscriber's interest in a person, or its end (C4)."""

    time: int
    source: str
    id: str
    owner: str
    agreement: str
    state: Literal["ENROLLED", "ENDED"]


class Assertion(Value, frozen=True):
    """One attribute value from one event (R1); the register it lies in holds the rest.

    ``value`` is RFC 8785 JSON. ``content`` is the digest by which two contents of one event are told apart
    (R2); until docs/adr/0008 ``type`` and ``form``, the event's whole data, stood here instead. Instants in
    UTC ms; ``until`` and ``expires`` exclusive.
    """

    effective_at: int
    asserted_at: int
    source: str
    id: str
    until: int | None
    expires: int
    value: bytes
    type: str = ""
    form: bytes = b""
    content: bytes = b""


class Entry(Value, frozen=True):
    """An assertion as the record keeps it: what the golden value and its lineage need (R5)."""

    effective_at: int
    asserted_at: int
    source: str
    id: str
    until: int | None
    expires: int
    value: bytes


def pack_entries(entries: tuple[Entry, ...]) -> msgspec.Raw:
    """A register as it goes to the record and lies there: still encoded, until somebody asks for it."""
    return msgspec.Raw(encode(entries))


def entries_of(packed: msgspec.Raw) -> tuple[Entry, ...]:
    """Return a register's entries; of equal bytes, equal ones."""
    return _decode_entries(packed)


class Said(Message, tag="said"):
    """What one accepted event says about its subject, from intake to identity.

    ``content`` is the digest that R2 orders contents by; ``form`` what older workers sent in its place.
    """

    subject: str
    owner: str
    type: str
    time: int
    cause: Cause
    expires: int
    effective_at: int
    until: int | None = None
    item: str = ""
    values: tuple[tuple[str, bytes], ...] = ()
    form: bytes = b""
    annuls: str | None = None
    pairs: tuple[tuple[StatementKind, str], ...] = ()
    consent: Consent | None = None
    objection: Objection | None = None
    restriction: Restriction | None = None
    enrolment: Enrolment | None = None
    content: bytes = b""


class Told(Message, tag="told"):
    """What persons answers to an identifier: its person, its members, its disputes, its protection."""

    identifier: str
    answered: int
    person: str
    members: tuple[str, ...]
    superseded: tuple[str, ...]
    restricted: bool
    contested: tuple[str, ...]
    disputes: tuple[tuple[str, str], ...]
    merged: bool
    cause: Cause


class Claims(Message, tag="claims"):
    """What an identifier now says about its pairs and its own protection; replaces what it said of them."""

    identifier: str
    asked: int
    pairs: dict[str, tuple[PairStatement, ...]]
    restricted: bool
    cause: Cause


Part = tuple[Literal["person", "protection", "consents", "objections", "enrolments"], str]
"""A part of a fragment, no register, that one event can change: its section, and its name there."""

PERSON: Part = ("person", "")
PROTECTION: Part = ("protection", "")


class Caused(Value, frozen=True):
    """What one event changed of a fragment, where several events of one step did (V5).

    Without an event (V8) the cause is empty; ``attributes`` are those of the registers that it changed.
    """

    cause: Cause
    protective: bool
    attributes: tuple[str, ...]
    parts: tuple[Part, ...] = ()


class Fragment(Message, tag="fragment"):
    """What changed of a fragment, or all of it when ``whole`` (I6); absent sections are unchanged.

    A register is :data:`NO_ENTRIES` when nothing of it counts any more. ``causes`` says what came of which
    event, in their order; it is empty when all came of ``cause``, as it mostly did (docs/adr/0062).
    """

    person: str
    identifier: str
    move: int
    whole: bool
    members: tuple[str, ...]
    superseded: tuple[str, ...]
    restricted: bool
    cause: Cause
    registers: dict[str, msgspec.Raw] = {}
    consents: tuple[Consent, ...] | None = None
    objections: tuple[Objection, ...] | None = None
    enrolments: tuple[Enrolment, ...] | None = None
    protective: bool = False
    overfull: bool = False
    causes: tuple[Caused, ...] = ()


class Departed(Message, tag="departed"):
    """An identifier left this person for ``successor`` (I6); ``merged`` when all of this person went
    along.
    """

    person: str
    identifier: str
    move: int
    successor: str
    merged: bool
    cause: Cause


class Delivered(Value, frozen=True):
    """Values that a subscriber received under a key and that no view shows any more.

    ``sequence`` is the last one written under the key when they ceased to be shown; ``sources`` holds, by
    attribute, the identifiers whose values they were.
    """

    key: str
    subscriber: str
    sequence: int
    sources: dict[str, tuple[str, ...]]


class Released(Message, tag="released"):
    """The old record lets go of the keys that are this identifier (V2), with their sequences by agreement.

    ``delivered`` is what subscribers had of the old record's person, by agreement, when all of it went along:
    the new record says so in `postroom_supersedes`, and owes the deletion of what it may not share (V4).
    """

    person: str
    identifier: str
    move: int
    sequences: dict[str, int]
    delivered: dict[str, tuple[Delivered, ...]]
    cause: Cause


class Owed(Message, tag="owed"):
    """A deletion that a subscriber owes (V4): from the record to the ledger. Moments in UTC ms."""

    obligation: str
    subscriber: str
    agreement: str
    key: str
    attributes: tuple[str, ...]
    since_ms: int
    deadline_ms: int


class Acknowledged(Message, tag="acknowledged"):
    """A subscriber's word that it has deleted what it owed (V4): from intake to the ledger."""

    obligation: str
    subscriber: str
    time_ms: int


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
_decode_entries = msgspec.msgpack.Decoder(tuple[Entry, ...]).decode
NO_ENTRIES = pack_entries(())
decode_for_identity = msgspec.msgpack.Decoder(Said | Told).decode
decode_for_persons = msgspec.msgpack.Decoder(Claims).decode
decode_for_obligations = msgspec.msgpack.Decoder(Owed | Acknowledged).decode
decode_for_record = msgspec.msgpack.Decoder(Fragment | Departed | Released).decode


def register_key(attribute: str, owner: str, item: str) -> str:
    """Name a register within its fragment (R2); attribute and owner hold no NUL, an item may."""
    return f"{attribute}\0{owner}\0{item}"


def register_parts(key: str) -> tuple[str, str, str]:
    """Return (attribute, owner, item) of a register's name."""
    attribute, owner, item = key.split("\0", 2)
    return attribute, owner, item
