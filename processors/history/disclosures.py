"""The disclosure log as the checker reads it (V5): one entry, and what is kept of the entries of a key."""

from __future__ import annotations

from typing import Any

import msgspec

from processors.history.findings import Place


class Caused(msgspec.Struct):
    """The event that an entry names; both are empty when time alone caused it."""

    source: str = ""
    id: str = ""


class Entry(msgspec.Struct):
    """One entry of the log; what is not named here is not checked."""

    kind: str
    time: str
    agreement: str
    version: int
    subscriber: str
    key: str
    person: str
    sequence: int
    fields: list[str]
    decision: dict[str, Any]
    cause: Caused
    commitment: str
    reason: str | None = None

    @property
    def is_view(self) -> bool:
        """Whether it is about a view, not about its end."""
        return self.kind == "view"

    def event(self) -> tuple[str, str] | None:
        """The event that caused it, for a finding."""
        return (self.cause.source, self.cause.id) if self.cause.source else None

    def answer(self, attribute: str) -> dict[str, Any]:
        """What was decided about one attribute: its permit, or why it was denied."""
        answer: dict[str, Any] = self.decision.get("attributes", {}).get(attribute, {})
        return answer


read_entry = msgspec.json.Decoder(Entry).decode


class Logged:
    """The entries about one key of one agreement, as far as they were read."""

    __slots__ = ("beyond", "fields", "is_view", "last", "partition", "person", "settled", "upto")

    def __init__(self) -> None:
        self.upto = 0
        """Every sequence up to this one has an entry."""
        self.beyond: set[int] = set()
        """Further sequences that have one."""
        self.last = 0
        """The greatest of them; the rest is about it."""
        self.is_view, self.person, self.partition = False, "", -1
        self.fields: list[str] = []
        self.settled: tuple[int, bool, Place] | None = None
        """The greatest that is judged, whether it is a view, and where it is."""

    def has(self, sequence: int) -> bool:
        """Whether this sequence has an entry."""
        return 0 < sequence <= self.upto or sequence in self.beyond

    def holds_before(self, entry: Entry) -> bool:
        """Whether the last entry is a view, and the one just before this."""
        return self.is_view and self.last == entry.sequence - 1

    def add(self, entry: Entry, place: Place, settled: bool) -> None:
        """Take one more entry."""
        self.beyond.add(entry.sequence)
        while self.upto + 1 in self.beyond:
            self.upto += 1
            self.beyond.discard(self.upto)
        if settled and (self.settled is None or self.settled[0] < entry.sequence):
            self.settled = (entry.sequence, entry.is_view, place)
        if entry.sequence > self.last:
            self.last, self.is_view, self.person = entry.sequence, entry.is_view, entry.person
            self.fields, self.partition = entry.fields, place.partition
