"""Instants, London days and calendar durations (DESIGN §1, R7).

An *instant* is an int: milliseconds since 1970-01-01T00:00:00Z. A *date* is a day in Europe/London.
Everything here is on the path of every event, so days are looked up rather than computed twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000

# The zone comes from the pinned tzdata package, never from the machine: two workers must agree when a day
# starts.
with files("tzdata.zoneinfo").joinpath("Europe/London").open("rb") as _zone:
    LONDON = ZoneInfo.from_file(_zone, key="Europe/London")

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_INSTANT_MIN_US = (date.min.toordinal() - _EPOCH_ORDINAL) * DAY_MS * 1000
_INSTANT_END_US = (date.max.toordinal() + 1 - _EPOCH_ORDINAL) * DAY_MS * 1000
_YEAR_ZERO = "0000"
_GREGORIAN_CYCLE_YEARS, _GREGORIAN_CYCLE_DAYS = 400, 146_097

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_DURATION = re.compile(
    r"P(?:([0-9]{1,6})W|(?=[0-9]|T[0-9])(?:([0-9]{1,6})Y)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})(?:\.([0-9]{1,3}))?S)?)?)"
)


@lru_cache(maxsize=65_536)
def day_number(day: str) -> int:
    """The days from 1970-01-01 to a real calendar day written `YYYY-MM-DD`; ValueError when it is not one."""
    if len(day) != 10 or not day.isascii():  # fromisoformat takes other shapes of ISO 8601 too
        raise ValueError("not a day written YYYY-MM-DD")
    number = date.fromisoformat(day).toordinal() - _EPOCH_ORDINAL
    if day[4] != "-" or day[7] != "-":  # YYYY-Www-D
        raise ValueError("not a day written YYYY-MM-DD")
    return number


@lru_cache(maxsize=65_536)
def day_text(number: int) -> str:
    """The day `YYYY-MM-DD` so many days after 1970-01-01; ValueError outside the years 0001 to 9999."""
    return date.fromordinal(number + _EPOCH_ORDINAL).isoformat()


def parse_micros(text: str) -> int:
    """An RFC 3339 timestamp as microseconds since the epoch; what is finer is cut off.

    Strict: an offset is required, the day must exist, a leap second (`:60`) has no instant, and the instant
    has a year from 0001 to 9999 in UTC. ValueError.
    """
    micros = _micros(text)
    if not _INSTANT_MIN_US <= micros < _INSTANT_END_US:
        raise ValueError("outside the years 0001 to 9999 in UTC")
    return micros


def parse_event_time(text: str) -> int:
    """The `time` of an event as an instant, of whatever year: a well-formed one is not damaged (E7)."""
    usual = _usual_instant(text)
    return _micros(text) // 1000 if usual is None else usual


def _micros(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 timestamp with an offset")
    day, hour, minute, second, fraction, sign, offset_hour, offset_minute = match.groups()
    number = day_number(day) if day[:4] != _YEAR_ZERO else _day_of_year_zero(day)
    seconds = (number * 24 + int(hour)) * 3600 + int(minute) * 60 + int(second)
    if sign is not None:
        offset_s = int(offset_hour) * 3600 + int(offset_minute) * 60
        seconds += -offset_s if sign == "+" else offset_s
    micros = seconds * 1_000_000
    if fraction is not None:
        micros += int(fraction[:6].ljust(6, "0"))
    return micros


def _day_of_year_zero(day: str) -> int:
    """RFC 3339 can write the year before year 1, the standard library cannot; the calendar repeats."""
    return day_number(f"{_GREGORIAN_CYCLE_YEARS:04d}{day[4:]}") - _GREGORIAN_CYCLE_DAYS


def parse_instant(text: str) -> int:
    """An RFC 3339 timestamp as an instant, what is finer than a millisecond cut off; strict, ValueError."""
    usual = _usual_instant(text)
    return parse_micros(text) // 1000 if usual is None else usual


_MINUTES = {f"T{h:02d}:{m:02d}:": (h * 60 + m) * 60_000 for h in range(24) for m in range(60)}
_SECONDS = {f"{second:02d}.": second * 1000 for second in range(60)}
_LAST_SECONDS = {f"{second:02d}Z": second * 1000 for second in range(60)}
_LAST_MILLISECONDS = {f"{ms:03d}Z": ms for ms in range(1000)}


def _usual_instant(text: str) -> int | None:
    """The instant of a text as `format_instant` writes it, and as nearly every event has it; None for others.

    Parts looked up instead of matched: every time of an event comes this way.
    """
    try:
        if len(text) == 20:
            of_minute = _LAST_SECONDS[text[17:]]
        else:
            of_minute = _SECONDS[text[17:20]] + _LAST_MILLISECONDS[text[20:]]
        return day_number(text[:10]) * DAY_MS + _MINUTES[text[10:17]] + of_minute
    except (KeyError, ValueError):
        return None


def format_micros(micros: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC, with three or six decimals only where they say
    something.
    """
    days, rest = divmod(micros, DAY_MS * 1000)
    seconds, fraction = divmod(rest, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    try:
        text = f"{day_text(days)}T{hour:02d}:{minute:02d}:{second:02d}"
    except (OverflowError, ValueError):
        raise ValueError("outside the years 0001 to 9999") from None
    if not fraction:
        return text + "Z"
    return f"{text}.{fraction // 1000:03d}Z" if fraction % 1000 == 0 else f"{text}.{fraction:06d}Z"


def format_instant(ms: int) -> str:
    """An instant as `YYYY-MM-DDTHH:MM:SSZ`, with `.mmm` only when it is not a whole second; ValueError past
    9999.
    """
    return format_micros(ms * 1000)


def _london_midnight(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=LONDON).timestamp()) * 1000


