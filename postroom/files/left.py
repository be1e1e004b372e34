"""Why a file is left where it lies: a word for programs, a sentence for people, what its sender does."""

from __future__ import annotations

from typing import NamedTuple

from connectors.files.desk import MEND_CHECKSUM, NotTaken
from connectors.files.place import Odd


class Left(NamedTuple):
    """One reason; `reason` stays the same word, so that a program may go by it."""

    reason: str
    why: str
    mend: str


NO_CHECKSUM = Left(
    "no-checksum",
    "it has no checksum beside it yet",
    "write it when the file is whole: sha256sum FILE > FILE.sha256, in the same directory",
)
WRONG = Left("wrong-checksum", NotTaken.WRONG.value, MEND_CHECKSUM)
NEXT = Left(
    "next",
    "its turn has not come; its checksum is compared then",
    "`postroom files run` takes it while it runs, `postroom files send` takes it now",
)
KNOWN = Left(
    "published-before",
    NotTaken.KNOWN.value,
    "nothing: it is put away and not published again, unless `postroom files forget` comes first",
)
NO_FILE = Left(
    "lone-checksum",
    "its file is not there, or has another name",
    "put the file beside it, named as the checksum without .sha256",
)
ODD = {
    each.reason: each
    for each in (
        Left(
            Odd.NAME,
            "its name is too long, or has a character that could be mistaken for something else in a log",
            "name it with A-Z, a-z, 0-9, ., _, - and blanks, 180 at most; the first is a letter or a digit",
        ),
        Left(
            Odd.LINK,
            "it is a link, and a link could lead to what its sender may not read",
            "put the file itself there, no link to it",
        ),
        Left(
            Odd.NO_FILE,
            "it is a directory, a pipe or a device, and no file",
            "put files there and nothing else, not in directories of their own",
        ),
        Left(
            Odd.SHARED,
            "it is a second name of another file, which its sender need not be able to read",
            "put a copy there: under its other name it could change while it is read",
        ),
    )
}
"""What is not looked at, by why not."""
