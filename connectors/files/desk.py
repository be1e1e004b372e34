"""One drop's desk: takes what is whole, knows what was taken before, and puts away what is done with.

A file is taken when our own copy of it has the checksum that came with it. From then on it is under way until
it has ended, whatever is killed in between: the journal says so, and the copy lies there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from connectors.files.journal import Journal, Standing, State
from connectors.files.place import DONE, REFUSED, Drop, Seen, said
from connectors.files.quarantine import Quarantine
from connectors.files.spool import Spool, open_private, sync

STALLED_S = 300.0
"""How long a file whose checksum is wrong may lie there unchanged before it is refused."""
WRONG_CHECKSUM = "its checksum is not that of the file beside it"
MEND_CHECKSUM = "send it again, the checksum last: sha256sum FILE > FILE.sha256"
SHOWN_HEX = 12


class NotTaken(StrEnum):
    """Why a file was not taken now."""

    MOVING = "it may still be written"
    WRONG = WRONG_CHECKSUM
    KNOWN = "it was published before"
    UNDER_WAY = "it is under way"
    GONE = "it has gone"


class Finding(NamedTuple):
    """What became of one thing in `incoming`: taken, or why not."""

    seen: Seen
    standing: Standing | None
    why: NotTaken | None


class Desk:
    """The desk of one drop; `keeps`: what is done stays in `done`, else it is deleted. One life at a time."""

    def __init__(
        self,
        drop: Drop,
        spool: Spool,
        journal: Journal,
        now_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        *,
        keeps: bool = True,
    ) -> None:
        self.drop, self._spool, self._journal = drop, spool, journal
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._done = DONE if keeps else None
        self._prints: dict[str, tuple[tuple[int, ...], float]] = {}
        self._wrong: dict[str, tuple[int, ...]] = {}
        self._taken: dict[str, tuple[tuple[int, ...], str]] = {}

    def begin(self) -> None:
        """Make ready, and clear away what a life that ended left."""
        self.drop.prepare()
        self._taken.clear()
        for each in self.under_way():
            if not self._spool.path(each.drop, each.sha256).exists():
                self._journal.forget(each)  # our copy is lost; the file lies in incoming and is taken anew
        self._clear()
        self._tidy_checksums()

    def under_way(self) -> list[Standing]:
        """Return the files that were taken and have not ended, the oldest first."""
        return [each for each in self._journal.all(State.TAKEN) if each.drop == self.drop.name]

    def look(self) -> list[Seen]:
        """Everything in `incoming` now."""
        found = self.drop.incoming()
        names = {each.name for each in found}
        for known in (self._prints, self._wrong, self._taken):
            for name in known.keys() - names:
                del known[name]
        return found

    def take(self, seen: Seen, advance: Callable[[int], None], *, lies_still: bool) -> Finding:
        """Take a file that is whole. `lies_still`: only if it was the same when it was last looked at."""
        print_ = seen.print
        assert print_ is not None  # noqa: S101 - the caller asks for what has a checksum
        if self._wrong.get(seen.name) == print_:
            return Finding(seen, None, NotTaken.WRONG)
        if seen.name in self._taken and self._taken[seen.name][0] == print_:
            return Finding(seen, None, NotTaken.UNDER_WAY)
        before = self._prints.get(seen.name)
        if before is None or before[0] != print_:
            self._prints[seen.name] = (print_, self._monotonic_s())
            if lies_still:
                return Finding(seen, None, NotTaken.MOVING)
        try:
            sha256, size = self._spool.copy(self.drop, seen.name, advance)
        except FileNotFoundError:
            return Finding(seen, None, NotTaken.GONE)
        found = self._copied(seen, print_, sha256, size)
        if found.why is not None:
            self._spool.discard(self.drop.name)
        return found

    def _copied(self, seen: Seen, print_: tuple[int, ...], sha256: str, size: int) -> Finding:
        if sha256 != self.drop.checksum(seen.name):
            self._wrong[seen.name] = print_
            return Finding(seen, None, NotTaken.WRONG)
        known = self._journal.find(self.drop.name, sha256)
        if known is not None and known.state == State.PUBLISHED:
            self.drop.put_away(seen.name, print_, self._done, sha256)
            return Finding(seen, known, NotTaken.KNOWN)
        if known is not None and known.state == State.TAKEN:
            # INVARIANT: what is under way is not begun again, or what is acknowledged would be forgotten.
            if known.name == seen.name:
                self._taken[seen.name] = print_, sha256
            return Finding(seen, known, NotTaken.UNDER_WAY)
        self._spool.keep(self.drop.name, sha256)
        standing = Standing(self.drop.name, sha256, seen.name, size, State.TAKEN, self._now_ms())
        self._journal.take(standing)
        self._taken[seen.name] = print_, sha256
        return Finding(seen, standing, None)

    def is_stalled(self, seen: Seen) -> bool:
        """Whether a file with a wrong checksum has lain there long enough to be refused."""
        known = self._prints.get(seen.name)
        return known is not None and self._monotonic_s() - known[1] >= STALLED_S

    def refuse_wrong(self, seen: Seen) -> None:
        """Put a file away whose checksum is wrong."""
        self._tell(seen.name, "", WRONG_CHECKSUM, MEND_CHECKSUM)
        self.drop.put_away(seen.name, seen.print or (), REFUSED, f"{self._now_ms():x}".rjust(SHOWN_HEX, "0"))

    def quarantine(self, at: Standing) -> Quarantine:
        """Return where the bad rows of a file go."""
        numbers = self._spool.bad_list(at.drop, at.sha256)
        return Quarantine(self.drop, at.name, at.sha256, numbers)

    def end(self, at: Standing, state: State, why: str = "", mend: str = "") -> None:
        """Put a file away for good: it was published, or it is refused as a whole."""
        # INVARIANT: the journal first. A file that went away and is not known as published would be missed.
        self._journal.end(at, state, self._now_ms(), why, mend)
        if state is State.REFUSED:
            self._tell(at.name, at.sha256, why, mend)
        print_, sha256 = self._taken.get(at.name, ((), ""))
        if sha256 == at.sha256:  # else a life that ended took it: it is found to be known, and put away then
            del self._taken[at.name]
            self.drop.put_away(at.name, print_, self._into(state), at.sha256)
        self._clear()

    def _clear(self) -> None:
        self._spool.drop_all_but(self.drop.name, {each.sha256 for each in self.under_way()})

    def _into(self, state: State) -> str | None:
        return REFUSED if state is State.REFUSED else self._done

    def _tell(self, name: str, sha256: str, why: str, mend: str) -> None:
        """Say beside a refused file why it was: nothing of what it holds."""
        path = self.drop.directory / REFUSED / f"{name}.why.json"
        told = {"file": name, "sha256": sha256, "why": why, "mend": mend}
        with said(path), open_private(path) as stream:
            stream.write(json.dumps(told, indent=1).encode() + b"\n")
            sync(stream)

    def _tidy_checksums(self) -> None:
        for name in self.drop.lone_checksums():
            claimed = self.drop.checksum(name)
            known = None if claimed is None else self._journal.find(self.drop.name, claimed)
            if known is not None and known.state != State.TAKEN:
                self.drop.put_checksum_away(name, self._into(State(known.state)), known.sha256)
