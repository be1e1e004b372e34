"""The files of contracts and agreements, looked at by processes that are no workers: what is new is taken up
while they run, once it lies still and can be used, and until then the old stays in force.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from connectors import Trouble
from postroom.composition import DISCOVER_EVERY_S
from postroom.errors import UserError
from postroom.renewal import WHY_CHARACTERS_MAX
from processors.engine.journal import say

Read = TypeVar("Read")


class Watched(Generic[Read]):
    """What `read` makes of the files, newest first; `read` raises UserError or Trouble while they are not
    right.

    `current` is what is in force. `read` is given that, None the first time: what it has read before may
    never have come into force, because the files changed meanwhile.
    """

    def __init__(
        self,
        fingerprint: Callable[[], str],
        read: Callable[[Read | None], Read],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fingerprint, self._read, self._monotonic_s = fingerprint, read, monotonic_s
        self._taken = self._seen = fingerprint()  # before they are read: a change in between is seen
        self._next_look_s = monotonic_s() + DISCOVER_EVERY_S
        self._said = ""
        self.current = read(None)

    def is_renewed(self) -> bool:
        """Look at the files, once in a while; tell whether `current` is another than before."""
        now_s = self._monotonic_s()
        if now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + DISCOVER_EVERY_S
        try:
            found = self._fingerprint()
        except OSError:
            return False  # a file went away between being listed and being read: look again
        # INVARIANT: only files that lay still between two looks. Somebody may be copying them one by one.
        lies_still, self._seen = found == self._seen, found
        return lies_still and found != self._taken and self._take_up(found)

    def _take_up(self, found: str) -> bool:
        try:
            newer = self._read(self.current)
            if self._fingerprint() != found:
                return False  # they changed while they were read
        except (UserError, Trouble) as error:
            if str(error) != self._said:
                why = error.why[:WHY_CHARACTERS_MAX]
                say("rules-wait", what=error.what, where=error.where, why=why, mend=error.mend)
            self._said = str(error)
            return False
        except OSError:
            return False
        self.current, self._taken, self._said = newer, found, ""
        say("rules-taken-up")
        return True
