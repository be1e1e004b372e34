"""What an outside thing can do to us, said in four parts so that a reader can act on it."""

from __future__ import annotations


class Trouble(Exception):  # noqa: N818 - trouble is what it is; the subclasses say which
    """An outside thing did not do what was asked.

    `what` went wrong, `where` (an address or a file), `why` as far as known, and how to `mend` it. None of
    the four may hold personal data. The command line turns it into an exit code (DESIGN §8).
    """

    def __init__(self, what: str, *, where: str = "", why: str = "", mend: str = "") -> None:
        super().__init__(what, where, why, mend)
        self.what = what
        self.where = where
        self.why = why
        self.mend = mend

    def __str__(self) -> str:
        return ": ".join(part for part in (self.what, self.where, self.why) if part)


class Unreachable(Trouble):
    """It is not there, or does not answer in time. Exit 3."""


class NotYet(Unreachable):
    """It answers, and says itself that it will do it soon. Exit 3."""


class NotLetIn(Unreachable):
    """It is there, and will not have us as we are: waiting alone does not mend that. Exit 3."""


class Misused(Trouble):
    """We were told to use it in a way that cannot work. Exit 2."""


class NotAllowed(Misused):
    """It knows who we are, and that one may not do this. Exit 2."""
