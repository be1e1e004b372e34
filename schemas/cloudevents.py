"""CloudEvents 1.0 as departments send them: in JSON, and as headers of a Kafka record (E1-E3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from .times import format_instant, parse_event_time

SPECVERSION = "1.0"
OWNER_PATTERN = r"[a-z][a-z0-9-]{1,30}"
STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
AVRO_CONTENT_TYPE = "application/avro"

_SOURCE = re.compile(rf"urn:gov:({OWNER_PATTERN}):[A-Za-z0-9._-]{{1,64}}")
_TYPE = re.compile(r"uk\.gov\.([a-z][a-z0-9-]*)\.([a-z][a-z0-9-]*)\.v([1-9][0-9]*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EXTENSION = re.compile(r"[a-z0-9]+")
_CORE = frozenset({"specversion", "id", "source", "type", "time", "data", "data_base64"})
# The trace context has headers of its own (W3C); inside a CloudEvent it is an extension.
_TRACE = frozenset({"traceparent", "tracestate"})
# Version, trace, parent, flags (W3C Trace Context §3.2): `ff` is no version, zeros no trace and no parent.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SPECVERSION = SPECVERSION.encode()
_USUAL = frozenset({"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"})
_KEPT_BYTES_MAX = 400  # of a source and a type that are kept: both are far shorter


class NotACloudEvent(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """No event that E1 knows (E7 `undecodable`); `problem` names the attribute, never its value."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class CloudEvent(NamedTuple):
    """One event's attributes; `data` is plain JSON where the event came as JSON, else None with `has_data`
    False.
    """

    id: str
    source: str
    type: str
    time: int
    owner: str
    data: object = None
    has_data: bool = False
    extensions: Mapping[str, str] = MappingProxyType({})

    @property
    def attributes_bytes(self) -> int:
        """How many bytes its attributes have: all that names it, and what stands beside (E7)."""
        named = len(self.id.encode()) + len(self.source) + len(self.type)
        if not self.extensions:
            return named
        return named + sum(len(name) + len(value.encode()) for name, value in self.extensions.items())

    @property
    def traceparent(self) -> str:
        """The trace that it belongs to; empty when none is given, or what is given is no trace (V3)."""
        return trace_or_none(self.extensions.get("traceparent", ""))


def trace_or_none(text: str) -> str:
    """Return a W3C `traceparent`; empty for anything else, because subscribers and logs receive it (V3)."""
    return text if _TRACEPARENT.fullmatch(text) else ""


def parse_type(type_: str) -> tuple[str, str, int] | None:
    """(domain, fact, version) of a type as E1 has it, else None."""
    match = _TYPE.fullmatch(type_)
    return None if match is None else (match[1], match[2], int(match[3]))


def owner_of(source: str) -> str | None:
    """The department that a source names, or None when it is no source as E1 has it."""
    match = _SOURCE.fullmatch(source)
    return None if match is None else match[1]


def from_json(event: object) -> CloudEvent:
    """The event of a parsed CloudEvents JSON object; NotACloudEvent. `has_data` is False when `data` is
    absent.
    """
    if not isinstance(event, dict):
        raise NotACloudEvent("a CloudEvent is a JSON object")
    extensions = {
        name: str(value)
        for name, value in event.items()
        if name not in _CORE and _EXTENSION.fullmatch(name) and isinstance(value, str | int)
    }
    found = _event(event, extensions, event.get("data"), "data" in event)
    content_type = event.get("datacontenttype")
    if content_type is not None and not _is_json(content_type):
        raise NotACloudEvent("`datacontenttype` is not application/json")
    return found


def _is_json(content_type: object) -> bool:
    """Whether a media type is one of JSON (CloudEvents JSON format 1.0 §3.1), which all `data` is (E3)."""
    if not isinstance(content_type, str):
        return False
    subtype = content_type.partition(";")[0].strip().lower().partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def from_headers(headers: Iterable[tuple[str, bytes | None]]) -> CloudEvent:
    """The event of a Kafka record's headers in binary mode, without its data; NotACloudEvent."""
    headers = tuple(headers)
    return _usual_event(headers) or _any_event(headers)


