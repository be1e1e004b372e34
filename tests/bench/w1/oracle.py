"""What every program's views must be at the end of W1, folded from the events themselves, slowly and plainly.

It shares no code with any program that it judges: no codec, no step, no identifier check (the workload knows
whom it wrote about).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.bench.w1.terms import AGREEMENTS, CATEGORIES, GRACE_MS, SPECIAL
from tests.bench.w1.workload import Event

DAY_MS = 24 * 3600 * 1000
Views = dict[str, dict[str, Any]]
"""By agreement and key; only views that exist."""


class Said(NamedTuple):
    """A decision; ``begins`` and ``ends`` are None where it does not say."""

    time: int
    source: str
    id: str
    state: str
    categories: tuple[str, ...]
    begins: int | None
    ends: int | None


class Oracle:
    """Takes each event in any order, as often as it comes."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, str], tuple[tuple[int, str, str], Any]] = {}
        self.decisions: dict[tuple[str, str], set[Said]] = {}

    def take(self, event: Event) -> None:
        """Remember what counts of an event (R5, C1)."""
        if event.citizen is None:
            return
        if event.kind == "consent":
            agreement = AGREEMENTS[event.data["subscriber"], event.data["purpose"]]
            self.decisions.setdefault((agreement, event.citizen), set()).add(_said(event))
            return
        slot, stated = (event.citizen, event.kind), (event.time_ms, event.source, event.id)
        if slot not in self.facts or self.facts[slot][0] < stated:
            self.facts[slot] = stated, event.data[event.kind]

    def views(self, now_ms: int) -> Views:
        """What each agreement sees at that moment (C7)."""
        views: Views = {agreement: {} for agreement in AGREEMENTS.values()}
        for (agreement, citizen), said in self.decisions.items():
            view = {}
            for attribute, category in CATEGORIES.items():
                known = self.facts.get((citizen, attribute))
                view[attribute] = known[1] if known and _in_force(said, category, now_ms) else None
            if any(value is not None for value in view.values()):
                views[agreement][citizen] = view
        return views


def _said(event: Event) -> Said:
    data = event.data
    begins, ends = data["valid_from"], data["valid_until"]
    return Said(
        event.time_ms,
        event.source,
        event.id,
        data["state"],
        tuple(data["categories"]),
        None if begins is None else begins * DAY_MS,
        None if ends is None else (ends + 1) * DAY_MS,
    )


def _in_force(said: set[Said], category: str, now_ms: int) -> bool:
    """Whether a grant that covers the category stands and holds now (C1)."""
    covering = [each for each in said if _covers(each, category)]
    stops = [each for each in covering if each.state != "GRANTED"]
    for grant in covering:
        defeated = any(
            stop.time >= grant.time or (stop.source != grant.source and stop.time >= grant.time - GRACE_MS)
            for stop in stops
        )
        begun = max(grant.time, grant.begins or 0) <= now_ms
        over = grant.ends is not None and now_ms >= grant.ends
        if grant.state == "GRANTED" and not defeated and begun and not over:
            return True
    return False


def _covers(said: Said, category: str) -> bool:
    if said.categories:
        return category in said.categories
    return said.state != "GRANTED" or category != SPECIAL


def differences(wanted: Views, found: Views) -> list[str]:
    """How many views differ in each agreement, in words that name nobody; empty when all are equal."""
    words = []
    for agreement in sorted(wanted.keys() | found.keys()):
        want, have = wanted.get(agreement, {}), found.get(agreement, {})
        missing, extra = len(want.keys() - have.keys()), len(have.keys() - want.keys())
        other = sum(1 for key in want.keys() & have.keys() if want[key] != have[key])
        if missing or extra or other:
            words.append(
                f"{agreement}: {missing} missing, {extra} too many, {other} different of {len(want)}"
            )
    return words
