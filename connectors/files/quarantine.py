"""Bad rows, put aside for the department: as they stood in the file, and why, in two files beside the drop.

They hold what the department sent, which is personal data: only the owner of the process may read them. The
first has the file's header, so mended rows can be handed in as a file of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from connectors.files.place import QUARANTINE, Drop, said
from connectors.files.spool import number, open_private, sync, sync_directory

REASONS = ".reasons.jsonl"


class Quarantine:
    """Where the bad rows of one file go; `numbers` is our own list of them."""

    def __init__(self, drop: Drop, name: str, sha256: str, numbers: Path) -> None:
        directory = drop.directory / QUARANTINE
        self.rows = directory / f"{sha256[:12]}-{name}"
        self.reasons = directory / f"{sha256[:12]}-{name}{REASONS}"
        self._numbers = numbers

    @contextmanager
    def filling(self, header: bytes) -> Iterator[Filling]:
        """Fill it anew; it is there, whole, once this has ended well, and what was there before until then.

        The list of numbers comes last: whoever finds it finds the rows too.
        """
        wanted = (self.rows, self.reasons, self._numbers)
        halves = [path.with_name(f".{path.name}.half") for path in wanted]
        with said(self.rows.parent):
            streams = [open_private(half) for half in halves]
            filling = Filling(streams, header)
            try:
                yield filling
                for stream in streams:
                    sync(stream)
            finally:
                for stream in streams:
                    stream.close()
            if filling.count:
                for half, path in zip(halves, wanted, strict=True):
                    half.replace(path)
            else:
                for path in (*halves, *wanted):
                    with suppress(FileNotFoundError):
                        path.unlink()
            for directory in {path.parent for path in wanted}:
                sync_directory(directory)


class Filling:
    """A quarantine while it is filled."""

    def __init__(self, streams: list[IO[bytes]], header: bytes) -> None:
        self._rows, self._reasons, self._numbers = streams
        self.count = 0
        if header:
            self._rows.write(header + b"\n")

    def put(self, row: int, line: int, raw: bytes | None, problems: Iterable[tuple[str, str, str]]) -> None:
        """Put a row aside: as it stood (None: it was too long to keep), and (column, expected, mend) each."""
        if raw is not None:
            self._rows.write(raw + b"\n")
        told = [{"column": column, "expected": expected, "mend": mend} for column, expected, mend in problems]
        self._reasons.write(json.dumps({"row": row, "line": line, "problems": told}).encode() + b"\n")
        self._numbers.write(number(row))
        self.count += 1
