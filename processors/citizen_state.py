"""What the record stage keeps of one person: fragments, what each agreement was sent, keys in custody."""

from __future__ import annotations

import hashlib

import msgspec

from processors.golden import PersonFragment
from processors.messages import Cause, Delivered, Message
from processors.stage import NOTHING, Tally, tally_since

INCOMPLETE = "incomplete"
"""What is tallied of a record: that a part of it is still travelling (I6)."""

VALUE_BYTES_KEPT = 4096
"""A longer value that was sent is remembered by its digest: a record has room for all its agreements (R8)."""


class Sent(Message):
    """The view that a subscriber now has: its key, its content, and whose values it holds (V1, V4).

    In a state the content holds long values as :func:`remembered` has them: enough to tell a change.
    """

    key: str
    version: int
    subscriber: str
    content: dict[str, bytes]
    sources: dict[str, tuple[str, ...]]

    def kept(self) -> Sent:
        """Return it as a state holds it."""
        if not self.content or max(map(len, self.content.values())) <= VALUE_BYTES_KEPT:
            return self
        content = {name: remembered(value) for name, value in self.content.items()}
        return Sent(self.key, self.version, self.subscriber, content, self.sources)


def remembered(value: bytes) -> bytes:
    """What is kept of a value that was sent: itself, or if it is long a zero byte, its digest and its fields.

    The fields are those that were not null; what an agreement no longer names of them is owed (V4).
    """
    if len(value) <= VALUE_BYTES_KEPT:
        return value
    return b"\0" + hashlib.sha256(value).digest() + msgspec.json.encode(_fields_shown(value))


def fields_sent(kept: bytes) -> list[str]:
    """The fields of a record value that were sent, or of each item's, by what is kept of it."""
    if kept[:1] == b"\0":
        return list(msgspec.json.decode(kept[33:]))
    return _fields_shown(kept)


def _fields_shown(value: bytes) -> list[str]:
    shown = msgspec.json.decode(value)
    values = [entry["value"] for entry in shown] if isinstance(shown, list) else [shown]
    return sorted(
        {name for each in values if isinstance(each, dict) for name in each if each[name] is not None}
    )


class Handover(Message):
    """A departure whose keys have not come yet: where to send them on when they do, and what with (V2)."""

    successor: str
    merged: bool
    cause: Cause
    delivered: dict[str, tuple[Delivered, ...]] = {}


class RecordState(Message):
    """The state of one person.

    - ``sent``: what each agreement was last sent; ``sequences``: the last one, by ``agreement NUL key``.
    - ``released``: by identifier, the highest move whose keys have arrived; ``handovers``: those still owed
      to a later record, by ``identifier NUL move``.
    - ``dropped``: what left a view while half was said, until a complete decision or a view settles it.
    - ``inherited``: what was delivered under keys that merged into this person; a view that takes their
      place settles it, and ``superseded_keys`` remembers up to which sequence.
    - ``wake_ms``: the next moment at which time alone changes something (V8).
    - ``incomplete_since_ms``: since when a part of it is travelling (I6), 0 while it is whole or empty.

    INVARIANT: what a subscriber received is in a view, or in ``dropped``, ``inherited`` or ``delivered`` of
    some record or message, or settled: superseded, corrected, or owed to be deleted (V4).
    """

    person: str
    fragments: dict[str, PersonFragment] = {}
    sent: dict[str, Sent] = {}
    sequences: dict[str, int] = {}
    released: dict[str, int] = {}
    handovers: dict[str, Handover] = {}
    dropped: dict[str, tuple[Delivered, ...]] = {}
    inherited: dict[str, tuple[Delivered, ...]] = {}
    superseded_keys: dict[str, dict[str, int]] = {}
    wake_ms: int | None = None
    incomplete_since_ms: int = 0

    def tally(self) -> Tally:
        """Count the record if a part of it is still travelling, by since when (I6)."""
        since_ms = self.incomplete_since_ms
        return {tally_since(INCOMPLETE, since_ms): 1} if since_ms else NOTHING

    def has_custody(self, identifier: str, move: int) -> bool:
        """Whether the keys of ``identifier`` at ``move`` are here: its first home, or released to us (V2)."""
        return move == 0 or self.released.get(identifier, 0) >= move

    def next_sequence(self, agreement: str, key: str) -> int:
        """Count one more record under a key (V3)."""
        name = f"{agreement}\0{key}"
        self.sequences[name] = self.sequences.get(name, 0) + 1
        return self.sequences[name]


_decoder = msgspec.msgpack.Decoder(RecordState)
decode_record = _decoder.decode
encode_record = msgspec.msgpack.Encoder().encode


Ledger = dict[str, tuple[Delivered, ...]]
"""By agreement, what was delivered and is not settled; one entry a key, in order of the keys."""


def remember(ledger: Ledger, agreement: str, delivered: Delivered) -> None:
    """Add to what is not settled; what is known of the key already keeps the sequence since when it is so."""
    entries = {entry.key: entry for entry in ledger.get(agreement, ())}
    known = entries.get(delivered.key)
    if known is not None:
        sources = dict(known.sources)
        for attribute, identifiers in delivered.sources.items():
            sources[attribute] = tuple(sorted({*sources.get(attribute, ()), *identifiers}))
        sequence = min(known.sequence, delivered.sequence)
        delivered = Delivered(known.key, delivered.subscriber, sequence, sources)
    entries[delivered.key] = delivered
    ledger[agreement] = tuple(entries[key] for key in sorted(entries))


def gathered(*ledgers: Ledger) -> Ledger:
    """Several as one."""
    together: Ledger = {}
    for ledger in ledgers:
        for agreement, entries in ledger.items():
            for entry in entries:
                remember(together, agreement, entry)
    return together