@lru_cache(maxsize=65_536)
def _day_bounds(text: str) -> tuple[int, int]:
    """The instants at which a London day, month or year starts and the next one starts."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a date YYYY, YYYY-MM or YYYY-MM-DD")
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    start = _london_midnight(year, month, day)
    if match[3] is not None:
        last = date(year, month, day)
    elif match[2] is not None:
        last = date(year, month, _month_days(year, month))
    else:
        last = date(year, 12, 31)
    following = last.toordinal() + 1
    if (
        following > date.max.toordinal()
    ):  # `9999-12-31` is how registers write «no end»; London is on GMT then
        return start, (following - _EPOCH_ORDINAL) * DAY_MS
    end = date.fromordinal(following)
    return start, _london_midnight(end.year, end.month, end.day)


def _month_days(year: int, month: int) -> int:
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in (4, 6, 9, 11) else 31


def is_partial_date(text: str) -> bool:
    """Whether a text is a real `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, as registers write what they half know."""
    try:
        _day_bounds(text)
    except ValueError:
        return False
    return True


def beginning(text: str) -> int:
    """The instant from which a plain-JSON date or timestamp holds: a day's start in London, a timestamp
    itself (§1).

    A partial date means the start of its month or year. ValueError.
    """
    return _day_bounds(text)[0] if len(text) <= 10 else parse_instant(text)


def ending(text: str) -> int:
    """The exclusive instant at which a plain-JSON date or timestamp ends: a date is the last day (§1).
    ValueError.
    """
    # INVARIANT: a date as an end includes its whole day; a timestamp as an end excludes its own millisecond.
    return _day_bounds(text)[1] if len(text) <= 10 else parse_instant(text)


@lru_cache(maxsize=65_536)
def _later_day(number: int, years: int, months: int, days: int) -> int:
    start = date.fromordinal(number + _EPOCH_ORDINAL)
    year, month = divmod(start.year * 12 + start.month - 1 + years * 12 + months, 12)
    cycles = max(
        0, -((9999 - year) // _GREGORIAN_CYCLE_YEARS)
    )  # the calendar repeats; datetime ends with 9999
    year -= cycles * _GREGORIAN_CYCLE_YEARS
    day = min(start.day, _month_days(year, month + 1))  # 29 February becomes 28
    there = date(year, month + 1, day).toordinal() - _EPOCH_ORDINAL
    return there + cycles * _GREGORIAN_CYCLE_DAYS + days


@dataclass(frozen=True, slots=True)
class Duration:
    """An ISO 8601 duration, kept in calendar parts because a year is not a number of days (R7)."""

    years: int = 0
    months: int = 0
    days: int = 0
    ms: int = 0

    def after(self, ms: int) -> int:
        """The instant this long after another, by calendar arithmetic in UTC; 29 February becomes 28."""
        number, of_day = divmod(ms, DAY_MS)
        return _later_day(number, self.years, self.months, self.days) * DAY_MS + of_day + self.ms


@lru_cache(maxsize=1024)
def parse_duration(iso: str) -> Duration:
    """`P7Y`, `P2W`, `P1DT12H`: years, months, days and a time, or weeks alone; ValueError for anything
    else.
    """
    match = _DURATION.fullmatch(iso)
    if match is None:
        raise ValueError("not an ISO 8601 duration such as P7Y or P30D")
    weeks, years, months, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:7])
    ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + int((match[8] or "").ljust(3, "0"))
    return Duration(years, months, days + 7 * weeks, ms)
