"""Times that matter: near T, near each other, at London's midnights and when its clocks change."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from tests.model.times import FIVE_MINUTES_MS, after, day, instant, start_of, text_of

DAY_MS = 24 * 3600 * 1000
QUESTIONS = (
    "2026-06-01T12:00:00Z",
    "2026-06-01T23:00:00Z",  # midnight in London
    "2026-06-01T22:59:59.999Z",
    "2026-03-29T00:00:00Z",  # the clocks go forward that night
    "2026-03-29T23:00:00Z",
    "2026-10-25T00:00:00Z",  # and back
    "2026-10-26T00:00:00Z",
    "2028-02-29T12:00:00Z",  # a day that seven years earlier was not
    "2027-02-28T12:00:00Z",
    "2027-12-31T23:59:59.999Z",  # most agreements end
    "2028-01-01T00:00:00Z",
    "2024-12-31T23:59:59.999Z",  # most agreements have not begun
    "2025-01-01T00:00:00Z",
)
FAR_DAYS = ("0001-01-01", "1847-11-30", "1900-02-28", "1941-08-10", "1970-01-01", "9998-12-31", "9999-12-31")


def question(rng: Random) -> str:
    """T."""
    return QUESTIONS[0] if rng.random() < 0.55 else rng.choice(QUESTIONS)


def event_times(rng: Random, at_ms: int, retentions: list[str], count: int) -> list[int]:
    """Few instants, many a few minutes or a millisecond apart, some at the edge of a retention."""
    bases = [at_ms - rng.randrange(1, 500 * DAY_MS) // 1000 * 1000 for _ in range(count)]
    times = [base + shift for base in bases for shift in (0, 0, 60_000)]
    times += [
        base + shift
        for base in bases[:2]
        for shift in (1, -1, FIVE_MINUTES_MS, FIVE_MINUTES_MS + 1, FIVE_MINUTES_MS - 1, 2 * FIVE_MINUTES_MS)
    ]
    times += [at_ms - FIVE_MINUTES_MS, at_ms - 1, at_ms, at_ms + 1, at_ms + FIVE_MINUTES_MS]
    for retention in retentions:
        times += [t + shift for t in before(retention, at_ms) for shift in (-1, 0, 1)]
    return [t for t in times if t >= instant("2000-01-01T00:00:00Z")] or [at_ms]


def close_times(rng: Random, at_ms: int) -> list[int]:
    """Moments of one day, at and around five minutes from each other."""
    base = at_ms - rng.randrange(1, 200 * DAY_MS) // 1000 * 1000
    steps = (0, 1, -1, 60_000, FIVE_MINUTES_MS - 1, FIVE_MINUTES_MS, FIVE_MINUTES_MS + 1)
    return [base + sign * step for step in (*steps, 2 * FIVE_MINUTES_MS) for sign in (1, -1)]


def before(retention: str, at_ms: int) -> list[int]:
    """Instants whose retention ends at T, or on its day."""
    length_ms = after(retention, at_ms) - at_ms
    if length_ms > 26 * 365 * DAY_MS:
        return []
    guess = at_ms - length_ms
    return [guess + shift * DAY_MS for shift in (-1, 0, 1)]


def days(rng: Random, at_ms: int) -> list[str]:
    """Days around T and the far ends of the calendar."""
    today = day(text_of(at_ms)[:10])
    near = [(today + timedelta(days=shift)).isoformat() for shift in (-2, -1, 0, 0, 1, 1, 2)]
    some = [(today - timedelta(days=rng.randrange(3, 900))).isoformat() for _ in range(4)]
    later = [(today + timedelta(days=rng.randrange(3, 900))).isoformat()]
    return near * 2 + some * 3 + later + [rng.choice(FAR_DAYS)]


def instants(rng: Random, at_ms: int) -> list[str]:
    """Timestamps as data: around T and London's midnight, written in several offsets."""
    midnight = start_of(date.fromisoformat(text_of(at_ms)[:10]))
    ms = [
        at_ms - 1,
        at_ms,
        at_ms,
        at_ms + 1,
        midnight,
        midnight - 1,
        at_ms - 300 * DAY_MS,
        at_ms - 30 * DAY_MS,
    ]
    ms += [at_ms + 30 * DAY_MS, at_ms - rng.randrange(1, 900 * DAY_MS)]
    return [as_written(rng, each) for each in ms]


def as_written(rng: Random, instant_ms: int) -> str:
    """One of the ways to write an instant."""
    form = rng.random()
    if form < 0.6:
        return text_of(instant_ms)
    if form < 0.7:
        return text_of(instant_ms).lower()
    if form < 0.8:
        fraction = f"{instant_ms % 1000:03d}" + rng.choice(("", "0", "999", "4999999"))
        return f"{text_of(instant_ms // 1000 * 1000)[:-1]}.{fraction}Z"
    minutes = rng.choice((60, -60, 330, -720, 0))
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    return text_of(instant_ms + minutes * 60_000)[:-1] + offset
