"""From a line to what goes on the wire, or why not: everything that can be known before Kafka is asked.

The order of the reasons is intake's (E7), which has the last word; here a department hears of a mistake while
it still knows what it did. Nothing is normalised: what is published is what was written. No text here
holds a value of the event.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from schemas import (
    ATTRIBUTES_BYTES_MAX,
    EARLIEST_MS,
    EVENT_BYTES_MAX,
    FUTURE_MS_MAX,
    Addressees,
    CloudEvent,
    Contract,
    ContractMismatch,
    Contracts,
    Found,
    KeyTwice,
    NotACloudEvent,
    Rejection,
    Warned,
    cloudevent_from_json,
    diagnose,
    how_to_mend,
    json_value,
    near_hint,
    to_headers,
    warnings,
)

PROBLEMS_TOLD_MAX = 3


class Undelivered(StrEnum):
    """The reasons that only a publisher can have."""

    NOT_DELIVERED = "not-delivered"
    ID_REUSED = "id-reused"


Reason = Rejection | Undelivered
"""Why a line was not published: intake's reasons (E7), that it did not arrive, or that it was held back."""

AGAIN = "publish the file again: an event that did arrive counts once"
"""What to do about what did not arrive."""

_MEND = {
    Undelivered.NOT_DELIVERED: AGAIN,
    Undelivered.ID_REUSED: "give each event an id of its own, also a correction: its `prior` is the earlier",
}


class Refused(NamedTuple):
    """Why a line does not go out, and what to do about it; `problems` are all that its content has."""

    reason: Reason
    why: str
    mend: str
    type: str | None = None
    problems: tuple[Found, ...] = ()


class Ready(NamedTuple):
    """An event ready for the wire: its contract, its Avro body still without frame, and its headers (E2);
    and what is odd in it though it may go.
    """

    contract: Contract
    body: bytes
    headers: tuple[tuple[str, bytes], ...]
    warnings: tuple[Warned, ...] = ()


def refuse(reason: Reason, why: str, type_: str | None = None, mend: str | None = None) -> Refused:
    """A refusal with the usual advice, or with better."""
    if mend is None:
        mend = _MEND[reason] if isinstance(reason, Undelivered) else how_to_mend(Found("$", why, reason))
    return Refused(reason, why, mend, type_)


class Remedy(NamedTuple):
    """One thing to do about a line, and the problems that it mends."""

    reason: Reason
    mend: str
    problems: list[Found]


def remedies(refused: Refused) -> list[Remedy]:
    """What there is to do about a line: about its own reason first, then about the others in E7's order."""
    found = [Remedy(refused.reason, refused.mend, [])]
    for problem in sorted(refused.problems, key=lambda each: list(Rejection).index(each.reason)):
        mend = mend_of(refused, problem)
        if mend != found[-1].mend or problem.reason is not found[-1].reason:
            found.append(Remedy(problem.reason, mend, []))
        found[-1].problems.append(problem)
    return found


def mend_of(refused: Refused, problem: Found) -> str:
    """What to do about one problem of a line: of the attributes each is written in its own way."""
    if problem.reason is refused.reason and problem.reason is not Rejection.UNDECODABLE:
        return refused.mend
    return how_to_mend(problem)


def make_ready(
    line: bytes | None,
    contracts: Contracts,
    now_ms: int,
    speaks_for: str | None = None,
    addressees: Addressees | None = None,
) -> Ready | Refused:
    """Check one line (None: it was too long) and encode it; the first reason in E7's order, and all problems.

    `speaks_for` is the one owner whose events may come this way; None: any. `addressees` are those that a
    statement may name; None where no agreements are known.
    """
    ready = _make_ready(line, contracts, now_ms, speaks_for, addressees)
    if isinstance(ready, Ready):
        return ready
    problems = tuple(dict.fromkeys(diagnose(line, contracts, now_ms)))
    mends = (how_to_mend(each) for each in problems if each.reason is Rejection.UNDECODABLE)
    return ready._replace(problems=problems, mend=next(mends, ready.mend))


def _make_ready(
    line: bytes | None,
    contracts: Contracts,
    now_ms: int,
    speaks_for: str | None,
    addressees: Addressees | None,
) -> Ready | Refused:
    if line is None or len(line) > EVENT_BYTES_MAX:
        return refuse(Rejection.OVERSIZED, "the line is longer than 1 MiB")
    try:
        event = cloudevent_from_json(json_value(line))
    except NotACloudEvent as error:
        return refuse(Rejection.UNDECODABLE, error.problem)
    except KeyTwice as twice:
        return refuse(Rejection.UNDECODABLE, str(twice))
    except msgspec.DecodeError as error:  # says what and at which byte, never what stands there
        return refuse(Rejection.UNDECODABLE, f"the line is not JSON: {error}")
    except (UnicodeDecodeError, RecursionError):
        return refuse(Rejection.UNDECODABLE, "the line is not JSON in UTF-8")
    if event.attributes_bytes > ATTRIBUTES_BYTES_MAX:
        return refuse(Rejection.OVERSIZED, "the attributes are longer than 16 KiB", event.type)
    if event.data is None:
        why = "`data` is null" if event.has_data else "`data` is missing"
        return refuse(Rejection.NULL_VALUE, why, event.type)
    contract = contracts.by_type.get(event.type)
    if contract is None:
        return _unknown_type(event, contracts)
    if event.owner not in contract.owners:
        owners = ", ".join(sorted(contract.owners))
        return refuse(
            Rejection.NOT_THE_OWNER, f"{event.owner} may not publish this; {owners} may", event.type
        )
    if speaks_for is not None and event.owner != speaks_for:
        why = f"{event.owner} may not publish from here; {speaks_for} does"
        return refuse(Rejection.NOT_THE_OWNER, why, event.type)
    return _encode(event, contract, contracts, now_ms, addressees)


def _unknown_type(event: CloudEvent, contracts: Contracts) -> Refused:
    mend = near_hint(event.type, contracts.by_type).removeprefix("; ") or None
    return refuse(Rejection.UNKNOWN_TYPE, f"there is no contract {event.type}", event.type, mend)


def _encode(
    event: CloudEvent,
    contract: Contract,
    contracts: Contracts,
    now_ms: int,
    addressees: Addressees | None,
) -> Ready | Refused:
    try:
        plain = contract.from_json(event.data)
        body = contract.to_avro(plain)
    except ContractMismatch as error:
        first = error.problems[:PROBLEMS_TOLD_MAX]
        told = "; ".join(f"$.data{path[1:]}: expected {what}" for path, what in first)
        return refuse(Rejection.CONTRACT_MISMATCH, told, event.type)
    for _, invalid in contract.invalid_identifiers(plain, contracts.schemes):
        return refuse(Rejection.IDENTIFIER_INVALID, str(invalid), event.type)
    if event.time < EARLIEST_MS:
        return refuse(Rejection.TIME_TOO_OLD, "`time` is before the year 2000", event.type)
    if event.time > now_ms + FUTURE_MS_MAX:
        return refuse(Rejection.TIME_IN_FUTURE, "`time` is more than 5 minutes ahead", event.type)
    return Ready(contract, body, to_headers(event), warnings(contract, plain, event.time, addressees))
