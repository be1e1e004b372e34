"""When is tried again, what an answer means, and what permission is: pure, so every case is a value."""

from __future__ import annotations

import random
from email.utils import formatdate
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.backoff import RETRY_AFTER_S_MAX, ceiling_s, pause_s, read_retry_after
from connectors.webhook.answers import MEANINGS, Answer, Outcome, outcome_of
from connectors.webhook.handshake import Granted, Pace, Withheld, judge

SECONDS = st.floats(0.01, 86_400)


@given(st.integers(0, 10_000), SECONDS, st.integers(0))
def test_a_pause_is_anywhere_below_a_ceiling_that_doubles(failures, most_s, seed):
    """Full jitter: from nothing to the ceiling, which doubles and stops at the most; no overflow, ever."""
    pause = pause_s(failures, most_s, random.Random(seed))
    assert 0 <= pause <= ceiling_s(failures, most_s) <= most_s
    assert ceiling_s(failures, most_s) <= ceiling_s(failures + 1, most_s) <= 2 * ceiling_s(failures, most_s)


def test_full_jitter_uses_the_whole_range():
    """What failed together does not come again together, not even half of it."""
    chance = random.Random(1)
    pauses = [pause_s(8, 300.0, chance) for _ in range(2_000)]
    assert min(pauses) < 5
    assert max(pauses) > 120
    assert 55 < sum(pauses) / len(pauses) < 73


@given(st.integers(1, 60), SECONDS, st.floats(0, 86_400), st.integers(0))
def test_retry_after_is_never_undercut(failures, most_s, retry_after_s, seed):
    """The receiver's word is the least; the spread lies behind it."""
    pause = pause_s(failures, most_s, random.Random(seed), retry_after_s)
    assert retry_after_s <= pause <= retry_after_s * 1.1 + 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        (formatdate(1_000_060, usegmt=True), 60),
        (formatdate(900_000, usegmt=True), 0),
        ("9" * 30, RETRY_AFTER_S_MAX),
        (formatdate(9_000_000_000, usegmt=True), RETRY_AFTER_S_MAX),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    """RFC 9110 §10.2.3; nonsense is no promise, and no more than a day is believed."""
    assert read_retry_after(text, 1_000_000) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_breaks_us(text):
    """A header is the receiver's to write: whatever stands there is seconds within a day, or nothing."""
    found = read_retry_after(text, 1_000_000)
    assert found is None or 0 <= found <= RETRY_AFTER_S_MAX


@given(st.integers(200, 599))
def test_only_2xx_is_success(status):
    """A redirect is not followed and not success; 410 alone ends an endpoint."""
    found = outcome_of(status, None)
    assert (found is Outcome.DELIVERED) == (status < 300)
    assert (found is Outcome.REDIRECTED) == (300 <= status < 400)
    assert (found is Outcome.GONE) == (status == 410)
    assert MEANINGS.keys() == set(Outcome)


def permitted(**headers: str) -> Answer:
    return Answer(
        Outcome.DELIVERED, 200, None, {name.replace("_", "-"): text for name, text in headers.items()}
    )


@pytest.mark.parametrize(
    ("answer", "rate"),
    [
        (permitted(webhook_allowed_origin="postroom.example", webhook_allowed_rate="120"), 120),
        (permitted(webhook_allowed_origin="POSTROOM.example", webhook_allowed_rate="*"), None),
        (permitted(webhook_allowed_origin="*", webhook_allowed_rate="1"), 1),
    ],
)
def test_permission_is_origin_and_rate(answer, rate):
    """CloudEvents HTTP Webhooks §4.2: our origin or an asterisk, and a rate a minute or an asterisk."""
    assert judge(answer, "postroom.example") == Granted(rate)


@pytest.mark.parametrize(
    "answer",
    [
        permitted(),
        permitted(webhook_allowed_rate="*"),
        permitted(webhook_allowed_origin="other.example", webhook_allowed_rate="*"),
        permitted(webhook_allowed_origin="*"),
        permitted(webhook_allowed_origin="*", webhook_allowed_rate="0"),
        permitted(webhook_allowed_origin="*", webhook_allowed_rate="-5"),
        permitted(webhook_allowed_origin="*", webhook_allowed_rate="many"),
        Answer(Outcome.REDIRECTED, 302, None, {"webhook-allowed-origin": "*", "webhook-allowed-rate": "*"}),
        Answer(Outcome.TIMED_OUT),
        Answer(Outcome.FORBIDDEN),
    ],
)
def test_what_does_not_permit_is_not_sent_to(answer):
    """An ordinary answer to OPTIONS is no consent, whatever its status."""
    assert isinstance(judge(answer, "postroom.example"), Withheld)


@given(st.integers(1, 6_000), st.lists(st.floats(0, 5), min_size=2, max_size=60))
def test_a_pace_is_never_exceeded(rate, steps):
    """Turns that were not used are not saved up: between two there is always a minute by the rate."""
    pace, now_s, taken = Pace(rate), 0.0, []
    for step in steps:
        now_s += step
        if pace.take(now_s):
            taken.append(now_s)
    assert all(later - earlier >= 60 / rate - 1e-9 for earlier, later in pairwise(taken))
