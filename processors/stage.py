"""What a stage is: a pure function of (rules, states, batch, now) to (states, outgoing, outcomes).

A stage knows no Kafka, no clock, no randomness and no metrics (DESIGN §7). The engine, the replay and the
simulator all drive the same object through the one method :meth:`Stage.step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

Headers = tuple[tuple[str, bytes], ...]
"""Kafka headers, in their order."""

Lookup = Callable[[bytes], bytes | None]
"""The body of a key's state, or None when the key has none."""


class Record(NamedTuple):
    """One Kafka record as a stage sees it; ``timestamp_ms`` is the broker's (LogAppendTime)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Outgoing(NamedTuple):
    """One record to write; the engine chooses the partition from ``key``. A None value is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()


class State(NamedTuple):
    """What a key's state becomes, and the next moment at which time alone changes something (V8)."""

    body: bytes
    wake_ms: int | None = None


class Outcome(NamedTuple):
    """One countable fact about a step; every field comes from a bounded set (no person, no event)."""

    type: str
    outcome: str
    reason: str = ""
    times: int = 1


class Notice(NamedTuple):
    """Something to say of one event in the log: which it is and why, never what it holds."""

    what: str
    reason: str
    source: str
    id: str
    traceparent: str = ""


class Latency(NamedTuple):
    """A moment to measure from, once the step is committed: ``name`` is the histogram's."""

    name: Literal["end_to_end", "withdrawal_to_retraction", "moment_to_view"]
    since_ms: int


class Trace(NamedTuple):
    """What a step made of one event that carries its department's trace (V3), for whoever collects spans.

    ``of`` is the contract's type or the agreement; ``since_ms`` is when the broker had the event.
    """

    traceparent: str
    what: Literal["accepted", "rejected", "view", "retraction"]
    of: str
    since_ms: int


Tally = Mapping[str, int]
"""How much a state holds of what is counted over all states, by name: `kind`, or `kind/which`, of a bounded
set.
"""
NOTHING: Tally = MappingProxyType({})

SINCE_MS = 15_000
"""How finely a tally says since when: an age is told to within this much."""


def tally_since(kind: str, since_ms: int) -> str:
    """Name a tally that tells how long something has lasted; a bucket of time, so that they stay few."""
    return f"{kind}/{since_ms // SINCE_MS * SINCE_MS}"


@dataclass(slots=True)
class Step:
    """What one step leaves behind: changed states (None deletes), records to write, facts to count.

    ``tallies`` is by how much the step changes what the states hold together, by name (docs/adr/0040): the
    sum over :meth:`Stage.tally` of every state after it, less that before it.
    """

    states: dict[bytes, State | None] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    tallies: dict[str, int] = field(default_factory=dict)

    def tally(self, before: Tally, after: Tally) -> None:
        """Count what one state held ``before`` the step and holds ``after`` it."""
        for held, sign in ((before, -1), (after, 1)):
            for name, count in held.items():
                self.tallies[name] = self.tallies.get(name, 0) + sign * count


def keys_of(batch: Sequence[Record]) -> set[bytes]:
    """The keys that a batch speaks of, for a stage whose state is by the record's key."""
    return {record.key for record in batch if record.key is not None}


def by_key(batch: Sequence[Record], wakes: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    """The values of a batch by key, each key's in their order; a wake is a key with nothing to say."""
    values: dict[bytes, list[bytes]] = {}
    for record in batch:
        if record.key is not None and record.value is not None:
            values.setdefault(record.key, []).append(record.value)
    for key in wakes:
        values.setdefault(key, [])
    return values


class Stage(Protocol):
    """A stage of the way through (DESIGN §7); implementations are intake, identity, persons and record."""

    name: str
    rules_version: str | None
    """When it differs from the one last swept, the engine delivers every key as a wake (V9)."""

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return the keys whose states a step over ``batch`` surely reads, so that they load at once."""
        ...

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Fold ``batch`` and due ``wakes`` at ``now_ms`` (UTC ms); raise nothing for data's sake.

        A state is looked up before it is written, so that the engine knows what it replaces.
        """
        ...

    def tally(self, key: bytes, body: bytes) -> Tally:
        """Say what one state holds; the same for the same bytes, whatever the rules."""
        ...
