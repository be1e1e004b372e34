"""One drop on the disk: who puts what where, and what is refused before a byte of it is read.

    <drop>/mapping.yaml   how its rows are read; the operator's
    <drop>/incoming/      FILE and FILE.sha256, as `sha256sum FILE > FILE.sha256` writes it; the department's
    <drop>/done/          what was published
    <drop>/refused/       what was not, and FILE.why.json
    <drop>/quarantine/    bad rows and their reasons, for their owner only

A file counts once its checksum lies beside it and is right. Links are not followed: whoever may write into
`incoming` may not have us read what he may not.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from connectors.trouble import Misused, Unreachable

MAPPING, INCOMING, DONE, REFUSED, QUARANTINE = "mapping.yaml", "incoming", "done", "refused", "quarantine"
SIDECAR = ".sha256"
SIDECAR_BYTES_MAX = 4_096
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,179}")
"""A name that may stand in a log and in a path."""
DROP_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
NOT_SHOWN = "(a name that is not shown)"
_CHECKSUM = re.compile(r"\\?([0-9a-fA-F]{64})(?: [ *](.+))?\r?\n?")


class Odd(StrEnum):
    """Why something in `incoming` is not looked at."""

    NAME = "odd-name"
    LINK = "link"
    NO_FILE = "no-file"
    SHARED = "hard-link"


class Seen(NamedTuple):
    """What lies in `incoming`: `odd` says why it is not looked at, `print` changes when it does; None: its
    checksum is not there yet.
    """

    name: str
    odd: Odd | None
    print: tuple[int, ...] | None

    @property
    def shown(self) -> str:
        """The name as a log may have it."""
        return NOT_SHOWN if self.odd is Odd.NAME else self.name


class Drop:
    """One drop's directories."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.name = directory, directory.name

    @property
    def mapping(self) -> Path:
        """Return where its mapping stands."""
        return self.directory / MAPPING

    def prepare(self) -> None:
        """Make what is missing, for this user only; Misused when something is not a directory of ours."""
        for name in (INCOMING, DONE, REFUSED, QUARANTINE):
            path = self.directory / name
            with suppress(FileExistsError), said(path, FileExistsError):
                path.mkdir(mode=0o700)
            with said(path):
                found = path.lstat()
            if not stat.S_ISDIR(found.st_mode):
                mend = "a drop's directories are no links, and lie beside its mapping"
                raise Misused("that is no directory", where=str(path), mend=mend)
            if found.st_mode & stat.S_IWOTH:
                mend = f"chmod o-w {path}; the department's own group may write into incoming"
                raise Misused("everybody may write there", where=str(path), mend=mend)

    @contextmanager
    def at(self, name: str) -> Iterator[int]:
        """A descriptor of one of its directories, itself no link; what happens in it stays in it."""
        with said(self.directory / name):
            handle = os.open(
                self.directory / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            )
        try:
            yield handle
        finally:
            os.close(handle)

    def incoming(self) -> list[Seen]:
        """Everything in `incoming` but checksums, by name; hidden files are somebody's half ones."""
        with self.at(INCOMING) as handle:
            names = sorted(name for name in os.listdir(handle) if not name.startswith("."))
            return [
                found
                for name in names
                if not name.endswith(SIDECAR)
                if (found := _look(name, handle)) is not None
            ]

    def lone_checksums(self) -> list[str]:
        """Return the names of files that have gone, or not come, while their checksum lies there."""
        with self.at(INCOMING) as handle:
            names = set(os.listdir(handle))
        lone = (name.removesuffix(SIDECAR) for name in names if name.endswith(SIDECAR))
        return sorted(name for name in lone if name not in names and NAME.fullmatch(name))

    def checksum(self, name: str) -> str | None:
        """Return what the file beside it says its checksum is; None when that is none, or another file's."""
        try:
            with self.at(INCOMING) as handle, os.fdopen(open_plain(name + SIDECAR, handle), "rb") as stream:
                match = _CHECKSUM.fullmatch(stream.read(SIDECAR_BYTES_MAX).decode("utf-8", "replace"))
        except OSError:
            return None
        if match is None or (match[2] is not None and Path(match[2].strip()).name != name):
            return None
        return match[1].lower()

    def put_away(self, name: str, print_: tuple[int, ...], into: str | None, digest: str) -> bool:
        """Move a file that is done with, and its checksum; None: delete it. False: it is not there any more,
        or it is another one by now, which is then left alone.
        """
        with self.at(INCOMING) as here:
            found = _look(name, here)
            if found is None or found.odd is not None or found.print != print_:
                return False
            self._move(name, here, into, digest)
            self._move(name + SIDECAR, here, into, digest)
        return True

    def put_checksum_away(self, name: str, into: str | None, digest: str) -> None:
        """Move a checksum whose file was put away before: a life that ended in between left it."""
        with self.at(INCOMING) as here:
            self._move(name + SIDECAR, here, into, digest)

    def _move(self, name: str, here: int, into: str | None, digest: str) -> None:
        with suppress(FileNotFoundError), said(self.directory / INCOMING, FileNotFoundError):
            if into is None:
                os.unlink(name, dir_fd=here)
                return
            with self.at(into) as there:
                os.rename(name, _free(name, there, digest), src_dir_fd=here, dst_dir_fd=there)


