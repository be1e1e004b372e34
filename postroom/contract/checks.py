"""What is asked of single answers of `postroom contract new`: each check says what is wrong, None if nothing
is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_WORD = re.compile(r"[a-z][a-z0-9-]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Check = Callable[[str], str | None]
"""Says what is wrong with an answer, None if nothing is."""


def is_word(text: str) -> str | None:
    """A word of a type (E1)."""
    return None if _WORD.fullmatch(text) else "it is lower case with hyphens: reading-card"


def is_name(text: str) -> str | None:
    """A name of Avro."""
    return None if _NAME.fullmatch(text) else "it is letters, digits and _: reading_card"


def is_owner(text: str) -> str | None:
    """A short name (E4)."""
    from schemas.annotations import OWNER

    return (
        None if OWNER.fullmatch(text) else "an owner is a short name, lower case with hyphens: leeds-library"
    )


def is_type(word: str) -> str | None:
    """A word for a type."""
    from schemas.scaffold import UnknownType, type_of

    try:
        type_of(word, "any")
    except UnknownType as unknown:
        return str(unknown)
    return None


def is_duration(text: str) -> str | None:
    """A duration (E4)."""
    from schemas import parse_duration

    try:
        parse_duration(text)
    except ValueError as error:
        return str(error)
    return None


def is_pattern(text: str) -> str | None:
    """A regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        return f"not a regular expression: {error}"
    return None


def one_of(words: Iterable[str]) -> Check:
    """A check that takes these words only."""
    words = tuple(words)
    return lambda text: None if text in words else f"one of: {', '.join(words)}"
