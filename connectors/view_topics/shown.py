"""A record of a view's topic as a subscriber sees it over HTTP (V2, V3)."""

from __future__ import annotations

from typing import Any

from connectors.view_topics.ports import Change
from schemas import format_instant

RETRACTED = "uk.gov.postroom.view-retracted.v1"
SUPERSEDES = "postroom_supersedes"
"""A header of a view, once for each older key that it carries on (V2)."""

_SHOWN = {
    "ce_type": "type",
    "ce_id": "id",
    "ce_time": "time",
    "postroom_agreement": "agreement",
    "postroom_cause": "cause",
    "postroom_reason": "reason",
    "traceparent": "traceparent",
}


def document(change: Change) -> dict[str, Any]:
    """Return a change as a subscriber sees it: the view, or null and why it ended, and V3's headers."""
    headers = dict(change.headers)
    shown: dict[str, Any] = {"key": change.key, "value": change.value}
    shown |= {name: headers[raw] for raw, name in _SHOWN.items() if raw in headers}
    shown["sequence"] = int(headers.get("postroom_sequence", 0))
    shown["published"] = format_instant(change.timestamp_ms)
    supersedes = [value for name, value in change.headers if name == SUPERSEDES]
    return shown | ({"supersedes": supersedes} if supersedes else {})
