"""Our own copies of files that are under way, in the state directory, for this user only.

A file is judged and published from a copy, so what its sender does to it meanwhile (append, cut, replace,
delete) changes nothing; the copy is what the checksum was found right of.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from connectors.files.place import INCOMING, Drop, open_plain, said

PIECE_BYTES = 1_048_576
_NUMBER = struct.Struct(">Q")


class Spool:
    """One installation's copies, by drop and checksum."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def copy(self, drop: Drop, name: str, advance: Callable[[int], None] = lambda _: None) -> tuple[str, int]:
        """Copy a file of `incoming` and return its checksum and size; it is not kept until :meth:`keep`.

        FileNotFoundError when it has gone, or is no plain file any more.
        """
        half, digest, size = self._half(drop.name), hashlib.sha256(), 0
        with said(half, FileNotFoundError), drop.at(INCOMING) as here, open_private(half) as copy:
            try:
                source = os.fdopen(open_plain(name, here), "rb", buffering=0)
            except OSError as error:
                raise FileNotFoundError(name) from error
            with source:
                while piece := source.read(PIECE_BYTES):
                    digest.update(piece)
                    copy.write(piece)
                    size += len(piece)
                    advance(len(piece))
            sync(copy)
        return digest.hexdigest(), size

    def keep(self, drop: str, sha256: str) -> None:
        """Keep the last copy under its checksum; from here on it outlives us."""
        half = self._half(drop)
        with said(half):
            half.replace(self.path(drop, sha256))
            sync_directory(half.parent)

    def discard(self, drop: str) -> None:
        """Delete the last copy, which is not kept."""
        half = self._half(drop)
        with suppress(FileNotFoundError), said(half, FileNotFoundError):
            half.unlink()

    def path(self, drop: str, sha256: str) -> Path:
        """Return where a copy lies."""
        return self._directory / drop / sha256

    def bad_list(self, drop: str, sha256: str) -> Path:
        """Return where the numbers of its bad rows lie."""
        return self._directory / drop / f"{sha256}.bad"

    def drop_all_but(self, drop: str, wanted: set[str]) -> None:
        """Delete what belongs to none of these checksums: a life that ended left it."""
        directory = self._directory / drop
        with suppress(FileNotFoundError), said(directory, FileNotFoundError):
            for path in directory.iterdir():
                if path.name.removesuffix(".bad") not in wanted:
                    path.unlink()

    def _half(self, drop: str) -> Path:
        directory = self._directory / drop
        with said(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory / ".half"


def numbers_in(path: Path) -> Iterator[int]:
    """The numbers in a list of bad rows; none when there is no list."""
    with suppress(FileNotFoundError), said(path, FileNotFoundError), path.open("rb") as stream:
        while piece := stream.read(_NUMBER.size):
            yield int(_NUMBER.unpack(piece)[0])


def number(row: int) -> bytes:
    """One number of such a list."""
    return _NUMBER.pack(row)


def open_private(path: Path) -> IO[bytes]:
    """A file that is written anew and that nobody else may read."""
    with suppress(FileNotFoundError):
        path.unlink()  # whatever rights it had, whoever has it open
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def sync(stream: IO[bytes]) -> None:
    """Let what was written outlive the machine's power."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_directory(path: Path) -> None:
    """Let the names in a directory outlive it too."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
