"""W1 as one pure step by citizen, for the Python peers: the whole job in one stage.

State of a citizen: ``{"facts": {attribute: [time, id, value]}, "said": {agreement: [decision, ...]}}``, JSON
as both peers keep it. A decision is ``[time, source, id, granted, categories, begins, ends]``.
"""

from __future__ import annotations

import re
from typing import Any

from tests.bench.w1.terms import AGREEMENTS, CATEGORIES, GRACE_MS, NINO, SPECIAL

DAY_MS = 24 * 3600 * 1000
ALL = tuple(CATEGORIES.values())
ORDINARY = tuple(category for category in ALL if category != SPECIAL)
FOR_EVER = 1 << 62
TIME, SOURCE, ID, GRANTED, CATEGORY, BEGINS, ENDS = range(7)
State = dict[str, dict[str, Any]]
Change = tuple[str, dict[str, Any] | None]
"""A view's key and the view, or None when it ceases."""

_nino = re.compile(NINO).fullmatch
_no_separators = str.maketrans("", "", " -./")


def canonical(nino: str) -> str | None:
    """`nino:` and the value, normalised and checked, or None (I1)."""
    value = nino.translate(_no_separators).upper()
    return f"nino:{value}" if _nino(value) else None


def step(
    state: State, kind: str, data: dict[str, Any], time_ms: int, source: str, id_: str, now_ms: int
) -> list[Change] | None:
    """Fold one event into a citizen's state, in place; None if it says nothing new."""
    citizen = canonical(data["nino"])
    if citizen is None:
        return None
    facts, said = state.setdefault("facts", {}), state.setdefault("said", {})
    if kind == "consent":
        return _decide(facts, said, data, citizen, time_ms, source, id_, now_ms)
    old = facts.get(kind)
    if old is not None and (time_ms, id_) <= (old[0], old[1]):
        return None
    facts[kind] = [time_ms, id_, data[kind]]
    if old is not None and old[2] == data[kind]:
        return []  # a view is written when its content changes, and only then (V1)
    category = CATEGORIES[kind]
    return [
        (f"{agreement}|{citizen}", _view(facts, allowed))
        for agreement, decisions in said.items()
        if category in (allowed := in_force(decisions, now_ms))
    ]


def _decide(
    facts: dict[str, Any],
    said: dict[str, Any],
    data: dict[str, Any],
    citizen: str,
    time_ms: int,
    source: str,
    id_: str,
    now_ms: int,
) -> list[Change] | None:
    agreement = AGREEMENTS[data["subscriber"], data["purpose"]]
    decisions = said.setdefault(agreement, [])
    if any(each[ID] == id_ and each[SOURCE] == source for each in decisions):
        return None
    granted = data["state"] == "GRANTED"
    begins, ends = data["valid_from"], data["valid_until"]
    before = _view(facts, in_force(decisions, now_ms))
    decisions.append(
        [
            time_ms,
            source,
            id_,
            granted,
            data["categories"] or (ORDINARY if granted else ALL),
            time_ms if begins is None else max(time_ms, begins * DAY_MS),
            FOR_EVER if ends is None else (ends + 1) * DAY_MS,
        ]
    )
    after = _view(facts, in_force(decisions, now_ms))
    return [(f"{agreement}|{citizen}", after)] if before != after else []


def in_force(decisions: list[list[Any]], now_ms: int) -> set[str]:
    """The categories that a standing grant covers now (C1)."""
    found: set[str] = set()
    for grant in decisions:
        if grant[GRANTED] and grant[BEGINS] <= now_ms < grant[ENDS]:
            for category in grant[CATEGORY]:
                if category not in found and not _defeated(grant, category, decisions):
                    found.add(category)
    return found


def _defeated(grant: list[Any], category: str, decisions: list[list[Any]]) -> bool:
    for stop in decisions:
        if (
            not stop[GRANTED]
            and category in stop[CATEGORY]
            and stop[TIME] >= (grant[TIME] if stop[SOURCE] == grant[SOURCE] else grant[TIME] - GRACE_MS)
        ):
            return True
    return False


def _view(facts: dict[str, Any], allowed: set[str]) -> dict[str, Any] | None:
    """Every attribute, null where it is unknown or not permitted; None when all are (C7)."""
    view = {
        attribute: facts[attribute][2] if category in allowed and attribute in facts else None
        for attribute, category in CATEGORIES.items()
    }
    return None if all(value is None for value in view.values()) else view
