"""How the demo's story stands on the page: readable in any terminal, in a file, and without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH_MAX = 100
DATA_COLUMN = 12


class Page:
    """Numbered chapters on stdout; words are indented, data more."""

    def __init__(self) -> None:
        from rich.console import Console

        terminal = Console(highlight=False, markup=False)
        width = min(WIDTH_MAX, terminal.width) if terminal.is_terminal else WIDTH_MAX
        self._console = Console(highlight=False, markup=False, width=width)
        self._chapters = 0

    def title(self, text: str) -> None:
        """Write what this is."""
        self._console.print(text, style="bold")

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapters += 1
        self._console.print(f"\n{self._chapters}  {title}", style="bold")

    def say(self, text: str) -> None:
        """Write a paragraph."""
        self._indented(text, 3)

    def strong(self, text: str) -> None:
        """Write a paragraph that matters most."""
        self._indented(text, 3, "bold")

    def said(self, owner: str, subject: str, what: str) -> None:
        """Write an event in a line: who said what about which identifier."""
        self._indented(f"{owner:<16} {subject:<26} {what}", 5, "cyan", hanging=44)

    def data(self, text: str) -> None:
        """Write what was read, as it was read."""
        self._indented(text, 5, "green", hanging=DATA_COLUMN)

    def command(self, words: str, meaning: str) -> None:
        """Write a command to try, whole in one line so that it can be copied, and what it shows."""
        self._console.print(f"     {words}", style="cyan", soft_wrap=True)
        self._indented(meaning, 9)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a table; numbers stand to the right."""
        from rich import box
        from rich.padding import Padding
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        cells = [[str(cell) for cell in row] for row in rows]
        for number, column in enumerate(columns):
            right = all(row[number].isdigit() for row in cells)
            table.add_column(column, justify="right" if right else "left", overflow="fold")
        for row in cells:
            table.add_row(*row)
        self._console.print(Padding(table, (0, 0, 0, 5), expand=False))

    def _indented(self, text: str, by: int, style: str = "", hanging: int = 0) -> None:
        wrapped = textwrap.fill(
            text,
            self._console.width,
            initial_indent=" " * by,
            subsequent_indent=" " * (by + hanging),
            break_long_words=False,
            break_on_hyphens=False,
        )
        self._console.print(wrapped, style=style, soft_wrap=True)


def seconds(duration_s: float) -> str:
    """Write a duration for a reader."""
    return f"{duration_s * 1000:.0f} ms" if duration_s < 1 else f"{duration_s:.1f} s"
