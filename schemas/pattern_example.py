"""A value that matches a pattern, so that a page can show how an identifier looks (E5)."""

from __future__ import annotations

import re

_CHARACTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyzIOlo0-_./: "
_NOWHERE = frozenset("AZbB")
"""Escapes that match a place, not a character."""

_COUNT = re.compile(r"\{([0-9]*)(,[0-9]*)?\}")
_OPENING = re.compile(r"\(\?(?:P<\w+>|[a-zA-Z-]*:)")
_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")
_LOOK = re.compile(r"\(\?<?[=!]")


def example_of(pattern: str) -> str | None:
    """A short text that matches the whole pattern; None when the first guess does not.

    The first of several alternatives, of a class the first character, of repetitions the fewest. What looks
    around or back is passed over, and the guess is tried: nothing is shown that would be refused.
    """
    try:
        example, end = _alternatives(pattern, 0)
        return example if end == len(pattern) and re.fullmatch(pattern, example) else None
    except (IndexError, re.error):
        return None


def _alternatives(pattern: str, at: int) -> tuple[str, int]:
    """The example of what stands before the next closing bracket, and where that is."""
    first, at = _sequence(pattern, at)
    while at < len(pattern) and pattern[at] == "|":
        _, at = _sequence(pattern, at + 1)
    return first, at


def _sequence(pattern: str, at: int) -> tuple[str, int]:
    example = ""
    while at < len(pattern) and pattern[at] not in "|)":
        part, at = _part(pattern, at)
        times, at = _fewest(pattern, at)
        example += part * times
    return example, at


def _part(pattern: str, at: int) -> tuple[str, int]:
    match pattern[at]:
        case "(":
            return _group(pattern, at)
        case "[":
            return _character(pattern, at, _end_of_class(pattern, at))
        case "\\" if pattern[at + 1] in _NOWHERE:
            return "", at + 2
        case "\\":
            return _character(pattern, at, at + 2)
        case "^" | "$":
            return "", at + 1
        case _:
            return _character(pattern, at, at + 1)


def _group(pattern: str, at: int) -> tuple[str, int]:
    if flags := _FLAGS.match(pattern, at):
        return "", flags.end()
    look = _LOOK.match(pattern, at)
    opening = look or _OPENING.match(pattern, at)
    inner, end = _alternatives(pattern, opening.end() if opening else at + 1)
    if pattern[end] != ")":
        raise IndexError
    return "" if look else inner, end + 1


def _end_of_class(pattern: str, at: int) -> int:
    at += 2 if pattern[at + 1] == "^" else 1
    at += pattern[at] == "]"  # as the first it is a character like others
    while pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at + 1


def _character(pattern: str, at: int, end: int) -> tuple[str, int]:
    """The first character that a part of the pattern takes, itself if it stands for itself."""
    part = pattern[at:end]
    if len(part) == 1 and part != ".":
        return part, end
    fitting = (each for each in _CHARACTERS if re.fullmatch(part, each))
    return next(fitting, part[-1]), end


def _fewest(pattern: str, at: int) -> tuple[int, int]:
    """How often at least the part before must stand, and where its count ends."""
    times, end = 1, at
    if at < len(pattern):
        count = _COUNT.match(pattern, at)
        if count and count[0] != "{}":
            times, end = int(count[1] or 0), count.end()
        elif pattern[at] in "?*":
            times, end = 0, at + 1
        elif pattern[at] == "+":
            end = at + 1
    lazy = end > at and end < len(pattern) and pattern[end] in "?+"
    return times, end + lazy
