"""The ledger of deletions owed (V4): either side first, one voice that counts, deadlines (V8)."""

from __future__ import annotations

import itertools
import json

import pytest

from processors.intake import read_acknowledgement
from processors.messages import OBLIGATIONS_TOPIC, Acknowledged, Owed, encode
from processors.obligations import Obligations, read_obligation
from processors.stage import Record, Step

NAME = "o-" + "a" * 32
OWED = Owed(NAME, "council-leeds", "leeds-housing", "s-1", ("address",), since_ms=1_000, deadline_ms=9_000)
DONE = Acknowledged(NAME, "council-leeds", 5_000)
FOREIGN = Acknowledged(NAME, "council-york", 4_000)


def run(*messages: object, now_ms: int = 2_000, states: dict[bytes, bytes] | None = None) -> Step:
    """One step over the messages."""
    batch = [
        Record(OBLIGATIONS_TOPIC, 0, n, now_ms, NAME.encode(), encode(message))
        for n, message in enumerate(messages)
    ]
    return Obligations().step((states or {}).get, batch, [] if messages else [NAME.encode()], now_ms)


def entry(step: Step):
    return read_obligation(step.states[NAME.encode()].body)


def test_what_is_owed_is_open_until_its_deadline():
    """V4, V8: it wakes at its deadline and is counted as overdue once."""
    step = run(OWED)
    assert entry(step).state(2_000) == "open"
    assert step.states[NAME.encode()].wake_ms == 9_000
    states = {key: state.body for key, state in step.states.items()}
    late = run(now_ms=9_000, states=states)
    assert [outcome.outcome for outcome in late.outcomes] == ["obligation-overdue"]
    again = run(now_ms=9_500, states={key: state.body for key, state in late.states.items()})
    assert again.outcomes == []


@pytest.mark.parametrize("messages", list(itertools.permutations([OWED, DONE, FOREIGN])))
def test_any_order_ends_in_the_same_answer(messages):
    """I5, V4: the acknowledgement may come before what it acknowledges; a stranger's word never counts."""
    found = entry(run(*messages))
    assert found.state(20_000) == "done"
    assert found.acknowledged_ms() == DONE.time_ms


def test_a_stranger_settles_nothing():
    """V4: only the subscriber that owes may say that it has deleted."""
    for messages in ([OWED, FOREIGN], [FOREIGN, OWED]):
        assert entry(run(*messages)).state(2_000) == "open"


def acknowledgement(**changes: object) -> bytes:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "urn:gov:council-leeds:housing",
        "type": "uk.gov.postroom.deletion-done.v1",
        "time": "2026-01-01T00:00:00Z",
        "data": {"obligation": NAME},
    }
    return json.dumps(event | changes).encode()


def test_an_acknowledgement_names_its_subscriber_and_its_obligation():
    """V4: the source says who, the data says what."""
    read = read_acknowledgement(acknowledgement(), 1_000)
    assert read is not None
    assert (read.subscriber, read.obligation) == ("council-leeds", NAME)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[]",
        acknowledgement(data=None),
        acknowledgement(data={"obligation": 7}),
        acknowledgement(data={"obligation": "o-short"}),
        acknowledgement(source="someone"),
        acknowledgement(id="x" * 2_000),
    ],
)
def test_a_malformed_acknowledgement_is_refused(value):
    """E7: it becomes a dead letter, not an exception."""
    assert read_acknowledgement(value, 1_000) is None
