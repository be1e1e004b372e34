"""What lies in the drops and has not been taken: what it waits for, and what whoever put it there does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from connectors import Trouble
from connectors.files.journal import Standing, State
from connectors.files.place import INCOMING, NAME, NOT_SHOWN, SIDECAR, Drop, Seen
from postroom.files.left import KNOWN, NEXT, NO_CHECKSUM, NO_FILE, ODD, WRONG, Left


class Waiting(NamedTuple):
    """One thing in a drop's `incoming`; `sha256` is what its checksum says, if that is one."""

    drop: str
    file: str
    sha256: str
    left: Left


def waiting_in(
    drop: Drop, journal: Collection[Standing], complain: Callable[[Trouble], None]
) -> Iterator[Waiting]:
    """Look at one drop as it lies there; no file is read, so a wrong checksum shows when it is taken."""
    if not (drop.directory / INCOMING).exists():
        return  # nobody could put anything there yet
    try:
        seen, alone = drop.incoming(), drop.lone_checksums()
    except Trouble as trouble:
        complain(trouble)
        return
    known = {each.sha256: each.state for each in journal if each.drop == drop.name}
    for each in seen:
        sha256 = "" if each.print is None else drop.checksum(each.name) or ""
        if known.get(sha256) != State.TAKEN:  # that one is listed as it stands
            yield Waiting(drop.name, each.shown, sha256, _left(each, sha256, known.get(sha256)))
    for name in alone:
        shown = f"{name}{SIDECAR}" if NAME.fullmatch(name) else NOT_SHOWN
        yield Waiting(drop.name, shown, "", NO_FILE)


def _left(seen: Seen, sha256: str, state: str | None) -> Left:
    if seen.print is None:
        return ODD[seen.odd] if seen.odd else NO_CHECKSUM
    if not sha256:
        return WRONG
    return KNOWN if state == State.PUBLISHED else NEXT
