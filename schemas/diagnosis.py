"""Every problem of an event in JSON by its JSON path, for whoever has to mend it (E3, E7).

Intake stops at its first reason, because one is enough to reject; a department wants to mend all of them in
one round. Whoever refuses a line asks here what to say of it: nothing here holds a value of the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from .avro import ContractMismatch
from .catalogue import Contracts
from .cloudevents import CloudEvent, NotACloudEvent
from .cloudevents import from_json as cloudevent_from_json
from .contract import Contract
from .problem import near_hint
from .rejection import EARLIEST_MS, EVENT_BYTES_MAX, FUTURE_MS_MAX, Rejection

_NAMED = re.compile(r"`([a-z]+)`")
_STAND_INS = {
    "specversion": "1.0",
    "id": "x",
    "source": "urn:gov:nobody:x",
    "type": "uk.gov.none.none.v1",
    "time": "2000-01-01T00:00:00Z",
}
_HOW: Mapping[str, str] = {
    "specversion": 'write "specversion": "1.0"',
    "id": "give each event an id of its own, as text; sent again it keeps it",
    "source": "write it as urn:gov:dwp:cis: your organisation's short name, then the system",
    "type": "write it as uk.gov.<domain>.<fact>.v<N>; `postroom contract docs` lists the types",
    "time": "write it as 2026-03-02T09:00:00Z, when the event was recorded",
}
"""How each attribute of E1 is written, for whoever has not (E7 `undecodable`)."""
_NOT_A_LINE = "one CloudEvent 1.0 in JSON stands on each line, in UTF-8; `jq -c . FILE` puts one on a line"


class Bounds(NamedTuple):
    """E7's numbers; tests scale them down."""

    value_bytes: int = EVENT_BYTES_MAX
    earliest_ms: int = EARLIEST_MS
    future_ms: int = FUTURE_MS_MAX


USUAL = Bounds()


class Found(NamedTuple):
    """One thing wrong with an event: where, what was expected there (never what stands there), and the reason
    that it would be rejected for by itself.
    """

    path: str
    problem: str
    reason: Rejection


def diagnose(line: bytes | None, contracts: Contracts, at_ms: int, bounds: Bounds = USUAL) -> Iterator[Found]:
    """Everything wrong with a line (None: it was too long) that intake rejects at this moment.

    What rests on a broken attribute is not looked at.
    """
    if line is None or len(line) > bounds.value_bytes:
        yield Found("$", f"expected at most {bounds.value_bytes} bytes", Rejection.OVERSIZED)
        return
    parsed = _parsed(line)
    if isinstance(parsed, Found):
        yield parsed
        return
    event, broken = _attributes(parsed)
    yield from broken.values()
    if "time" not in broken:
        yield from _untimely(event.time, bounds, at_ms)
    if event.data is None:
        yield Found("$.data", "expected a value", Rejection.NULL_VALUE)
    if "type" in broken:
        return
    contract = contracts.by_type.get(event.type)
    if contract is None:
        problem = f"expected the type of a contract{near_hint(event.type, contracts.by_type)}"
        yield Found("$.type", problem, Rejection.UNKNOWN_TYPE)
        return
    if "source" not in broken and event.owner not in contract.owners:
        owners = ", ".join(sorted(contract.owners))
        problem = f"expected a source of an owner of the contract: {owners}"
        yield Found("$.source", problem, Rejection.NOT_THE_OWNER)
    if event.data is not None:
        yield from _data_problems(event, contract, contracts)


def how_to_mend(found: Found) -> str | None:
    """Say how to write what is no CloudEvent (E7 `undecodable`); None for another reason."""
    if found.reason is not Rejection.UNDECODABLE:
        return None
    return _HOW.get(found.path.removeprefix("$."), _NOT_A_LINE)


def _parsed(line: bytes) -> dict[str, object] | Found:
    """The JSON object of a line, or why there is none."""
    try:
        parsed = msgspec.json.decode(line)
    except msgspec.DecodeError as error:  # says what and at which byte, never what stands there
        return Found("$", f"expected JSON: {error}", Rejection.UNDECODABLE)
    except (UnicodeDecodeError, RecursionError):
        problem = "expected JSON in UTF-8, not nested without end"
        return Found("$", problem, Rejection.UNDECODABLE)
    if not isinstance(parsed, dict):
        problem = "expected a CloudEvent, which is a JSON object"
        return Found("$", problem, Rejection.UNDECODABLE)
    return parsed


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
            broken[named[1]] = Found(f"$.{named[1]}", error.problem, Rejection.UNDECODABLE)
            attempt[named[1]] = _STAND_INS[named[1]]


def _data_problems(event: CloudEvent, contract: Contract, contracts: Contracts) -> Iterator[Found]:
    try:
        data = contract.from_json(event.data)
    except ContractMismatch as mismatch:
        for path, what in mismatch.problems:
            yield Found(f"$.data{path[1:]}", f"expected {what}", Rejection.CONTRACT_MISMATCH)
        if not isinstance(event.data, dict):
            return
        data = event.data  # the identifiers in it may be wrong as well
    for name, invalid in contract.invalid_identifiers(data, contracts.schemes):
        yield Found(f"$.data.{name}", str(invalid), Rejection.IDENTIFIER_INVALID)


def _untimely(time_ms: int, bounds: Bounds, at_ms: int) -> Iterator[Found]:
    if time_ms < bounds.earliest_ms:
        problem = "expected a time after 1999: when the event was recorded, not when it happened"
        yield Found("$.time", problem, Rejection.TIME_TOO_OLD)
    if time_ms > at_ms + bounds.future_ms:
        problem = "expected a time at most 5 minutes ahead: when it was recorded, not when it takes effect"
        yield Found("$.time", problem, Rejection.TIME_IN_FUTURE)
