"""Instants, London days, calendar durations (DESIGN §1, R7)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Duration, beginning, ending, format_instant, parse_duration, parse_instant
from schemas.times import DAY_MS, day_number, format_micros, is_partial_date, parse_event_time, parse_micros

HOUR_MS = 3_600_000
NAIVE_MIN, NAIVE_MAX = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 - bounds of st.datetimes
MOMENTS = st.datetimes(NAIVE_MIN, NAIVE_MAX)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@given(MOMENTS, OFFSETS)
def test_a_timestamp_is_the_instant_that_the_standard_library_finds(moment: datetime, offset: timezone):
    """RFC 3339 §5.6: any offset, to the microsecond, cut to the millisecond (§1)."""
    moment = moment.replace(tzinfo=offset)
    assert parse_micros(moment.isoformat()) == micros(moment)
    assert parse_instant(moment.isoformat()) == micros(moment) // 1000


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_formatting_and_parsing_an_instant_are_inverse(ms: int):
    """§1: instants to the millisecond, years 0001 to 9999."""
    assert parse_instant(format_instant(ms)) == ms
    assert parse_micros(format_micros(ms * 1000 + 7)) == ms * 1000 + 7


SPOILT = st.sampled_from(
    ["0", "9", "5", "-", ":", ".", "Z", "T", " ", "t", "z", "+", "W", "\n", "\u0661", ""]
)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999).map(format_instant), st.data())
def test_the_usual_way_to_write_an_instant_is_read_as_any_other(text: str, data: st.DataObject):
    """§1: looked up or matched, the same instant, and what one refuses the other refuses."""
    for place in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=3)):
        text = text[:place] + data.draw(SPOILT) + text[place + data.draw(st.integers(0, 1)) :]
    try:
        expected = parse_micros(text) // 1000
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - of any words
            parse_instant(text)
    else:
        assert parse_instant(text) == expected


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-06-01t12:00:00z", "2026-06-01T12:00:00Z"),
        ("2026-06-01T12:00:00.9999Z", "2026-06-01T12:00:00.999Z"),
        ("2026-06-01T12:00:00.1Z", "2026-06-01T12:00:00.100Z"),
        ("2026-06-01T12:00:00.000+00:00", "2026-06-01T12:00:00Z"),
        ("2026-06-01T00:30:00+01:00", "2026-05-31T23:30:00Z"),
        ("2026-06-01T00:30:00-00:00", "2026-06-01T00:30:00Z"),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_every_form_of_a_timestamp_has_one_canonical_form(text: str, canonical: str):
    """E3: T and Z in either case, any fraction, any offset; what is finer than a millisecond is cut off."""
    assert format_instant(parse_instant(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-06-01",
        "2026-06-01T12:00:00",
        "2026-06-01 12:00:00Z",
        "2026-06-01T12:00Z",
        "2026-06-01T24:00:00Z",
        "2026-06-01T12:60:00Z",
        "2016-12-31T23:59:60Z",
        "2025-02-29T12:00:00Z",
        "2026-6-01T12:00:00Z",
        "2026-06-01T12:00:00.Z",
        "2026-06-01T12:00:00,5Z",
        "2026-06-01T12:00:00+01",
        "2026-06-01T12:00:00+0100",
        "2026-06-01T12:00:00+24:00",
        "2026-06-01T12:00:00Z\n",
        " 2026-06-01T12:00:00Z",
        "2026-W23-1T12:00:00Z",
        "٢٠٢٦-06-01T12:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
    ],
)
def test_what_is_not_rfc_3339_is_refused(text: str):
    """E1, E3: strict, because a department's typing error must not move an event in time."""
    with pytest.raises(ValueError, match=r".+"):
        parse_instant(text)


def test_an_events_time_has_an_instant_whatever_its_year():
    """E7: well-formed is well-formed, however far from any calendar of ours."""
    assert parse_event_time("2026-06-01T12:00:00.5Z") == parse_instant("2026-06-01T12:00:00.5Z")
    first, last = parse_instant("0001-01-01T00:00:00Z"), parse_instant("9999-12-31T23:59:59.999Z")
    assert parse_event_time("0001-01-01T00:00:00+00:01") == first - 60_000
    assert parse_event_time("9999-12-31T23:59:59.999-23:59") == last + 86_340_000
    assert parse_event_time("0000-12-31T23:59:59.999Z") == first - 1
    assert parse_event_time("0000-01-01T00:00:00Z") == first - 366 * DAY_MS  # it is a leap year


@pytest.mark.parametrize("text", ["0000-02-30T00:00:00Z", "0000-00-01T00:00:00Z", "2026-01-01", ""])
def test_an_events_time_must_be_well_formed(text: str):
    """E7: else it is `undecodable`."""
    with pytest.raises(ValueError, match=r"."):
        parse_event_time(text)


@pytest.mark.parametrize("ms", [-62_135_596_800_001, 253_402_300_800_000])
def test_an_instant_outside_four_digit_years_cannot_be_written(ms: int):
    """RFC 3339 has four digits for a year."""
    with pytest.raises(ValueError, match="9999"):
        format_instant(ms)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("2026-06-01", "2026-05-31T23:00:00Z", "2026-06-01T23:00:00Z"),
        ("2026-03-29", "2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z"),
        ("2026-10-25", "2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z"),
        ("1970-01-01", "1969-12-31T23:00:00Z", "1970-01-01T23:00:00Z"),
        ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2026-02", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("1900-02", "1900-02-01T00:00:00Z", "1900-03-01T00:00:00Z"),
        ("2000-02", "2000-02-01T00:00:00Z", "2000-03-01T00:00:00Z"),
        ("2026-06", "2026-05-31T23:00:00Z", "2026-06-30T23:00:00Z"),
        ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2026-06-01T12:00:00+01:00", "2026-06-01T11:00:00Z", "2026-06-01T11:00:00Z"),
    ],
)
def test_a_date_is_a_day_in_london_and_as_an_end_its_last_day(text: str, start: str, end: str):
    """§1: summer time, the years 1968 to 1971 on UTC+1, partial dates, timestamps as exclusive ends."""
    assert (format_instant(beginning(text)), format_instant(ending(text))) == (start, end)


