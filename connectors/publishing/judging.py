"""Whether an event may be published, with every problem named by its JSON path (E7).

The reasons and their order are intake's, and intake itself has the last word, so that what was answered with
202 is not a dead letter a moment later. In addition the publisher's own bond counts: an event of another
owner, or of a system that is not its own, is `not-the-owner`. What is wrong with an event that is refused is
found where `publish` and `contract test` find it (`schemas.diagnose`), so that all doors say the same of it.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple, Protocol

import msgspec

from connectors.doors import ATTRIBUTES_BYTES_MAX, DEPTH_MAX, RawHeaders, header, is_too_deep
from connectors.publishing.ports import Headers, LastWord
from schemas import (
    EARLIEST_MS,
    EVENT_BYTES_MAX,
    FUTURE_MS_MAX,
    Addressees,
    CloudEvent,
    Contract,
    ContractMismatch,
    Contracts,
    Door,
    Found,
    NotACloudEvent,
    Plain,
    Rejection,
    Warned,
    cloudevent_from_json,
    diagnose,
    how_to_mend,
    json_value,
    to_headers,
    trace_or_none,
    warnings,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
OVER_HTTP = Door(
    one="the body is one CloudEvent 1.0 in JSON, in UTF-8",
    several="several events are an array under application/cloudevents-batch+json",
    utf8="send it in UTF-8, with or without a charset in its content-type",
    csv="write each row as one CloudEvent 1.0 in JSON; CSV is not taken here",
    types="`GET /contracts` lists the types",
    fields="`GET /contracts/{type}` shows the contract's fields",
)
"""How a mend is worded for whoever has no command of ours, only a door of ours."""


class Judged(NamedTuple):
    """An event that may go: its contract, its Avro body without frame, its headers, and what names it.

    `name` stands for (source, id) and `digest` for the content, both as hashes: neither can be read back.
    """

    contract: Contract
    body: bytes
    headers: Headers
    name: bytes
    digest: bytes
    warnings: tuple[Warned, ...] = ()


class Refused(NamedTuple):
    """Why an event may not go, all that is wrong with it, and what to do about the reason; never a value."""

    reason: Rejection
    problems: tuple[Found, ...] = ()
    mend: str = ""


class Bound(Protocol):
    """Whoever publishes, as far as its events must agree: for which owner, as which systems."""

    @property
    def owner(self) -> str | None:
        """The owner; None publishes nothing."""

    @property
    def systems(self) -> frozenset[str] | None:
        """The systems; None is any of the owner's."""


class Judge:
    """Judges events against the contracts in force."""

    def __init__(
        self, contracts: Contracts, last_word: LastWord, addressees: Addressees | None = None
    ) -> None:
        self._contracts, self._last_word, self._addressees = contracts, last_word, addressees

    def renew(self, contracts: Contracts, last_word: LastWord, addressees: Addressees | None = None) -> None:
        """Judge by other contracts from now on."""
        self._contracts, self._last_word, self._addressees = contracts, last_word, addressees

    def judge(self, line: bytes, bound: Bound, headers: RawHeaders, now_ms: int) -> Judged | Refused:
        """Say whether whoever is so bound may publish this CloudEvent in JSON now."""
        verdict = self._verdict(line, bound, headers, now_ms)
        return verdict if isinstance(verdict, Judged) else self._explained(verdict, line, now_ms)

    def _verdict(self, line: bytes, bound: Bound, headers: RawHeaders, now_ms: int) -> Judged | Refused:
        event = _read(line)
        if isinstance(event, Refused):
            return event
        if event.data is None:
            return Refused(Rejection.NULL_VALUE)
        contract = self._contracts.by_type.get(event.type)
        if contract is None:
            return Refused(Rejection.UNKNOWN_TYPE)
        foreign = _not_the_owner(event, contract, bound)
        if foreign is not None:
            return foreign
        plain = self._plain(event, contract, now_ms)
        if isinstance(plain, Rejection):
            return Refused(plain)
        reason = self._last_word(line, now_ms)  # INVARIANT: nothing is accepted that intake rejects
        if reason is not None:
            return Refused(reason, _where(contract, reason))
        judged = _judged(event, contract, plain, headers)
        if isinstance(judged, Refused):
            return judged
        return judged._replace(warnings=warnings(contract, plain, event.time, self._addressees))

    def _plain(self, event: CloudEvent, contract: Contract, now_ms: int) -> Plain | Rejection:
        try:
            plain = contract.from_json(event.data)
        except ContractMismatch:
            return Rejection.CONTRACT_MISMATCH
        if any(contract.invalid_identifiers(plain, self._contracts.schemes)):
            return Rejection.IDENTIFIER_INVALID
        if event.time < EARLIEST_MS:
            return Rejection.TIME_TOO_OLD
        return Rejection.TIME_IN_FUTURE if event.time > now_ms + FUTURE_MS_MAX else plain

    def _explained(self, refused: Refused, line: bytes, now_ms: int) -> Refused:
        """With everything that is wrong: what only this door finds, or what every finder finds."""
        if refused.problems:
            return refused
        reason = refused.reason
        found = dict.fromkeys(diagnose(line, self._contracts, now_ms))
        problems = tuple(sorted(found, key=lambda each: list(Rejection).index(each.reason)))
        first = next((each for each in problems if each.reason is reason), None)
        if first is None:
            first = Found("$", f"expected an event that is not {reason}", reason)
            problems = (first, *problems)
        return Refused(reason, problems, refused.mend or how_to_mend(first, OVER_HTTP))


