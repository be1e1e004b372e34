"""Registers: what one owner said of one attribute (and item) of one identifier, over time (R2, R4, R7).

A register is a tuple of assertions with at most one content an event. All functions are pure; the order
and the number of times in which assertions arrive change nothing while no bound is met (R6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from processors.messages import Assertion, Entry, Said
from processors.rules import Limits

Register = tuple[Assertion, ...]
EventName = tuple[str, str]
"""(source, id): what makes two events the same (E1)."""
CONTENT_BYTES = 16


def content_digest(type_: str, form: bytes) -> bytes:
    """What stands for an event's content where two are compared (R2): its type and its RFC 8785 form.

    Which of the two wins is arbitrary as long as everybody agrees, so 16 bytes are kept instead of the whole.
    """
    return hashlib.sha256(b"%s\0%s" % (type_.encode(), form)).digest()[:CONTENT_BYTES]


def asserted(said: Said, value: bytes) -> Assertion:
    """What an event says of one attribute (R1)."""
    return Assertion(
        said.effective_at,
        said.time,
        said.cause.source,
        said.cause.id,
        said.until,
        said.expires,
        value,
        content=said.content or content_digest(said.type, said.form),
    )


def standing(assertion: Assertion | Entry) -> tuple[int, int, str, str]:
    """The order in which assertions of a register supersede each other (R2, R4)."""
    return (assertion.effective_at, assertion.asserted_at, assertion.source, assertion.id)


def _content(assertion: Assertion) -> tuple[bytes, int]:
    """The order between two contents of one event: their digests, then time (R2)."""
    content = assertion.content or content_digest(assertion.type, assertion.form)
    return (content, assertion.asserted_at)


def add(register: Register, assertion: Assertion, now_ms: int, limits: Limits) -> tuple[Register, int]:
    """Return the register with ``assertion`` in it, and how many fell out of its bounds (R2)."""
    if assertion in register:
        return register, 0
    return bounded((*register, assertion), now_ms, limits)


def contradicts(register: Register, assertion: Assertion) -> bool:
    """Whether the register has another content of the same event: a publisher's error, of which one is lost
    (R2).
    """
    return any(
        each.id == assertion.id and each.source == assertion.source and _content(each) != _content(assertion)
        for each in register
    )


def bounded(assertions: Iterable[Assertion], now_ms: int, limits: Limits) -> tuple[Register, int]:
    """Keep what may still count at or after ``now_ms``: one content an event, bounded, unexpired (R2, R7).

    A lesser content of an event is kept only while it outlives the greater one, so that erasing the greater
    first or last makes no difference.
    """
    kept = [assertion for assertion in assertions if assertion.expires > now_ms]
    if len({assertion.id for assertion in kept}) < len(kept):
        kept = _longest_lived(kept)
    kept.sort(key=standing, reverse=True)
    fallen = 0
    if len(kept) > limits.register_depth or sum([len(a.value) for a in kept]) > limits.register_bytes:
        effective = [a for a in kept if a.effective_at <= now_ms]
        fitting = _fitting(effective, limits)
        fallen = len(effective) - fitting
        kept = [a for a in kept if a.effective_at > now_ms] + effective[:fitting]
    return tuple(kept), fallen


def _fitting(effective: list[Assertion], limits: Limits) -> int:
    """How many of what is effective, the greatest first, a register keeps (R2)."""
    size_bytes = 0
    for number, assertion in enumerate(effective[: limits.register_depth]):
        size_bytes += len(assertion.value)
        # INVARIANT: the greatest stays, whatever its size: it is the current value (R4).
        if number and size_bytes > limits.register_bytes:
            return number
    return min(len(effective), limits.register_depth)


def _longest_lived(assertions: Iterable[Assertion]) -> list[Assertion]:
    """Of an event's contents, the greatest, and those that outlive all greater ones (R2)."""
    by_event: dict[EventName, list[Assertion]] = {}
    for assertion in assertions:
        by_event.setdefault((assertion.source, assertion.id), []).append(assertion)
    kept: list[Assertion] = []
    for contents in by_event.values():
        outlives = 0
        for assertion in sorted(contents, key=_content, reverse=True):
            if assertion.expires > outlives:
                kept.append(assertion)
                outlives = assertion.expires
    return kept


def without(register: Register, annulled: Collection[EventName]) -> Register:
    """Return the register without the events that were annulled (R3)."""
    return tuple(a for a in register if (a.source, a.id) not in annulled)


def _is_outdone(assertion: Assertion, register: Register, now_ms: int) -> bool:
    """Whether the same event has another content that is greater and not expired (R2)."""
    if len(register) == 1:
        return False
    twins = [each for each in register if each.id == assertion.id and each.source == assertion.source]
    return len(twins) > 1 and any(
        twin.expires > now_ms and _content(twin) > _content(assertion) for twin in twins
    )


def entries(register: Register, now_ms: int) -> tuple[Entry, ...]:
    """What the record needs of a register: what is effective, what is not yet, what outlives it (R4, R7).

    Of the past, one is kept only if it expires after all that stand above it: then it counts again one day,
    and the record must have it by then, or the view would have a gap.
    """
    needed: list[Entry] = []
    outlives = 0
    for a in register:  # the greatest first
        past = a.effective_at <= now_ms
        if a.expires <= (max(outlives, now_ms) if past else now_ms) or _is_outdone(a, register, now_ms):
            continue
        if past:
            outlives = a.expires
        needed.append(Entry(a.effective_at, a.asserted_at, a.source, a.id, a.until, a.expires, a.value))
    needed.reverse()
    return tuple(needed)


def current(register: Iterable[Entry], now_ms: int) -> Entry | None:
    """The register's value at ``now_ms``: the greatest that is effective, if it has not ended (R4)."""
    effective = [entry for entry in register if entry.effective_at <= now_ms < entry.expires]
    if not effective:
        return None
    greatest = max(effective, key=standing) if len(effective) > 1 else effective[0]
    return None if greatest.until is not None and greatest.until <= now_ms else greatest


def next_expiry(register: Register) -> int | None:
    """The next moment at which an assertion is to be erased (R7), UTC ms."""
    return min([a.expires for a in register], default=None)
