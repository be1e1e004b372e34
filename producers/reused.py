"""Two lines of one file that claim to be one event and differ: told at once, with both their numbers (E1)."""

from __future__ import annotations

import hashlib
from typing import Protocol

from producers.ready import Ready, Refused, Undelivered, refuse


class Seen(Protocol):
    """The names of a file's events so far; it may lie on a disk."""

    def first(self, id_: str, content: bytes, row: int) -> tuple[int, bool]:
        """The row that had this name first, and whether it said the same."""


def reused(ready: Ready, number: int, seen: Seen) -> Refused | None:
    """Refuse an event whose source and id an earlier line has with another content; the same again is no
    matter.

    The backbone would keep one of the two (R2), and which one does not depend on what the department meant.
    """
    said = dict(ready.headers)
    name = hashlib.sha256(said["ce_source"] + b"\0" + said["ce_id"]).hexdigest()
    content = b"\0".join((said["ce_type"], said["ce_time"], ready.body))
    first, is_same = seen.first(name, hashlib.sha256(content).digest(), number)
    if is_same:
        return None
    why = f"line {first} has the same source and id and says something else; this line does not go"
    return refuse(Undelivered.ID_REUSED, why, ready.contract.type)
