"""JSON text in which every object says each of its keys once (E3; RFC 7493 §2.3).

Readers disagree about a key that stands twice: most take the last value, some the first. What two readers
would understand differently is refused, before anybody has taken either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import NoReturn

import msgspec

_SPACE = b" \t\r\n"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

Step = str | int
"""One step into a value: a key, or a place in a list."""


Path = tuple[Step, ...]
_PATHS_MAX = 100


class KeyTwice(msgspec.DecodeError):
    """Keys stand twice in one object; `paths` lead to them, a hundred at most. Their steps are the sender's
    text.
    """

    def __init__(self, *paths: Path) -> None:
        super().__init__("a key stands twice in one object")
        self.paths = paths


class _Object(list[tuple[str, object]]):
    """The members of an object, every one of them."""


def json_value(text: bytes) -> object:
    """The value of JSON in UTF-8; KeyTwice, and what msgspec raises: DecodeError (which KeyTwice is),
    UnicodeDecodeError, RecursionError.
    """
    value = _decode(text)
    # What is written again has each key once. If that is the text but for spaces, so has the text; spaces in
    # strings are left out on both sides and end no string. Nearly all text ends here, at a fifth of the cost.
    if _encode(value).translate(None, _SPACE) != text.translate(None, _SPACE):
        _look_closely(text)
    return value


def _repeated(members: list[tuple[str, object]]) -> None:
    if len(dict(members)) != len(members):
        raise _Twice


class _Twice(Exception):  # noqa: N818 - an answer on its way out of a parser that takes no other
    """Some object has a key twice."""


# Numbers stay text: they are not looked at, and one of a million digits takes long to become a number.
_closely = json.JSONDecoder(object_pairs_hook=_repeated, parse_int=str, parse_float=str, strict=False)
_members = json.JSONDecoder(object_pairs_hook=_Object, parse_int=str, parse_float=str, strict=False)


def _look_closely(text: bytes) -> None:
    readable = text.decode()
    try:
        _closely.decode(readable)
    except _Twice:
        _say_where(_members.decode(readable))


def _say_where(value: object) -> NoReturn:
    # INVARIANT: there is one: an object with a key twice was seen in this text.
    raise KeyTwice(*islice(dict.fromkeys(_twice(value, ())), _PATHS_MAX))


def _twice(value: object, path: Path) -> Iterator[Path]:
    """The path of every key that its object has said before, in the order of the text."""
    if isinstance(value, _Object):
        seen: set[str] = set()
        for key, inner in value:
            if key in seen:
                yield (*path, key)
            seen.add(key)
            yield from _twice(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _twice(inner, (*path, index))
