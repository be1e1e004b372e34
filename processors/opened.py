"""The registers that a step of an identifier has opened, and what its record must be sent of them (R2)."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from processors import register
from processors.causes import Causes
from processors.fragment import IdentityState
from processors.messages import Assertion, Entry, encode, pack_entries
from processors.register import EventName, Register
from processors.rules import Limits


class OpenRegisters:
    """Most of a fragment's registers stay encoded in its state; a step opens those that it touches."""

    def __init__(self, state: IdentityState, causes: Causes, limits: Limits, now_ms: int) -> None:
        self.state, self.causes, self.limits, self.now_ms = state, causes, limits, now_ms
        self._open: dict[str, Register] = {}
        self._sent_before: dict[str, tuple[Entry, ...] | None] = {}

    def __getitem__(self, key: str) -> Register:
        """A register as it is now: opened in this step, or still as it lies in the state."""
        opened = self._open.get(key)
        return self.state.register(key) if opened is None else opened

    def opened(self, key: str) -> Register:
        """Open a register, and remember what the record was last sent of it, before it changes.

        What has expired since was sent too: then nothing that can be computed now is what was sent.
        """
        opened = self._open.get(key)
        if opened is None:
            opened = self._open[key] = self.state.register(key)
            expired = any(a.expires <= self.now_ms for a in opened)
            self._sent_before[key] = None if expired else register.entries(opened, self.now_ms)
        return opened

    def add(self, key: str, assertion: Assertion) -> int:
        """Take an assertion in; return how many fell out of the register's bounds (R2)."""
        before = self.opened(key)
        kept, fallen = register.add(before, assertion, self.now_ms, self.limits)
        if kept is not before:
            self._open[key] = kept
            self.causes.changed_register(key)
        return fallen

    def grown_bytes(self, key: str, assertion: Assertion) -> int:
        """By how much an assertion would let a register grow: what falls out of it makes room (R2)."""
        before = self[key]
        after, _ = register.add(before, assertion, self.now_ms, self.limits)
        return len(encode(after)) - len(encode(before))

    def annul(self, annulled: Collection[EventName]) -> bool:
        """Remove what events that are annulled said (R3); return whether there was anything."""
        found = False
        for key in {*self.state.registers, *self._open}:
            assertions = self[key]
            kept = register.without(assertions, annulled)
            if len(kept) != len(assertions):
                found = True
                self.opened(key)
                self._keep(key, kept)
        return found

    def pack(self) -> None:
        """Put what is open into the state, as it is now."""
        for key, assertions in self._open.items():
            self.state.keep(key, assertions)

    def expire(self) -> None:
        """Erase what has expired (R7), and put what is open into the state."""
        for key, packed in self.state.registers.items():
            if packed.expires <= self.now_ms:
                self.opened(key)
        for key, assertions in self._open.items():
            if any(assertion.expires <= self.now_ms for assertion in assertions):
                self._keep(key, register.bounded(assertions, self.now_ms, self.limits)[0])
        self.pack()

    def to_send(self, whole: bool) -> dict[str, msgspec.Raw]:
        """Return the registers of which the record must be told: all, or those that changed for it."""
        found = {}
        for key in sorted(self.state.registers.keys() if whole else self._sent_before.keys()):
            entries = register.entries(self[key], self.now_ms)
            if whole or entries != self._sent_before[key]:
                found[key] = pack_entries(entries)
        return found

    def _keep(self, key: str, kept: Register) -> None:
        """Put what an event makes of an open register in its place; note that it was this event (V5)."""
        self._open[key] = kept
        self.causes.changed_register(key)
