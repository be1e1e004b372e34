"""What is wrong with a row, in words that hold nothing of it."""

from __future__ import annotations

from typing import NamedTuple


class RowProblem(NamedTuple):
    """The column as the mapping names it, what was expected there, and what to do about it."""

    column: str
    expected: str
    mend: str
