"""Obligations: what a subscriber owes to delete, until when, and whether it said that it did (V4).

A small fifth stage with state by obligation (`docs/adr/0004-obligations-ledger.md`). The record stage says
what is owed; the subscriber's acknowledgement, which knows the obligation and not the person, comes by
intake. Either may arrive first. A deadline that passes is counted by time alone (V8).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from processors.messages import Acknowledged, Message, Owed, decode_for_obligations, encode
from processors.stage import NOTHING, Lookup, Outcome, Record, State, Step, Tally, by_key, keys_of

OPEN, OVERDUE = "open", "overdue"
"""What is tallied of the ledger: obligations that are not done, by subscriber (V4)."""


class Obligation(Message):
    """The state of one obligation; moments in UTC ms. `acknowledged_by` holds words that came early, too."""

    obligation: str
    owed: Owed | None = None
    acknowledged_by: dict[str, int] = {}
    overdue_told: bool = False

    def acknowledged_ms(self) -> int | None:
        """When the subscriber that owes it said that it is done; nobody else's word counts."""
        return None if self.owed is None else self.acknowledged_by.get(self.owed.subscriber)

    def tally(self) -> Tally:
        """Count what is owed by whom, once it was told overdue as that."""
        if self.owed is None or self.acknowledged_ms() is not None:
            return NOTHING
        return {f"{OVERDUE if self.overdue_told else OPEN}/{self.owed.subscriber}": 1}

    def state(self, now_ms: int) -> str:
        """Return open, overdue, done, or early (acknowledged before anything was owed)."""
        if self.owed is None:
            return "early"
        if self.acknowledged_ms() is not None:
            return "done"
        return "overdue" if self.owed.deadline_ms <= now_ms else "open"


read_obligation = msgspec.msgpack.Decoder(Obligation).decode


class Obligations:
    """The ledger of what subscribers owe."""

    name = "obligations"
    rules_version: str | None = None

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return the obligations that ``batch`` speaks of."""
        return keys_of(batch)

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Enter what is owed and what is acknowledged; count what became open, done, or overdue."""
        step = Step()
        for key, values in by_key(batch, wakes).items():
            body = states(key)
            entry = read_obligation(body) if body is not None else Obligation(key.decode())
            before = entry.tally()
            was_owed, was_done = entry.owed is not None, entry.acknowledged_ms() is not None
            for value in values:
                _enter(entry, decode_for_obligations(value), step)
            _count(entry, was_owed, was_done, now_ms, step)
            open_until = entry.owed.deadline_ms if entry.owed and entry.state(now_ms) == "open" else None
            step.tally(before, entry.tally())
            step.states[key] = State(encode(entry), open_until)
        return step

    def tally(self, key: bytes, body: bytes) -> Tally:
        """Count one obligation if it is not done."""
        return read_obligation(body).tally()


def _enter(entry: Obligation, message: Owed | Acknowledged, step: Step) -> None:
    if isinstance(message, Owed):
        entry.owed = message
        return
    if entry.owed is not None and message.subscriber != entry.owed.subscriber:
        step.outcomes.append(Outcome(entry.owed.subscriber, "ignored", "another-subscriber"))
        return
    before = entry.acknowledged_by.get(message.subscriber)
    earliest = message.time_ms if before is None else min(before, message.time_ms)
    entry.acknowledged_by[message.subscriber] = earliest


def _count(entry: Obligation, was_owed: bool, was_done: bool, now_ms: int, step: Step) -> None:
    if entry.owed is None:
        return
    subscriber = entry.owed.subscriber
    if not was_owed:
        step.outcomes.append(Outcome(subscriber, "obligation-opened"))
    if entry.acknowledged_ms() is not None and not was_done:
        reason = "late" if entry.overdue_told else "in-time"
        step.outcomes.append(Outcome(subscriber, "obligation-done", reason))
    if entry.state(now_ms) == "overdue" and not entry.overdue_told:
        entry.overdue_told = True
        step.outcomes.append(Outcome(subscriber, "obligation-overdue"))