def _read(line: bytes) -> CloudEvent | Refused:
    if len(line) > EVENT_BYTES_MAX:
        return Refused(Rejection.OVERSIZED)
    try:
        parsed = json_value(line)
        if is_too_deep(line, parsed):
            return _refused(Rejection.UNDECODABLE, "$", f"expected at most {DEPTH_MAX} levels")
        event = cloudevent_from_json(parsed)
    except (NotACloudEvent, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refused(Rejection.UNDECODABLE)
    return _bounded(event)


def _bounded(event: CloudEvent) -> CloudEvent | Refused:
    """Attributes become headers of a record: they hold no control characters and are no documents."""
    for name, value in event.extensions.items():
        if _CONTROL.search(value):
            return _refused(Rejection.UNDECODABLE, f"$.{name[:64]}", "expected no control characters")
    size = sum(len(name) + 4 * len(value) for name, value in event.extensions.items())
    if size + 4 * (len(event.id) + len(event.source) + len(event.type)) > ATTRIBUTES_BYTES_MAX:
        return _refused(
            Rejection.OVERSIZED, "$", f"expected attributes of at most {ATTRIBUTES_BYTES_MAX} bytes"
        )
    return event


def _refused(reason: Rejection, path: str, problem: str) -> Refused:
    """For one thing that only this door looks at, and that says itself what to do."""
    return Refused(reason, (Found(path, problem, reason),))


def _not_the_owner(event: CloudEvent, contract: Contract, bound: Bound) -> Refused | None:
    """The bond; that the source's owner is not the contract's is found with all the rest."""
    if event.owner not in contract.owners:
        return Refused(Rejection.NOT_THE_OWNER, mend=_as_whom(bound))
    if event.owner != bound.owner:
        expected = f"expected a source of {bound.owner}, for whom this client publishes"
    elif bound.systems is not None and event.source.rpartition(":")[2] not in bound.systems:
        systems = ", ".join(sorted(bound.systems))
        expected = f"expected a system as which this client publishes: {systems}"
    else:
        return None
    return _refused(Rejection.NOT_THE_OWNER, "$.source", expected)._replace(mend=_as_whom(bound))


def _as_whom(bound: Bound) -> str:
    return f"this client publishes contracts of {bound.owner}; for another owner it takes another client"


def _where(contract: Contract, reason: Rejection) -> tuple[Found, ...]:
    """What only intake finds lies in what the kind itself needs: its states and moments (§5)."""
    problem = f"expected what a {contract.kind} can say"
    return tuple(Found(f"$.data.{name}", problem, reason) for name in sorted(contract.terms.values()))


def _judged(event: CloudEvent, contract: Contract, plain: Plain, headers: RawHeaders) -> Judged | Refused:
    try:
        body = contract.to_avro(plain)
    except ContractMismatch:
        return _refused(Rejection.CONTRACT_MISMATCH, "$.data", "expected data of the contract")
    if len(body) > EVENT_BYTES_MAX - 5:
        return _refused(Rejection.OVERSIZED, "$", f"expected at most {EVENT_BYTES_MAX} bytes as Avro")
    traced = CloudEvent(
        event.id, event.source, event.type, event.time, event.owner,
        extensions=_with_trace(event, headers),
    )  # fmt: skip
    content = f"{event.type}\0{event.time}\0".encode() + body
    return Judged(contract, body, to_headers(traced), _name(event), hashlib.sha256(content).digest())


def _name(event: CloudEvent) -> bytes:
    return hashlib.sha256(f"{event.source}\0{event.id}".encode()).digest()


def _with_trace(event: CloudEvent, headers: RawHeaders) -> dict[str, str]:
    """Return an event's extensions with its own trace, else the request's; what is no trace goes (V3)."""
    found = header(headers, b"traceparent")
    trace = event.traceparent or (trace_or_none(found[0]) if len(found) == 1 else "")
    others = {name: value for name, value in event.extensions.items() if name != "traceparent"}
    return others | ({"traceparent": trace} if trace else {})
