"""Registers: what one owner said of one attribute (and item) of one identifier, over time (R2, R4, R7).

A register is a tuple of assertions with at most one content an event. All functions are pure; the order
and the
number of times in which assertions arrive change nothing while no bound is met (R6).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from processors.messages import Assertion, Entry

Register = tuple[Assertion, ...]
EventName = tuple[str, str]
"""(source, id): what makes two events the same (E1)."""


def standing(assertion: Assertion | Entry) -> tuple[int, int, str, str]:
    """The order in which assertions of a register supersede each other (R2, R4)."""
    return (assertion.effective_at, assertion.asserted_at, assertion.source, assertion.id)


def _content(assertion: Assertion) -> tuple[bytes, int, str]:
    """The order between two contents of one event: RFC 8785 form, then time, then type (R2)."""
    return (assertion.form, assertion.asserted_at, assertion.type)


def add(register: Register, assertion: Assertion, now_ms: int, depth: int) -> tuple[Register, int]:
    """Return the register with ``assertion`` in it, and how many fell out of its bound (R2)."""
    if assertion in register:
        return register, 0
    return bounded((*register, assertion), now_ms, depth)


def bounded(assertions: Iterable[Assertion], now_ms: int, depth: int) -> tuple[Register, int]:
    """Keep what may still count at or after ``now_ms``: one content an event, bounded, unexpired (R2, R7).

    A lesser content of an event is kept only while it outlives the greater one, so that erasing the greater
    first or last makes no difference.
    """
    by_event: dict[EventName, list[Assertion]] = {}
    for assertion in assertions:
        if assertion.expires > now_ms:
            by_event.setdefault((assertion.source, assertion.id), []).append(assertion)
    kept: list[Assertion] = []
    for contents in by_event.values():
        outlives = 0
        for assertion in sorted(contents, key=_content, reverse=True):
            if assertion.expires > outlives:
                kept.append(assertion)
                outlives = assertion.expires
    kept.sort(key=standing, reverse=True)
    effective = [a for a in kept if a.effective_at <= now_ms]
    fallen = effective[depth:]
    if fallen:
        kept = [a for a in kept if a.effective_at > now_ms] + effective[:depth]
    return tuple(kept), len(fallen)


def without(register: Register, annulled: Collection[EventName]) -> Register:
    """Return the register without the events that were annulled (R3)."""
    return tuple(a for a in register if (a.source, a.id) not in annulled)


def _winners(register: Register) -> list[Assertion]:
    """One content an event: the greatest that is left (R2)."""
    best: dict[EventName, Assertion] = {}
    for assertion in register:
        name = (assertion.source, assertion.id)
        if name not in best or _content(assertion) > _content(best[name]):
            best[name] = assertion
    return list(best.values())


def entries(register: Register, now_ms: int) -> tuple[Entry, ...]:
    """What the record needs of a register: what is effective, what is not yet, what outlives it (R4, R7).

    Of the past, one is kept only if it expires after all that stand above it: then it counts again one day,
    and the record must have it by then, or the view would have a gap.
    """
    winners = sorted(_winners(tuple(a for a in register if a.expires > now_ms)), key=standing, reverse=True)
    future = [a for a in winners if a.effective_at > now_ms]
    past: list[Assertion] = []
    for assertion in winners[len(future) :]:
        if not past or assertion.expires > past[-1].expires:
            past.append(assertion)
    return tuple(
        Entry(a.effective_at, a.asserted_at, a.source, a.id, a.until, a.expires, a.value)
        for a in reversed((*future, *past))
    )


def current(register: Iterable[Entry], now_ms: int) -> Entry | None:
    """The register's value at ``now_ms``: the greatest that is effective, if it has not ended (R4)."""
    effective = [e for e in register if e.effective_at <= now_ms < e.expires]
    if not effective:
        return None
    greatest = max(effective, key=standing)
    return None if greatest.until is not None and greatest.until <= now_ms else greatest


def next_expiry(register: Register) -> int | None:
    """The next moment at which an assertion is to be erased (R7), UTC ms."""
    return min((a.expires for a in register), default=None)
