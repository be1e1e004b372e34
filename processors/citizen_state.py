"""What the record stage keeps of one person: fragments, what each agreement was last sent, keys in
custody.
"""

from __future__ import annotations

import msgspec

from processors.golden import PersonFragment
from processors.messages import Cause, Delivered, Message


class Sent(Message):
    """The view that a subscriber now has: its key, its content, and whose values it holds (V1, V4)."""

    key: str
    version: int
    subscriber: str
    content: dict[str, bytes]
    sources: dict[str, tuple[str, ...]]


class Handover(Message):
    """A departure whose keys have not come yet: where to send them on when they do (V2)."""

    successor: str
    merged: bool
    cause: Cause


class RecordState(Message):
    """The state of one person.

    ``released`` holds, by identifier, the highest move whose keys have arrived; ``handovers`` those still
    owed to
    a later record, by ``identifier NUL move``; ``sequences`` the last one written, by ``agreement NUL key``;
    ``inherited`` what was delivered under keys that merged into this person and is not yet superseded.
    """

    person: str
    fragments: dict[str, PersonFragment] = {}
    sent: dict[str, Sent] = {}
    sequences: dict[str, int] = {}
    released: dict[str, int] = {}
    handovers: dict[str, Handover] = {}
    inherited: dict[str, tuple[Delivered, ...]] = {}
    superseded_keys: dict[str, tuple[str, ...]] = {}

    def has_custody(self, identifier: str, move: int) -> bool:
        """Whether the keys of ``identifier`` at ``move`` are here: its first home, or they were released
        (V2).
        """
        return move == 0 or self.released.get(identifier, 0) >= move

    def next_sequence(self, agreement: str, key: str) -> int:
        """Count one more record under a key (V3)."""
        name = f"{agreement}\0{key}"
        self.sequences[name] = self.sequences.get(name, 0) + 1
        return self.sequences[name]


_decoder = msgspec.msgpack.Decoder(RecordState)
decode_record = _decoder.decode
encode_record = msgspec.msgpack.Encoder().encode
