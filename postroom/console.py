"""Words for a person, on stderr; stdout is for data (DESIGN §8)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.progress import Advance
from postroom.errors import UserError

PLAIN_EVERY_SECONDS = 10.0


def say(text: str) -> None:
    """Write one line to stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where words leave


def counted(number: int, one: str, many: str | None = None) -> str:
    """How many, with the words for one or for several: `no file`, `1 file`, `2 files`; `many` where another
    `s` does not make it.
    """
    return f"{number or 'no'} {one if number < 2 else many or one + 's'}"


def complain(error: UserError) -> None:
    """Say what is wrong, where, why and how to mend it."""
    say(f"error: {error.what}")
    for title, text in (("where", error.where), ("why", error.why), ("mend", error.mend)):
        if text:
            say(f"  {title + ':':<7}" + text.replace("\n", "\n" + " " * 9))


class ConsoleReport:
    """A `connectors.Report` on the terminal: bars where there is one, lines where there is none."""

    def say(self, text: str) -> None:
        """Write one line."""
        say(text)

    @contextmanager
    def transfer(self, title: str, total_bytes: int) -> Iterator[Advance]:
        """Show a download as a bar with speed and time left, or as a line every ten seconds."""
        if sys.stderr.isatty():
            with _bar(title, total_bytes) as advance:
                yield advance
        else:
            yield _lines(title, total_bytes)


@contextmanager
def counting(title: str, total: int) -> Iterator[Advance]:
    """Show how many of a number are done as a bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def _bar(title: str, total_bytes: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total_bytes)
        yield lambda count: progress.advance(task, count)


def _lines(title: str, total_bytes: int) -> Advance:
    say(f"fetching {title}, {total_bytes / 1e6:.0f} MB")
    come_bytes = 0
    last_told = time.monotonic()

    def advance(count: int) -> None:
        nonlocal come_bytes, last_told
        come_bytes += count
        if time.monotonic() - last_told > PLAIN_EVERY_SECONDS:
            last_told = time.monotonic()
            say(f"fetching {title}: {come_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB")

    return advance
