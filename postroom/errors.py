"""Errors that end a command, each with its exit code (DESIGN §8): never a traceback for a user's mistake."""

from __future__ import annotations

from enum import IntEnum

from connectors import Misused, Trouble, Unreachable


class Exit(IntEnum):
    """How a command ends."""

    SUCCESS = 0
    FOUND = 1  # the check found something; or nothing is there under the name that was asked for
    MISUSE = 2  # wrong use: an option, a file, a setting
    UNREACHABLE = 3  # a system did not answer
    FAULT = 70  # a defect of Postroom itself, with a traceback to send us


class UserError(Exception):
    """What a person can mend: `what` is wrong, `where` (file:line, setting), `why`, how to `mend` it.

    None of the four may hold personal data. The exit code is 2 unless given.
    """

    def __init__(
        self, what: str, *, where: str = "", why: str = "", mend: str = "", code: Exit = Exit.MISUSE
    ) -> None:
        super().__init__(what, where, why, mend)
        self.what = what
        self.where = where
        self.why = why
        self.mend = mend
        self.code = code

    def __str__(self) -> str:
        return ": ".join(part for part in (self.what, self.where, self.why) if part)


def of_trouble(trouble: Trouble) -> UserError:
    """Give an outside thing's trouble the exit code of its kind."""
    code = Exit.FOUND
    if isinstance(trouble, Unreachable):
        code = Exit.UNREACHABLE
    elif isinstance(trouble, Misused):
        code = Exit.MISUSE
    return UserError(trouble.what, where=trouble.where, why=trouble.why, mend=trouble.mend, code=code)
