"""Bearing: which of the events that came in one step a write is owed to, and so which it names (V5, V3)."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from processors.concern import Matter, enrolled_in
from processors.consent import ANY
from processors.golden import PersonFragment
from processors.messages import Cause, Caused, Fragment, register_parts


class Touch(NamedTuple):
    """What one event changed of a record; ``matters`` is None where it may concern every agreement."""

    cause: Cause
    protective: bool
    matters: Set[Matter] | None


class Change(NamedTuple):
    """What is written, as far as it says why.

    ``deciding`` is what its agreement decides by, ``shown`` the attributes whose value is another than was
    sent, ``lineage`` the (source, id) that these values come from (R5), ``ends`` whether the view ceases, and
    ``timed`` whether a moment, or other rules, may be why.
    """

    deciding: Set[Matter]
    shown: Set[str]
    lineage: Set[tuple[str, str]]
    ends: bool
    timed: bool


class Bearing:
    """What came since the last decision on a person, in its order."""

    def __init__(self) -> None:
        self._touches: list[Touch] = []

    def everybody(self, cause: Cause) -> None:
        """Note an event that concerns every agreement: an identifier comes, or goes."""
        self._touches.append(Touch(cause, False, None))

    def arrived(self, message: Fragment, matters: Set[Matter] | None) -> None:
        """Note a message of identity; ``matters`` is what all of it changed."""
        if not message.causes:
            self._touches.append(Touch(message.cause, message.protective, matters))
            return
        for each in message.causes:
            # Where the message concerns every agreement one of its parts says so, or all of it is new.
            self._touches.append(Touch(each.cause, each.protective, _matters_of(each)))

    def forget(self) -> None:
        """Begin anew after a decision."""
        self._touches = []

    def only(self) -> Touch | None:
        """What came, if it is one event: then it is the cause of all that no moment has changed."""
        return self._touches[0] if len(self._touches) == 1 else None

    def last(self, change: Change) -> Touch | None:
        """Return the last event that bears on a change, or None if none does: it was time, or other rules.

        What takes away comes first where a view ends. A value is owed to the event that it comes from; if
        none of these brought it, to the last that changed the attribute, for instance by an annulment.
        """
        bearing: Touch | None = None
        otherwise: Touch | None = None
        for touch in reversed(self._touches):
            if touch.matters is None or not change.deciding.isdisjoint(touch.matters):
                if touch.protective or not change.ends:
                    return bearing or touch
                bearing = bearing or touch
            elif not change.shown.isdisjoint(touch.matters):
                if (touch.cause.source, touch.cause.id) in change.lineage:
                    bearing = bearing or touch
                    if not change.ends:
                        return bearing
                otherwise = otherwise or touch
        return bearing or (None if change.timed else otherwise)


def matters_of(before: PersonFragment | None, message: Fragment) -> set[Matter] | None:
    """What a message changes of a fragment; None where it may concern every agreement."""
    if before is None or (
        (before.members, before.superseded, before.restricted, before.overfull)
        != (message.members, message.superseded, message.restricted, message.overfull)
    ):
        return None
    matters: set[Matter] = {register_parts(key)[0] for key in message.registers}
    if message.consents is not None:
        changed = set(message.consents) ^ set(before.consents)
        matters.update((consent.subscriber, consent.purpose) for consent in changed)
    if message.objections is not None:
        objected = {(o.subscriber, o.purpose) for o in set(message.objections) ^ set(before.objections)}
        if any(ANY in pair for pair in objected):
            return None
        matters |= objected
    if message.enrolments is not None:
        matters.update(enrolled_in(e.agreement) for e in set(message.enrolments) ^ set(before.enrolments))
    return matters


def _matters_of(caused: Caused) -> Set[Matter] | None:
    """What one event of several changed; None where it may concern every agreement."""
    if not caused.parts:
        return frozenset(caused.attributes)
    matters: set[Matter] = set(caused.attributes)
    for section, name in caused.parts:
        first, _, second = name.partition("\0")
        if section == "enrolments":
            matters.add(enrolled_in(first))
        elif section in ("person", "protection") or ANY in (first, second):
            return None
        else:
            matters.add((first, second))
    return matters
