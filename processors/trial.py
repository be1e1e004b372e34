"""What a department's events would meet and do, before anybody else sees them: every problem of a line by its
JSON path (E7), and the views that would change. Nothing here holds a value of an event.

Intake stops at its first reason, because one is enough to reject; a department that tries its events out
wants to mend all of them in one round. The verdict is intake's all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec

from processors.explain import Difference, compare_views
from processors.intake import Intake
from processors.messages import Said
from processors.outcomes import Rejection
from processors.replay import run_lines
from processors.rules import Limits, Rules
from schemas import (
    EVERYONE,
    Agreement,
    Basis,
    CloudEvent,
    Contract,
    ContractMismatch,
    Contracts,
    Enrolled,
    NotACloudEvent,
    cloudevent_from_json,
)

_NAMED = re.compile(r"`([a-z]+)`")
_STAND_INS = {
    "specversion": "1.0",
    "id": "x",
    "source": "urn:gov:nobody:x",
    "type": "uk.gov.none.none.v1",
    "time": "2000-01-01T00:00:00Z",
}
CONSENT, ENROLMENT = "consent", "enrolment"


class Found(NamedTuple):
    """One thing wrong with an event: where, and what was expected there; never what stands there."""

    path: str
    problem: str


class Verdict(NamedTuple):
    """What intake says of a line; `type` as far as it could be read, `problems` only where it is rejected."""

    type: str | None
    reason: Rejection | None
    problems: tuple[Found, ...] = ()


class Change(NamedTuple):
    """How many views of an agreement gain, lose or change a field; `needs` says what of the persons first."""

    agreement: str
    field: str
    gain: int
    lose: int
    changed: int
    needs: str


def examine(line: bytes | None, rules: Rules, at_ms: int) -> Verdict:
    """Ask intake about one line (None: it was too long), and look for every problem if it says no."""
    if line is None:
        return Verdict(None, Rejection.OVERSIZED, (_oversized(rules.limits),))
    verdict = Intake(rules).accept_json(line, at_ms)
    if isinstance(verdict, Said):
        return Verdict(verdict.type, None)
    problems = tuple(dict.fromkeys(_problems(line, rules, at_ms)))
    return Verdict(verdict.type, verdict.reason, problems or (Found("$", f"{verdict.reason}"),))


def would_change(
    before: Sequence[bytes], events: Sequence[bytes], rules: Rules, at_ms: int
) -> Iterator[Change]:
    """What the events change in the views when `before` has been said already, by the pipeline itself.

    First as things are; then what would change too if every person had consented and were enrolled, because
    a department that tries out its own events seldom has the citizens' decisions beside them.
    """
    now = _differences(before, events, rules, at_ms)
    yield from (Change(*each, needs="") for each in now)
    known = {(each.agreement, each.field) for each in now}
    needs = {name: _needs(agreement) for name, agreement in rules.agreements.items()}
    if not any(needs.values()):
        return
    willing = {name: _as_if_willing(agreement) for name, agreement in rules.agreements.items()}
    for each in _differences(before, events, replace(rules, agreements=willing), at_ms):
        if (each.agreement, each.field) not in known and needs[each.agreement]:
            yield Change(*each, needs=needs[each.agreement])


def _differences(
    before: Sequence[bytes], events: Sequence[bytes], rules: Rules, at_ms: int
) -> list[Difference]:
    without = run_lines(before, rules, at_ms).pipeline.views()
    return compare_views(without, run_lines([*before, *events], rules, at_ms).pipeline.views())


def _needs(agreement: Agreement) -> str:
    """What an agreement asks of a person before anything of them is in its view (C1, C4)."""
    asked = ((agreement.basis is Basis.CONSENT, CONSENT), (isinstance(agreement.scope, Enrolled), ENROLMENT))
    return " and ".join(word for needed, word in asked if needed)


def _as_if_willing(agreement: Agreement) -> Agreement:
    """The agreement as it would be towards persons who all consent and are all enrolled; for trying only."""
    basis = Basis.PUBLIC_TASK if agreement.basis is Basis.CONSENT else agreement.basis
    scope = EVERYONE if isinstance(agreement.scope, Enrolled) else agreement.scope
    return replace(agreement, basis=basis, scope=scope)


def _problems(line: bytes, rules: Rules, at_ms: int) -> Iterator[Found]:
    """Everything wrong with a line that intake rejects; what rests on a broken attribute is not looked at."""
    if len(line) > rules.limits.value_bytes:
        yield _oversized(rules.limits)
        return
    try:
        parsed = msgspec.json.decode(line)
    except msgspec.DecodeError as error:  # says what and at which byte, never what stands there
        yield Found("$", f"expected JSON: {error}")
        return
    except (UnicodeDecodeError, RecursionError):
        yield Found("$", "expected JSON in UTF-8, not nested without end")
        return
    if not isinstance(parsed, dict):
        yield Found("$", "expected a CloudEvent, which is a JSON object")
        return
    event, broken = _attributes(parsed)
    yield from broken.values()
    yield from _untimely(event.time, rules.limits, at_ms)  # a stand-in is the earliest that may be
    if event.data is None:
        yield Found("$.data", "expected a value")
    if "type" in broken:
        return
    contract = rules.contracts.by_type.get(event.type)
    if contract is None:
        yield Found("$.type", "expected the type of a contract")
        return
    if "source" not in broken and event.owner not in contract.owners:
        owners = ", ".join(sorted(contract.owners))
        yield Found("$.source", f"expected a source of an owner of the contract: {owners}")
    if event.data is not None:
        yield from _data_problems(event, contract, rules.contracts)


def _attributes(parsed: Mapping[str, object]) -> tuple[CloudEvent, dict[str, Found]]:
    """The event, and the attributes that E1 does not take; a stand-in is put in the place of each of these,
    so that the next one comes to light.
    """
    attempt, broken = dict(parsed), dict[str, Found]()
    while True:
        try:
            return cloudevent_from_json(attempt), broken
        except NotACloudEvent as error:
            named = _NAMED.match(error.problem)
            if named is None or named[1] in broken:
                raise  # a problem of an attribute names it, and a stand-in has none
            broken[named[1]] = Found(f"$.{named[1]}", error.problem)
            attempt[named[1]] = _STAND_INS[named[1]]


def _data_problems(event: CloudEvent, contract: Contract, contracts: Contracts) -> Iterator[Found]:
    try:
        data = contract.from_json(event.data)
    except ContractMismatch as mismatch:
        yield from (Found(f"$.data{path[1:]}", f"expected {what}") for path, what in mismatch.problems)
        if not isinstance(event.data, dict):
            return
        data = event.data  # the identifiers in it may be wrong as well
    for name, invalid in contract.invalid_identifiers(data, contracts.schemes):
        yield Found(f"$.data.{name}", str(invalid))


def _untimely(time_ms: int, limits: Limits, at_ms: int) -> Iterator[Found]:
    if time_ms < limits.earliest_ms:
        yield Found("$.time", "expected a time after 1999: when the event was recorded, not when it happened")
    if time_ms > at_ms + limits.future_ms:
        yield Found("$.time", "expected a time at most 5 minutes after the moment of the question")


def _oversized(limits: Limits) -> Found:
    return Found("$", f"expected at most {limits.value_bytes} bytes")
