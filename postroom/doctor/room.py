"""How little room is too little, on whichever disk."""

from __future__ import annotations

from collections.abc import Callable

from postroom.doctor.finding import Finding, fault, warning

FREE_BYTES_MIN = 1 << 30
FREE_BYTES_LEAST = 128 << 20


def too_little(free_bytes: int) -> Callable[[str, str, str, str], Finding] | None:
    """How bad so much room is; None if it is enough."""
    if free_bytes >= FREE_BYTES_MIN:
        return None
    return fault if free_bytes < FREE_BYTES_LEAST else warning
