"""How long work is told to a person, without knowing where that person looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Report(Protocol):
    """Where words and progress go; `postroom.console` shows them on stderr."""

    def say(self, text: str) -> None:
        """One line for a person."""

    def transfer(self, title: str, total_bytes: int) -> AbstractContextManager[Advance]:
        """Show a download; what is yielded takes the count of bytes that have come since the last call."""


class Silent:
    """A report that nobody reads: for tests and for programs."""

    def say(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def transfer(self, title: str, total_bytes: int) -> Iterator[Advance]:
        """Show nothing."""
        yield lambda _: None
