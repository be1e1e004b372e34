"""A subscriber's word that it has deleted what it owed (V4, ADR 0004), as it goes to Kafka."""

from __future__ import annotations

import msgspec

from schemas import format_instant

TOPIC = "acknowledgements"
TYPE = "uk.gov.postroom.deletion-acknowledged.v1"
HEADERS = (("content-type", b"application/cloudevents+json"),)


def acknowledgement(obligation: str, source: str, at_ms: int) -> bytes:
    """Return the CloudEvent in JSON by which a subscriber's system says that it has deleted (V4)."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"acknowledges-{obligation}",
            "source": source,
            "type": TYPE,
            "time": format_instant(at_ms),
            "data": {"obligation": obligation},
        }
    )
