"""Instants, London days and durations (DESIGN §1, R7), by the plainest code that is right."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
FIVE_MINUTES_MS = 5 * 60 * 1000
START_OF_YEAR_10000_MS = 253_402_300_800_000
NEVER_MS = 1 << 62

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_DURATION = re.compile(
    r"P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?",
    re.ASCII,
)


def instant(text: str) -> int:
    """RFC 3339 as milliseconds since the epoch; what is finer than a millisecond is dropped. ValueError."""
    found = _RFC3339.fullmatch(text)
    if not found:
        raise ValueError("not an RFC 3339 timestamp")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    shift_days = 0
    if year == 0:  # a leap year that datetime does not have; 400 years later all days are the same
        year, shift_days = 400, 146_097
    local = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - EPOCH - timedelta(days=shift_days)
    fraction_ms = int(((found[7] or "") + "000")[:3])
    offset_minutes = 0
    if found[8]:
        if int(found[9]) > 23 or int(found[10]) > 59:
            raise ValueError("not an offset")
        offset_minutes = (int(found[9]) * 60 + int(found[10])) * (1 if found[8] == "+" else -1)
    return local // MILLISECOND + fraction_ms - offset_minutes * 60_000


def text_of(instant_ms: int) -> str:
    """The one form in which a normalised timestamp is written: UTC, milliseconds only when there are any."""
    moment = EPOCH + timedelta(milliseconds=instant_ms)
    text = f"{moment.year:04d}-" + moment.strftime("%m-%dT%H:%M:%S")
    return text + (f".{instant_ms % 1000:03d}" if instant_ms % 1000 else "") + "Z"


def day(text: str) -> date:
    """`YYYY-MM-DD`; ValueError for anything else."""
    found = _DAY.fullmatch(text)
    if not found:
        raise ValueError("not a date")
    return date(int(found[1]), int(found[2]), int(found[3]))


def start_of(a_day: date) -> int:
    """The first instant of a day in London."""
    midnight = datetime(a_day.year, a_day.month, a_day.day, tzinfo=LONDON)
    return (midnight - EPOCH) // MILLISECOND


def beginning(text: str) -> int:
    """§1: a date as a beginning is the start of that London day; a timestamp is itself."""
    return start_of(day(text)) if _DAY.fullmatch(text) else instant(text)


def end(text: str) -> int:
    """§1: a date as an end is the start of the next London day; a timestamp is itself, exclusive."""
    if not _DAY.fullmatch(text):
        return instant(text)
    last = day(text)
    return START_OF_YEAR_10000_MS if last == date.max else start_of(last + timedelta(days=1))


def after(iso_duration: str, since_ms: int) -> int:
    """R7: `since` plus an ISO 8601 duration on the UTC calendar; a day that is not there is the last one."""
    found = _DURATION.fullmatch(iso_duration)
    if not found:
        raise ValueError("not an ISO 8601 duration")
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    moment = EPOCH + timedelta(milliseconds=since_ms)
    month_count = moment.year * 12 + (moment.month - 1) + years * 12 + months
    year, month = month_count // 12, month_count % 12 + 1
    try:
        moment = moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
        moment += timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except (ValueError, OverflowError):
        return NEVER_MS
    return (moment - EPOCH) // MILLISECOND
