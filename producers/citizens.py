"""A seeded country of synthetic citizens: the same seed tells the same lives, event by event.

``lives(seed, citizens, until)`` goes citizen by citizen and keeps only one of them in memory. Two seeds take
their identifiers from different places of the same ranges, so two runs on one stack rarely meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random

from producers import circumstances, decisions, mistakes, synthetic
from producers.departments import Event
from producers.life import Life, new_citizen, new_life
from schemas.times import parse_instant

WINDOW_YEARS = 6
_MONTHLY = (*circumstances.MONTHLY, *decisions.MONTHLY, *mistakes.MONTHLY)
_OLDEST_START = date(2000, 1, 2)  # intake takes nothing that was recorded before 2000 (E7)


def lives(seed: int, citizens: int, until: int, years: int = WINDOW_YEARS) -> Iterator[Event]:
    """CloudEvents in JSON (E3) of so many citizens, recorded in the ``years`` before the instant ``until``.

    Each citizen's events come in the order of their time. Whoever was alive when the window opens is loaded
    from the registers then. ValueError when the ranges of test identifiers do not hold so many citizens, or
    the window would begin before 2000.
    """
    if not 0 <= citizens <= synthetic.CITIZENS_MAX:
        raise ValueError(f"from 0 to {synthetic.CITIZENS_MAX} citizens have identifiers")
    end = datetime.fromtimestamp(until / 1000, UTC).date()
    start = end - timedelta(days=365 * years)
    if start < _OLDEST_START:
        raise ValueError("the window begins before the year 2000")
    first_serial = Random(f"{seed}").randrange(synthetic.CITIZENS_MAX)  # noqa: S311 - told by its seed, no secret
    for index in range(citizens):
        chance = Random(f"{seed}:{index}")  # noqa: S311 - as above
        yield from _one_life((first_serial + index) % synthetic.CITIZENS_MAX, chance, start, end, until)


def _one_life(serial: int, chance: Random, start: date, end: date, until: int) -> Iterator[Event]:
    life = new_life(new_citizen(serial, chance, start, end), chance, start)
    circumstances.become_known(life)
    while life.alive and life.day < end:
        life.day += timedelta(days=chance.randint(28, 33))
        _one_month(life)
    told = [(parse_instant(event["time"]), event) for event in life.events]
    told.sort(key=lambda pair: pair[0])
    return (event for time, event in told if time <= until)


def _one_month(life: Life) -> None:
    for circumstance in _MONTHLY:
        if not life.alive:
            return
        # INVARIANT: the dice come first: `once` marks what it answers, so it is asked only when it counts.
        if life.chance.random() * 1000 < circumstance.per_mille and circumstance.who(life):
            circumstance.happens(life)


def in_order_of_time(events: Iterable[Event]) -> list[Event]:
    """All events as they were recorded; ties stay as they came."""
    return sorted(events, key=lambda event: parse_instant(event["time"]))


def disordered(events: Iterable[Event], seed: int, duplicates: float = 0.1) -> list[Event]:
    """The same events in any order, a share of them twice or more: no result may depend on it (I5, R6)."""
    chance = Random(f"disorder:{seed}")  # noqa: S311 - as above
    told = list(events)
    again = [event for event in told if chance.random() < duplicates]
    again += [event for event in again if chance.random() < duplicates]
    told += again
    chance.shuffle(told)
    return told
