"""What is odd in an event that is accepted all the same: it says something else, most likely, than was meant.

Whoever publishes is told at every door, in words that hold no value of the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .addressed import Addressees, Warned
from .contract import Contract, Kind
from .times import beginning, ending

NEVER_HOLDS = (
    "it ends before it begins, so it holds at no moment, and what was said before it ends as well; "
    "an end that is a date is the last day"
)
NEVER_IN_FORCE = (
    "it ends before it begins, so this consent is never in force; "
    "no consent begins before its `time`, and an end that is a date is the last day"
)


def warnings(
    contract: Contract, plain: Mapping[str, object], time_ms: int, addressees: Addressees | None
) -> tuple[Warned, ...]:
    """What to tell whoever publishes plain data of a contract, by JSON path: names that no agreement knows
    (where agreements are known), and a period without a moment in it (ADR 0071).
    """
    named = () if addressees is None else addressees.warnings(contract, plain)
    return (*named, *_empty_period(contract, plain, time_ms))


def _empty_period(contract: Contract, plain: Mapping[str, object], time_ms: int) -> Iterator[Warned]:
    """A period whose end is not after its beginning (R4, C1); the end of one day's period is the next day."""
    if contract.kind is Kind.CONSENT:
        if plain.get(contract.terms["state"]) != "GRANTED":  # of other states the period is ignored (C1)
            return
        from_, until, problem = "valid_from", "valid_until", NEVER_IN_FORCE
    else:
        from_, until, problem = "effective", "until", NEVER_HOLDS
    ends = _said(contract, plain, until)
    if ends is None:
        return
    begins = _said(contract, plain, from_)
    try:
        begin_ms = time_ms if begins is None else beginning(begins)
        if contract.kind is Kind.CONSENT:
            begin_ms = max(begin_ms, time_ms)
        if ending(ends) <= begin_ms:
            since = "; nothing says from when, so it begins at `time`" if begins is None else ""
            yield Warned(f"$.data.{contract.terms[until]}", problem + since)
    except ValueError:
        return  # no moment at all: intake refuses it, and says so


def _said(contract: Contract, plain: Mapping[str, object], term: str) -> str | None:
    """What stands in the field of a term; None where there is no such field, or nothing in it."""
    field = contract.terms.get(term)
    value = None if field is None else plain.get(field)
    return value if isinstance(value, str) else None
