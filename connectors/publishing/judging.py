"""Whether an event may be published, with every problem named by its JSON path (E7).

The reasons and their order are intake's, and intake itself has the last word, so that what was answered with
202 is not a dead letter a moment later. In addition the publisher's own bond counts: an event of another
owner, or of a system that is not its own, is `not-the-owner`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
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
    NotACloudEvent,
    Plain,
    Rejection,
    Warned,
    cloudevent_from_json,
    to_headers,
    trace_or_none,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAMED = re.compile(r"^`([a-z]+)`")
Problems = Sequence[tuple[str, str]]


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
    """Why an event may not go; `problems` are (JSON path, what is wrong), never with a value."""

    reason: Rejection
    detail: str = ""
    problems: Problems = ()


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
        event = _read(line)
        if isinstance(event, Refused):
            return event
        if event.data is None:
            return Refused(Rejection.NULL_VALUE, problems=[("$.data", "expected a value")])
        contract = self._contracts.by_type.get(event.type)
        if contract is None:
            return Refused(Rejection.UNKNOWN_TYPE, problems=[("$.type", "no contract has this type")])
        refused = _not_the_owner(event, contract, bound)
        if refused is not None:
            return refused
        plain = self._plain(event, contract, now_ms)
        if isinstance(plain, Refused):
            return plain
        reason = self._last_word(line, now_ms)  # INVARIANT: nothing is accepted that intake rejects
        if reason is not None:
            return Refused(reason, problems=_where(contract))
        judged = _judged(event, contract, plain, headers)
        if isinstance(judged, Refused) or self._addressees is None:
            return judged
        return judged._replace(warnings=self._addressees.warnings(contract, plain))

    def _plain(self, event: CloudEvent, contract: Contract, now_ms: int) -> Plain | Refused:
        try:
            plain = contract.from_json(event.data)
        except ContractMismatch as mismatch:
            problems = [("$.data" + path[1:], f"expected {what}") for path, what in mismatch.problems]
            return Refused(Rejection.CONTRACT_MISMATCH, problems=problems)
        found = contract.invalid_identifiers(plain, self._contracts.schemes)
        invalid = [(f"$.data.{name}", str(why)) for name, why in found]
        reason, untimely = _untimely(event.time, now_ms)
        if invalid:
            return Refused(Rejection.IDENTIFIER_INVALID, problems=[*invalid, *untimely])
        return plain if reason is None else Refused(reason, problems=untimely)


def _read(line: bytes) -> CloudEvent | Refused:
    if len(line) > EVENT_BYTES_MAX:
        return Refused(Rejection.OVERSIZED)
    try:
        parsed = msgspec.json.decode(line)
        if is_too_deep(line, parsed):
            return Refused(Rejection.UNDECODABLE, f"nested deeper than {DEPTH_MAX} levels")
        event = cloudevent_from_json(parsed)
    except NotACloudEvent as error:
        named = _NAMED.match(error.problem)
        problems = [(f"$.{named[1]}", error.problem)] if named else []
        return Refused(Rejection.UNDECODABLE, error.problem, problems)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refused(Rejection.UNDECODABLE, "not JSON in UTF-8")
    return _bounded(event)


def _bounded(event: CloudEvent) -> CloudEvent | Refused:
    """Attributes become headers of a record: they hold no control characters and are no documents."""
    for name, value in event.extensions.items():
        if _CONTROL.search(value):
            return Refused(
                Rejection.UNDECODABLE, problems=[(f"$.{name[:64]}", "expected no control characters")]
            )
    size = sum(len(name) + 4 * len(value) for name, value in event.extensions.items())
    if size + 4 * (len(event.id) + len(event.source) + len(event.type)) > ATTRIBUTES_BYTES_MAX:
        return Refused(Rejection.OVERSIZED, f"the attributes are longer than {ATTRIBUTES_BYTES_MAX} bytes")
    type_ = event.extensions.get("datacontenttype", "application/json").partition(";")[0].strip().lower()
    if type_ != "application/json":
        return Refused(Rejection.UNDECODABLE, problems=[("$.datacontenttype", "expected application/json")])
    return event


def _not_the_owner(event: CloudEvent, contract: Contract, bound: Bound) -> Refused | None:
    if event.owner not in contract.owners:
        owners = ", ".join(sorted(contract.owners))
        return Refused(
            Rejection.NOT_THE_OWNER, problems=[("$.source", f"this contract is published by {owners}")]
        )
    if event.owner != bound.owner:
        return Refused(
            Rejection.NOT_THE_OWNER, problems=[("$.source", f"this client publishes for {bound.owner}")]
        )
    if bound.systems is not None and event.source.rpartition(":")[2] not in bound.systems:
        systems = ", ".join(sorted(bound.systems))
        return Refused(
            Rejection.NOT_THE_OWNER,
            problems=[("$.source", f"this client publishes as the systems {systems}")],
        )
    return None


def _untimely(time_ms: int, now_ms: int) -> tuple[Rejection | None, Problems]:
    if time_ms < EARLIEST_MS:
        return Rejection.TIME_TOO_OLD, [("$.time", "expected a time after 1999")]
    if time_ms > now_ms + FUTURE_MS_MAX:
        return Rejection.TIME_IN_FUTURE, [("$.time", "expected a time not more than 5 minutes ahead")]
    return None, []


def _where(contract: Contract) -> Problems:
    """What only intake finds lies in what the kind itself needs: its states and moments (§5)."""
    fields = sorted(contract.terms.values())
    return [(f"$.data.{name}", f"expected what a {contract.kind} can say") for name in fields]


def _judged(event: CloudEvent, contract: Contract, plain: Plain, headers: RawHeaders) -> Judged | Refused:
    try:
        body = contract.to_avro(plain)
    except ContractMismatch:
        return Refused(Rejection.CONTRACT_MISMATCH, problems=[("$.data", "expected data of the contract")])
    if len(body) > EVENT_BYTES_MAX - 5:
        return Refused(Rejection.OVERSIZED)
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
