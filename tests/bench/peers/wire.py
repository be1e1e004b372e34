"""What the Python peers read and write: Avro in the Confluent wire format, CloudEvents headers (E2)."""

from __future__ import annotations

import io
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from tests.bench.peers.plain import plain
from tests.bench.w1.terms import SCHEMAS

BOOTSTRAP = os.environ["W1_BOOTSTRAP"]
GROUP = os.environ["W1_GROUP"]
STATE = os.environ["W1_STATE"]
VIEW = os.environ["W1_VIEW"]
_HEAD = b"\0" + int(os.environ["W1_VIEW_ID"]).to_bytes(4, "big")
_FRAME_BYTES = 5


_SCHEMAS = {kind: parse_schema(plain(json.loads(path.read_text()))) for kind, path in SCHEMAS.items()}
_VIEW_SCHEMA = parse_schema(json.loads(Path(__file__).with_name("view.avsc").read_text()))


def decode(kind: str, value: bytes) -> dict[str, Any]:
    """An event's data."""
    body = io.BytesIO(value)
    body.seek(_FRAME_BYTES)
    return schemaless_reader(body, _SCHEMAS[kind], None)  # type: ignore[return-value]


def encode_view(view: dict[str, Any]) -> bytes:
    """A view, framed."""
    out = io.BytesIO()
    out.write(_HEAD)
    schemaless_writer(out, _VIEW_SCHEMA, view)
    return out.getvalue()


def attributes(headers: dict[str, bytes]) -> tuple[int, str, str]:
    """Time in ms, source and id of an event."""
    moment = datetime.fromisoformat(headers["ce_time"].decode())
    return round(moment.timestamp() * 1000), headers["ce_source"].decode(), headers["ce_id"].decode()