def _usual_event(headers: tuple[tuple[str, bytes | None], ...]) -> CloudEvent | None:
    """The event of headers as nearly all are; None when anything in them needs a closer look.

    INVARIANT: what this takes, `_any_event` takes too and reads the same; refusing is left to that one.
    """
    found = dict(headers)
    if len(found) != len(headers):
        return None
    try:
        if found["ce_specversion"] != _SPECVERSION or (identity := found["ce_id"]) is None:
            return None
        name = identity.decode()
        source, owner, type_ = _known(found["ce_source"], found["ce_type"])
        time = parse_event_time((found["ce_time"] or b"").decode())
        usual = len(found) == len(_USUAL) and "content-type" in found  # beside the five above
        extensions = {} if usual else _extensions(found)
    except (KeyError, ValueError):
        return None
    if not name or not name.isprintable():
        return None
    return CloudEvent(name, source, type_, time, owner, None, False, extensions)


@lru_cache(maxsize=4096)
def _known(source: bytes | None, type_: bytes | None) -> tuple[str, str, str]:
    """Source, owner and type of two headers; ValueError when they are not as E1 has them.

    The same few pairs come with every event; what is wrong or long is not kept.
    """
    if not source or not type_ or len(source) + len(type_) > _KEPT_BYTES_MAX:
        raise ValueError
    texts = source.decode(), type_.decode()
    owner = owner_of(texts[0])
    if owner is None or parse_type(texts[1]) is None:
        raise ValueError
    return texts[0], owner, texts[1]


def _extensions(found: Mapping[str, bytes | None]) -> dict[str, str]:
    """What stands in an event's headers beside the core; ValueError when one of these needs a closer look."""
    extensions: dict[str, str] = {}
    for name, raw in found.items():
        if raw is None or name in _USUAL:
            continue
        if name in _TRACE:
            extensions[name] = raw.decode()
        elif name.startswith("ce_"):
            if name[3:] in _CORE:
                raise ValueError
            extensions[name[3:]] = raw.decode()
    return extensions


def _any_event(headers: Iterable[tuple[str, bytes | None]]) -> CloudEvent:
    """The event of headers, one rule after the other, each with its problem; NotACloudEvent."""
    core: dict[str, object] = {}
    extensions: dict[str, str] = {}
    for name, raw in headers:
        attribute = name[3:] if name.startswith("ce_") else name if name in _TRACE else None
        if attribute is None or raw is None:
            continue
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise NotACloudEvent("a header is not UTF-8") from None
        if attribute not in _CORE:
            extensions[attribute] = text
        elif attribute in core:
            raise NotACloudEvent(f"the header ce_{attribute} stands twice")
        else:
            core[attribute] = text
    return _event(core, extensions, None, False)


def to_headers(event: CloudEvent, content_type: str = AVRO_CONTENT_TYPE) -> tuple[tuple[str, bytes], ...]:
    """The headers of a Kafka record in binary mode (E2)."""
    attributes = {
        "ce_specversion": SPECVERSION,
        "ce_id": event.id,
        "ce_source": event.source,
        "ce_type": event.type,
        "ce_time": format_instant(event.time),
        **{
            f"ce_{name}": value
            for name, value in event.extensions.items()
            if name not in ("datacontenttype", *_TRACE)
        },
        **{name: event.extensions[name] for name in sorted(_TRACE & event.extensions.keys())},
        "content-type": content_type,
    }
    return tuple((name, value.encode()) for name, value in attributes.items())


def _event(
    attributes: Mapping[str, object], extensions: Mapping[str, str], data: object, has_data: bool
) -> CloudEvent:
    texts: dict[str, str] = {}
    for name in ("specversion", "id", "source", "type", "time"):
        value = attributes.get(name)
        if not isinstance(value, str) or not value:
            raise NotACloudEvent(f"`{name}` is missing, empty or not text")
        texts[name] = value
    if texts["specversion"] != SPECVERSION:
        raise NotACloudEvent("`specversion` is not 1.0")
    if _CONTROL.search(texts["id"]):
        raise NotACloudEvent("`id` holds control characters")
    owner = owner_of(texts["source"])
    if owner is None:
        raise NotACloudEvent("`source` is not urn:gov:<owner>:<system>")
    if _TYPE.fullmatch(texts["type"]) is None:
        raise NotACloudEvent("`type` is not uk.gov.<domain>.<fact>.v<N>")
    try:
        time = parse_event_time(texts["time"])
    except ValueError:
        raise NotACloudEvent("`time` is not an RFC 3339 timestamp with an offset") from None
    return CloudEvent(texts["id"], texts["source"], texts["type"], time, owner, data, has_data, extensions)