def _free(name: str, there: int, digest: str) -> str:
    """A name that nothing has; another content of the same name gets its checksum's beginning."""
    try:
        os.stat(name, dir_fd=there, follow_symlinks=False)
    except FileNotFoundError:
        return name
    return f"{digest[:12]}-{name}"


def _look(name: str, handle: int) -> Seen | None:
    """What one name is; None when it has gone meanwhile."""
    if NAME.fullmatch(name) is None:
        return Seen(name, Odd.NAME, None)
    try:
        found = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except OSError:
        return None
    if (odd := _odd(found)) is not None:
        return Seen(name, odd, None)
    try:
        beside = os.stat(name + SIDECAR, dir_fd=handle, follow_symlinks=False)
    except OSError:
        return Seen(name, None, None)
    if not stat.S_ISREG(beside.st_mode):
        return Seen(name, None, None)
    print_ = (
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        beside.st_ino,
        beside.st_size,
        beside.st_mtime_ns,
    )
    return Seen(name, None, print_)


def _odd(found: os.stat_result) -> Odd | None:
    if stat.S_ISLNK(found.st_mode):
        return Odd.LINK
    if not stat.S_ISREG(found.st_mode):
        return Odd.NO_FILE
    # INVARIANT: whoever makes a second name of a file need not be able to read it; we are.
    return Odd.SHARED if found.st_nlink > 1 else None


def open_plain(name: str, handle: int) -> int:
    """Open a file of a directory for reading: no link, no device, no second name of another; OSError."""
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    if _odd(os.fstat(opened)) is not None:
        os.close(opened)
        raise OSError("not a plain file")
    return opened


@contextmanager
def said(path: Path, *expected: type[OSError]) -> Iterator[None]:
    """Say in our words what a disk did; what is expected is the caller's."""
    try:
        yield
    except expected:
        raise
    except OSError as error:
        why = error.strerror or type(error).__name__
        mend = "look at its owner, its rights and the room on its disk"
        raise Unreachable("a drop cannot be used", where=str(path), why=why, mend=mend) from None


def drops_in(directory: Path) -> list[Drop]:
    """Every drop below a directory: what holds a mapping; Misused when there is none or a name is odd."""
    try:
        found = sorted(path.parent for path in directory.glob(f"*/{MAPPING}"))
    except OSError:
        found = []
    if not found:
        mend = "POSTROOM_DROPS names the directory; a drop in it is <name>/mapping.yaml (docs/files.md)"
        raise Misused("there is no drop", where=str(directory), mend=mend)
    for path in found:
        if DROP_NAME.fullmatch(path.name) is None:
            raise Misused(
                "a drop's name is lower-case letters, digits and -", where=str(directory), why=NOT_SHOWN
            )
        if path.stat().st_mode & stat.S_IWOTH or (path / MAPPING).stat().st_mode & stat.S_IWOTH:
            mend = f"chmod -R o-w {path}"
            raise Misused("everybody may change what a drop does", where=str(path), mend=mend)
    return [Drop(path) for path in found]
