"""One change of a view as the body of a webhook: a structured CloudEvent whose data is the gateway's change.

The same record gives the same bytes and the same id, however often it is sent and by whichever life of the
process: a receiver that has seen the id has seen the message.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from connectors.view_topics import RETRACTED, SUPERSEDES, Change, document
from schemas import format_instant

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SOURCE = "urn:gov:postroom:record"
SEQUENCE = "postroom_sequence"

_ATTRIBUTES = ("id", "type", "time", "traceparent")
_encode = msgspec.json.Encoder(order="sorted").encode


def sequence_of(change: Change) -> int:
    """Return a change's sequence under its key (V3); 0 when the record has none."""
    text = dict(change.headers).get(SEQUENCE, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def body_of(change: Change) -> bytes:
    """Return the CloudEvent; `data.value` null is a retraction."""
    data = document(change)
    headers = dict(change.headers)
    event: dict[str, Any] = {
        "specversion": "1.0",
        "source": headers.get("ce_source", SOURCE),
        "subject": change.key,
        "datacontenttype": "application/json",
    }
    event |= {name: data.pop(name) for name in _ATTRIBUTES if name in data}
    return _encode(event | {"data": data})


def message_id(change: Change, secret: bytes) -> str:
    """Return the id of its message.

    A keyed hash, because an event's id holds the view's key, which may be an identifier, and headers are what
    proxies log.
    """
    text = dict(change.headers).get("ce_id", f"{change.key}/{change.partition}/{change.offset}")
    return "msg_" + blake2b(text.encode(), key=secret, digest_size=20).hexdigest()


def carried_on(dropped: Change, newer: Change) -> Change:
    """Return the newer change with what the dropped one said of superseded keys (V2)."""
    carried = tuple(pair for pair in dropped.headers if pair[0] == SUPERSEDES and pair not in newer.headers)
    return newer._replace(headers=newer.headers + carried) if newer.value is not None else newer


def vanished(agreement: str, key: str, sequence: int, now_ms: int) -> Change:
    """Return the retraction of a key that the topic no longer holds, nor its tombstone (V1)."""
    headers = (
        ("ce_id", f"{agreement}/{key}/{sequence}/vanished"),
        ("ce_type", RETRACTED),
        ("ce_time", format_instant(now_ms)),
        (SEQUENCE, str(sequence)),
        ("postroom_agreement", agreement),
        ("postroom_reason", "ended"),
    )
    return Change(key, None, headers, now_ms, -1, -1)
