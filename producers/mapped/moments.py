"""Days and times as departments write them: formats in the words of `strftime`, read strictly.

Only what has one meaning is taken: a year of two digits does not say its century, and a time of day that a
clock never showed (the last Sunday of March) is no time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple

from schemas.times import DAY_MS, LONDON, beginning, format_instant

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DIRECTIVE = re.compile(r"%(.)")
_PARTS = {
    "Y": r"(?P<Y>[0-9]{4})",
    "m": r"(?P<m>[0-9]{1,2})",
    "d": r"(?P<d>[0-9]{1,2})",
    "b": r"(?P<b>[A-Za-z]{3})",
    "H": r"(?P<H>[0-9]{1,2})",
    "M": r"(?P<M>[0-9]{2})",
    "S": r"(?P<S>[0-9]{2})",
}
_CLOCK = {"H", "M", "S"}


class FormatWrong(ValueError):  # noqa: N818 - what is wrong with a format
    """A format that is not taken."""


class Moment(NamedTuple):
    """What a text says: a day, and a time of day if the format has one."""

    day: date
    clock: tuple[int, int, int] | None


class _Format(NamedTuple):
    pattern: re.Pattern[str]
    has_clock: bool


def read_format(text: str) -> _Format:
    """A format ready for use: %Y, %m or %b, %d, and %H, %M, %S; FormatWrong."""
    used = [found[1] for found in _DIRECTIVE.finditer(text)]
    if "y" in used:
        raise FormatWrong("%y does not say the century; have the file written with %Y")
    unknown = sorted({f"%{each}" for each in used} - {f"%{each}" for each in _PARTS})
    if unknown:
        raise FormatWrong(f"{', '.join(unknown)} is not taken; there are %Y, %m, %b, %d, %H, %M and %S")
    if len(set(used)) != len(used):
        raise FormatWrong("a part stands twice")
    if not {"Y", "d"} <= set(used) or len({"m", "b"} & set(used)) != 1:
        raise FormatWrong("a day has %Y, %m (or %b) and %d")
    if _CLOCK & set(used) and not {"H", "M"} <= set(used):
        raise FormatWrong("a time of day has %H and %M")
    pieces = _DIRECTIVE.split(text)
    pattern = re.escape(pieces[0])
    for directive, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        # Without something between them only two digits tell where a part ends.
        part = _PARTS[directive] if literal else _PARTS[directive].replace("{1,2}", "{2}")
        pattern += part + re.escape(literal)
    return _Format(re.compile(pattern, re.ASCII), bool(_CLOCK & set(used)))


def parse_moment(text: str, format_: _Format) -> Moment:
    """What a text says under a format; ValueError when it is not written so, or is no real day."""
    match = format_.pattern.fullmatch(text)
    if match is None:
        raise ValueError("not written so")
    found = match.groupdict()
    month = MONTHS.index(found["b"].lower()) + 1 if "b" in found else int(found["m"])
    day = _day(int(found["Y"]), month, int(found["d"]))
    if not format_.has_clock:
        return Moment(day, None)
    clock = int(found["H"]), int(found["M"]), int(found.get("S", 0))
    if clock >= (24, 0, 0) or clock[1] > 59 or clock[2] > 59:
        raise ValueError("no time of day")
    return Moment(day, clock)


@lru_cache(maxsize=65_536)
def _day(year: int, month: int, day: int) -> date:
    return date(year, month, day)


def instant_of(moment: Moment, zone: str) -> int:
    """The instant of a moment, UTC ms; a day is where it begins in London (DESIGN §1), whatever the zone.

    Of the hour that the clock shows twice in October the first is taken. ValueError for one that it skips.
    """
    if moment.clock is None:
        return beginning(moment.day.isoformat())
    hour, minute, second = moment.clock
    if zone == "UTC":
        days = moment.day.toordinal() - _EPOCH
        return days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000
    local = datetime(moment.day.year, moment.day.month, moment.day.day, hour, minute, second, tzinfo=LONDON)
    instant = int(local.timestamp())
    if datetime.fromtimestamp(instant, LONDON).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise ValueError("no time that was")
    return instant * 1000


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def to_day(format_text: str) -> Callable[[str], str]:
    """A function from a text in a format to `YYYY-MM-DD`."""
    format_ = read_format(format_text)
    return lambda text: parse_moment(text, format_).day.isoformat()


def to_timestamp(format_text: str, zone: str) -> Callable[[str], str]:
    """A function from a text in a format to an RFC 3339 timestamp in UTC."""
    format_ = read_format(format_text)
    return lambda text: format_instant(instant_of(parse_moment(text, format_), zone))
