"""Why an event is not accepted: the reasons that intake gives and publishers give first (E7)."""

from __future__ import annotations

from enum import StrEnum

from .times import parse_instant

EVENT_BYTES_MAX = 1_048_576
"""What an event may hold: its record's value, or its line without the end."""
ATTRIBUTES_BYTES_MAX = 16 << 10
"""What an event's attributes may hold together, without `time`."""
EARLIEST_MS = parse_instant("2000-01-01T00:00:00Z")
"""An earlier `time` is too old."""
FUTURE_MS_MAX = 5 * 60_000
"""How far `time` may lie ahead."""


class Rejection(StrEnum):
    """Of several reasons the first in this order is given."""

    OVERSIZED = "oversized"
    UNDECODABLE = "undecodable"
    NULL_VALUE = "null-value"
    UNKNOWN_TYPE = "unknown-type"
    NOT_THE_OWNER = "not-the-owner"
    CONTRACT_MISMATCH = "contract-mismatch"
    IDENTIFIER_INVALID = "identifier-invalid"
    TIME_TOO_OLD = "time-too-old"
    TIME_IN_FUTURE = "time-in-future"
