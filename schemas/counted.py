"""How many of something, as a person says it: `no file`, `1 file`, `2 files`."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """The number with the words for one or for several; `many` where another `s` does not make it."""
    return f"{number or 'no'} {one if number < 2 else many or one + 's'}"
