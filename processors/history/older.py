"""What today's rules refuse and those of its time took in: a history is judged by the rules that it had.

Of a key that stood twice in one object of JSON the last value counted, until E3 refused such an event
(ADR 0071). What was published before stays on its topic for as long as the department keeps it.
"""

from __future__ import annotations

import msgspec

from schemas import KeyTwice, json_value


def as_read_then(value: bytes | None) -> bytes | None:
    """JSON that says a key twice, with the last value of each; None for everything else."""
    try:
        json_value(value or b"")
    except KeyTwice:
        return msgspec.json.encode(msgspec.json.decode(value or b""))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None