def test_the_last_day_that_can_be_written_has_an_end():
    """Registers write «no end» as 9999-12-31; it must not be an error."""
    assert ending("9999-12-31") - beginning("9999-12-31") == DAY_MS
    assert ending("9999-12") == ending("9999") == ending("9999-12-31")


@given(st.dates())
def test_days_follow_each_other_without_gap(day):
    """§1: the end of a day is the start of the next one, 23, 24 or 25 hours later."""
    following = day + timedelta(days=1) if day.year < 9999 else None
    if following is not None:
        assert ending(day.isoformat()) == beginning(following.isoformat())
    assert abs(ending(day.isoformat()) - beginning(day.isoformat()) - DAY_MS) <= 2 * HOUR_MS


@pytest.mark.parametrize(
    "text", ["", "26", "2026-1", "2026-13", "2026-02-30", "2026-06-0", "2026-06-01T", "0000", "٢٠٢٦"]
)
def test_what_is_no_date_is_refused(text: str):
    """E3: a real day, month or year."""
    assert not is_partial_date(text)
    for bound in (beginning, ending):
        with pytest.raises(ValueError, match=r".+"):
            bound(text)


@pytest.mark.parametrize(
    ("iso", "duration"),
    [
        ("P7Y", Duration(years=7)),
        ("P1Y2M3D", Duration(1, 2, 3)),
        ("P2W", Duration(days=14)),
        ("PT36H", Duration(ms=36 * HOUR_MS)),
        ("P1DT1H1M1.5S", Duration(days=1, ms=HOUR_MS + 61_500)),
        ("P0D", Duration()),
    ],
)
def test_a_duration_keeps_its_calendar_parts(iso: str, duration: Duration):
    """E4, C5: ISO 8601 durations."""
    assert parse_duration(iso) == duration


@pytest.mark.parametrize(
    "iso",
    [
        "",
        "P",
        "PT",
        "P1",
        "1Y",
        "p1y",
        "P1YT",
        "P-1Y",
        "-P1Y",
        "P1W1D",
        "P1D1Y",
        "PT1.5H",
        "P1.5D",
        "P1Y ",
        "P١Y",
    ],
)
def test_what_is_no_duration_is_refused(iso: str):
    """E6: a missing retention is refused, so a mistyped one must not count as one."""
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_duration(iso)


@pytest.mark.parametrize(
    ("iso", "start", "end"),
    [
        ("P1Y", "2024-02-29T10:30:00.500Z", "2025-02-28T10:30:00.500Z"),
        ("P4Y", "2024-02-29T10:00:00Z", "2028-02-29T10:00:00Z"),
        ("P100Y", "2000-02-29T10:00:00Z", "2100-02-28T10:00:00Z"),
        ("P1M", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"),
        ("P1M", "2026-12-31T10:00:00Z", "2027-01-31T10:00:00Z"),
        ("P30D", "2026-03-28T12:00:00Z", "2026-04-27T12:00:00Z"),
        ("P1Y1D", "2023-02-28T23:59:59.999Z", "2024-02-29T23:59:59.999Z"),
        ("P1D", "1969-12-31T12:00:00Z", "1970-01-01T12:00:00Z"),
        ("PT25H", "2026-03-28T12:00:00Z", "2026-03-29T13:00:00Z"),
    ],
)
def test_retention_is_calendar_arithmetic_in_utc(iso: str, start: str, end: str):
    """R7: 29 February becomes 28; London's summer time plays no part."""
    assert format_instant(parse_duration(iso).after(parse_instant(start))) == end


@given(st.integers(0, 4_000_000_000_000), st.integers(0, 9000), st.integers(0, 24), st.integers(0, 400))
def test_a_longer_duration_ends_later(ms: int, years: int, months: int, days: int):
    """R7: monotone, and total beyond the year 9999, where the standard library ends."""
    assert Duration(years, months, days).after(ms) <= Duration(years, months, days + 1).after(ms)
    assert Duration(years, months, days).after(ms) < Duration(years + 1, months, days).after(ms)
    assert (
        Duration(years + 400, months, days).after(ms)
        == Duration(years, months, days).after(ms) + 146_097 * DAY_MS
    )


@pytest.mark.parametrize("years", [7974, 8000, 8400, 12_000])
def test_a_duration_may_end_after_the_year_9999(years: int):
    """R7: the Gregorian calendar repeats every 400 years, 146,097 days."""
    start = parse_instant("2024-02-29T10:00:00Z")
    cycles, rest = divmod(years, 400)
    short = parse_instant(f"{2024 + rest}-02-28T10:00:00Z" if rest % 4 else f"{2024 + rest}-02-29T10:00:00Z")
    assert parse_duration(f"P{years}Y").after(start) == short + cycles * 146_097 * DAY_MS


@pytest.mark.parametrize("text", ["2025-W01-1", "2025W01-01", "2025-01-1 ", "20250101  ", "2025/01/01"])
def test_a_day_is_written_in_one_way(text: str):
    """E3: ISO 8601 has more forms of a day than YYYY-MM-DD; none of them is a date here."""
    with pytest.raises(ValueError, match=r".+"):
        day_number(text)
