"""CloudEvents as they come over HTTP: structured, binary, batch (CloudEvents HTTP binding 1.0, E3).

Every way in ends in the same thing, one CloudEvent in JSON, so that the modes cannot differ in what they let
through. Nothing here holds a value of an event in what it says.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from connectors.doors import BATCH_EVENTS_MAX, Problem, RawHeaders, header
from schemas import (
    EVENT_BYTES_MAX,
    ContractMismatch,
    Contracts,
    KeyTwice,
    Rejection,
    how_to_mend,
    json_value,
    keys_twice,
    unframe,
)

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
AVRO = "application/avro"
TAKEN = (STRUCTURED, BATCH, JSON, AVRO)

Writer = Callable[[int], Awaitable[dict[str, Any] | None]]

_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_Batch = msgspec.defstruct(
    "_Batch",
    [(f"event_{place}", msgspec.Raw, msgspec.Raw()) for place in range(BATCH_EVENTS_MAX + 1)],
    array_like=True,
)
"""As many places as events may come, and one more: what lies behind it is skipped and never made.

INVARIANT: 8 MiB hold four million zeros, and a list of so many would be half a GiB of one client's making.
"""
_batch = msgspec.json.Decoder(_Batch)


class Arrived(NamedTuple):
    """The events of one request, each one CloudEvent in JSON; `batch` says how problems are placed."""

    lines: list[bytes]
    batch: bool


def media_type(headers: RawHeaders) -> str:
    """Return the content type without parameters; Problem for one that is not taken."""
    values = header(headers, b"content-type")
    type_, _, parameters = (values[0] if len(values) == 1 else "").partition(";")
    type_ = type_.strip().lower()
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if type_ not in TAKEN or (charset and charset[1].lower() not in ("utf-8", "utf8")):
        raise Problem("unsupported-media-type", f"send one of {', '.join(TAKEN)}, in UTF-8")
    if any(value.strip().lower() != "identity" for value in header(headers, b"content-encoding")):
        raise Problem("unsupported-media-type", "send it without a content-encoding")
    is_binary = type_ in (JSON, AVRO)
    if is_binary and not any(name.startswith(b"ce-") for name, _ in headers):
        why = f"{type_} is binary mode and needs the ce- headers; a whole CloudEvent in JSON is {STRUCTURED}"
        raise Problem("unsupported-media-type", why)
    return type_


async def arrived(
    type_: str, headers: RawHeaders, body: bytes, contracts: Contracts, writer: Writer
) -> Arrived:
    """Return the events of a request; Problem when it is no CloudEvents request at all."""
    if type_ == BATCH:
        return Arrived(_of_batch(body), batch=True)
    if type_ == STRUCTURED:
        return Arrived([body], batch=False)
    event: dict[str, Any] = dict(_attributes(headers))
    if type_ == AVRO:
        event |= {"data": await _of_avro(body, event, contracts, writer)} if body else {}
    elif body:
        event["data"] = _data(body)
    return Arrived([msgspec.json.encode(event)], batch=False)


def _of_batch(body: bytes) -> list[bytes]:
    try:
        lines = [bytes(raw) for raw in msgspec.structs.astuple(_batch.decode(body)) if raw]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _undecodable(
            f"a batch is a JSON array of CloudEvents, in UTF-8; one event alone is {STRUCTURED}"
        ) from None
    if not lines:
        raise _undecodable("a batch has at least one event")
    if len(lines) > BATCH_EVENTS_MAX:
        raise Problem("too-large", f"at most {BATCH_EVENTS_MAX} events in a batch")
    return lines


def _attributes(headers: RawHeaders) -> Iterable[tuple[str, str]]:
    """The ce- headers, percent-decoded as the binding says; each at most once."""
    seen: set[str] = set()
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if not name.startswith("ce-"):
            continue
        attribute = name.removeprefix("ce-")
        if _ATTRIBUTE.fullmatch(attribute) is None or attribute in ("data", "datacontenttype"):
            raise _undecodable("a ce- header has a name that no attribute has")
        if attribute in seen:
            raise _undecodable(f"the header ce-{attribute} stands twice")
        seen.add(attribute)
        yield attribute, _text(raw_value, attribute)


def _text(raw: bytes, attribute: str) -> str:
    try:
        text = raw.decode("ascii")
        if _PERCENT.search(text):
            raise ValueError("%")
        return unquote(text, errors="strict")
    except ValueError:
        raise _undecodable(f"ce-{attribute} is not percent-encoded UTF-8") from None


def _data(body: bytes) -> object:
    try:
        return json_value(body)
    except KeyTwice as twice:
        found = keys_twice(KeyTwice(*(("data", *path) for path in twice.paths)))
        problems = [{"path": each.path, "problem": each.problem} for each in found]
        raise Problem(Rejection.UNDECODABLE, how_to_mend(found[0]), problems=problems) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _undecodable("the body is not JSON in UTF-8") from None


async def _of_avro(body: bytes, event: dict[str, Any], contracts: Contracts, writer: Writer) -> object:
    """The plain data of a body in the Confluent wire format, as it would stand on Kafka (E2)."""
    if len(body) > EVENT_BYTES_MAX:
        raise Problem(Rejection.OVERSIZED)
    try:
        schema_id, avro = unframe(body)
    except ValueError:
        raise _undecodable("the body is not in the Confluent wire format") from None
    contract = contracts.by_type.get(str(event.get("type")))
    if contract is None:
        return {}  # refused for its type, which says more
    schema = await writer(schema_id)
    if schema is None:
        raise _undecodable("the registry does not know the schema id of the body")
    try:
        return contract.from_avro(avro, schema)
    except ContractMismatch as mismatch:
        problems = [{"path": "$.data", "problem": f"expected {what}"} for _, what in mismatch.problems]
        raise Problem(Rejection.CONTRACT_MISMATCH, problems=problems) from None


def _undecodable(detail: str) -> Problem:
    return Problem(Rejection.UNDECODABLE, detail)
