"""Why an event is not accepted: the reasons that intake gives and publishers give first (E7)."""

from __future__ import annotations

from enum import StrEnum


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
