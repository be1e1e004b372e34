"""Dead letters asked about: what intake answers, which letters are meant, and what is never written (E7)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import RawRecord, TopicReader
from postroom.dead_letters import Filter, moment, read_standings, row_of, trail, words
from postroom.errors import UserError
from processors import ASSERTIONS_TOPIC, DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC, LETTER_REQUESTS_TOPIC
from processors.dead_letters import (
    Decision,
    Letter,
    Request,
    Result,
    Standing,
    encode_json,
    read_decision,
    read_either,
    read_request,
    standings,
)
from processors.intake import Intake
from processors.messages import OBLIGATIONS_TOPIC, Said, decode_for_identity
from processors.second_look import wanted_again
from processors.stage import Record, Step
from tests.event_kit import AWARD, NOW_MS, TIME_MS, award, binary, intake

LATER_MS = NOW_MS + 86_400_000
HOUR_MS = 3_600_000
WHO = ("op", "OPS-17")
NINO = "AB123456C"


def request(record: Record, action: Any = "replay", offset: int = 5) -> Record:
    """What `postroom dlq` puts on the topic of requests."""
    asked = Request(record.topic, record.partition, record.offset, action, *WHO)
    return Record(LETTER_REQUESTS_TOPIC, 3, offset, LATER_MS, b"", encode_json(asked))


def answered(stage: Intake, asked: Record, found: Record | None) -> tuple[Step, Decision]:
    """One request through intake, with what was read for it."""
    for place in wanted_again([asked], stage.rules.contracts.by_type):
        stage.fetched[place] = found
    step = stage.step(lambda _: None, [asked], [], LATER_MS)
    return step, read_decision(step.outgoing[-1].value)


def test_a_replay_is_judged_at_its_own_time():
    """E7: what came an hour too early is accepted the next day, and its promptness is measured from then."""
    record = binary(award() | {"time": "2026-06-01T13:00:00.000Z"})
    stage = intake()
    assert stage.step(lambda _: None, [record], [], NOW_MS).outcomes[0].reason == "time-in-future"
    step, decision = answered(stage, request(record), record)
    assert [out.topic for out in step.outgoing] == [ASSERTIONS_TOPIC, LETTER_DECISIONS_TOPIC]
    said = decode_for_identity(step.outgoing[0].value or b"")
    assert isinstance(said, Said)
    assert said.cause.published_ms == LATER_MS
    assert (decision.result, decision.by, decision.why) == (Result.REPLAYED, *WHO)
    assert (decision.type, decision.source, decision.id) == (said.type, said.cause.source, said.cause.id)
    assert step.outcomes[0][:2] == (AWARD, "replayed")


def test_a_decision_holds_nothing_of_the_event():
    """Neither identifier nor value: the trail is read by people who may not read the topic."""
    record = binary(award())
    step, _ = answered(intake(), request(record), record)
    assert NINO.encode() not in (step.outgoing[-1].value or b"")


def test_what_is_still_wrong_says_why():
    """The letter stays; nothing goes on."""
    record = binary(award(nino="nonsense"))
    step, decision = answered(intake(), request(record), record)
    assert (decision.result, decision.reason) == (Result.STILL_REJECTED, "identifier-invalid")
    assert [out.topic for out in step.outgoing] == [LETTER_DECISIONS_TOPIC]


def test_what_is_not_there_is_gone():
    """Retention has passed it, or it was never committed."""
    assert answered(intake(), request(binary(award())), None)[1].result is Result.GONE


def test_what_was_not_looked_for_is_never_called_gone():
    """INVARIANT: an event must not be given up because somebody forgot to read it."""
    with pytest.raises(KeyError):
        intake().step(lambda _: None, [request(binary(award()))], [], LATER_MS)


def test_a_discard_reads_nothing():
    """It is written down, and that is all."""
    asked = request(binary(award()), "discard")
    assert wanted_again([asked], {AWARD}) == {}
    assert answered(intake(), asked, None)[1].result is Result.DISCARDED


@pytest.mark.parametrize("topic", ["postroom.disclosures", "view.leeds-housing", "uk.gov.never.heard.v1"])
def test_a_request_opens_no_other_topic(topic: str):
    """Who may ask for a replay must not make a worker read what is nobody's input."""
    asked = request(binary(award())._replace(topic=topic))
    assert wanted_again([asked], {AWARD}) == {}
    assert answered(intake(), asked, None)[1].reason == "unknown-type"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff",
        b"{}",
        b'{"topic":"a","partition":-1,"offset":0,"action":"replay","by":"a","why":"b"}',
    ],
)
def test_what_is_no_request_is_answered_too(value: bytes | None):
    """Intake answers each record once, whatever it is (E7)."""
    asked = Record(LETTER_REQUESTS_TOPIC, 3, 5, LATER_MS, b"", value)
    step, decision = answered(intake(), asked, None)
    assert decision.result is Result.UNREADABLE
    assert len(step.outgoing) == 1
    assert read_request(value) is None


def test_an_acknowledgement_can_be_replayed_too():
    """V4: a subscriber's word that could not be read is a letter like any other."""
    value = (
        b'{"specversion":"1.0","id":"a","source":"urn:gov:leeds:app","type":"uk.gov.postroom.deleted.v1","time":"2026-05-01T00:00:00Z",'
        b'"data":{"obligation":"o-' + b"0" * 32 + b'"}}'
    )
    record = Record("acknowledgements", 3, 2, NOW_MS, b"", value)
    step, decision = answered(intake(), request(record), record)
    assert step.outgoing[0].topic == OBLIGATIONS_TOPIC
    assert decision.result is Result.REPLAYED


letters = st.builds(
    Letter,
    topic=st.sampled_from("ab"),
    partition=st.integers(0, 1),
    offset=st.integers(0, 3),
    timestamp_ms=st.just(1),
)
decisions = st.builds(
    Decision,
    request_partition=st.integers(0, 1),
    request_offset=st.integers(0, 5),
    at_ms=st.integers(0, 9),
    result=st.sampled_from(Result),
    topic=st.sampled_from("ab"),
    partition=st.integers(0, 1),
    offset=st.integers(0, 3),
)


@given(
    st.lists(letters, max_size=6),
    st.lists(decisions, max_size=8, unique_by=lambda d: (d.request_partition, d.request_offset)),
    st.randoms(),
)
def test_what_became_of_letters_hangs_on_no_order(some: list[Letter], decided: list[Decision], chance: Any):
    """R6: two partitions of decisions come in any order, and again."""
    shuffled = [*decided, *decided]
    chance.shuffle(shuffled)
    assert standings(some, decided) == standings([*reversed(some), *some], shuffled)
    for standing in standings(some, decided):
        closed = {each.result for each in standing.decisions} & {Result.REPLAYED, Result.DISCARDED}
        assert (standing.state == "open") == (not closed)


@pytest.mark.parametrize(
    "value", [None, b"", b"\xff", b"{}", b"[]", b'{"result": "made-up"}', b'{"topic": 1}', b'"words"']
)
def test_what_intake_has_not_written_stops_nobody_who_looks(value: bytes | None, monkeypatch: Any):
    """E7: on a cluster without permissions anybody may write there; `dlq list` passes it over."""
    assert read_either(DEAD_LETTERS_TOPIC, value) is None
    assert read_either(LETTER_DECISIONS_TOPIC, value) is None
    letter = Letter("t", 0, 1, NOW_MS)
    decided = Decision(0, 1, NOW_MS, Result.DISCARDED, "t", 0, 1)
    kept = [
        RawRecord(topic, 0, 0, NOW_MS, None, each, ())
        for topic, good in ((DEAD_LETTERS_TOPIC, letter), (LETTER_DECISIONS_TOPIC, decided))
        for each in (value, encode_json(good))
    ]
    monkeypatch.setattr(TopicReader, "read", lambda *_: kept)
    assert read_standings(KafkaAccess("127.0.0.1:1")) == [Standing(letter, (decided,))]


def standing(reason: str = "oversized", at_ms: int = NOW_MS, **more: Any) -> Standing:
    """A letter that nothing was done about."""
    return Standing(Letter("t", 0, 1, at_ms, reason, "some.type", "urn:gov:dwp:main", **more))


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Filter(), True),
        (Filter(reasons=["oversized", "undecodable"]), True),
        (Filter(reasons=["undecodable"]), False),
        (Filter(types=["other.type"]), False),
        (Filter(sources=["urn:gov:dwp:main"]), True),
        (Filter(sources=["urn:gov:dwp:other"]), False),
        (Filter(since_ms=NOW_MS), True),
        (Filter(since_ms=NOW_MS + 1), False),
        (Filter(until_ms=NOW_MS), False),
        (Filter(until_ms=NOW_MS + 1), True),
        (Filter(places=["t/0/1"]), True),
        (Filter(places=["t/0/2"]), False),
        (Filter(state="replayed"), False),
        (Filter(state="all"), True),
    ],
)
def test_a_filter_takes_what_it_says(wanted: Filter, takes: bool):
    """Reason, type, source, age, place and state, each by itself."""
    assert wanted.takes(standing()) is takes


def test_a_moment_is_an_age_or_an_instant():
    """Both as a person writes them; anything else is wrong use."""
    assert moment("2h", NOW_MS) == NOW_MS - 2 * HOUR_MS
    assert moment("2026-05-01T00:00:00Z", NOW_MS) == TIME_MS
    assert moment(None, NOW_MS) is None
    for text in ("soon", "2", "h", "-2h", ""):
        with pytest.raises(UserError):
            moment(text, NOW_MS)


@pytest.mark.parametrize("said", ["", "   ", f"about {NINO}", "nino:AB123456C.", "see 9434765919", "x" * 501])
def test_a_reason_that_would_name_a_citizen_is_refused(said: str):
    """It is kept for ever, and read by people who may not know of whom an event was."""
    with pytest.raises(UserError) as refused:
        words(said, "--why")
    assert NINO not in str(refused.value) + refused.value.mend


def test_a_reason_in_words_is_kept_on_one_line():
    """A ticket and words, as people write them."""
    assert words(" OPS-17:\n contract registered late ", "--why") == "OPS-17: contract registered late"


def test_a_row_and_a_trail_say_what_happened():
    """What a person reads in `dlq list` and `dlq show`."""
    decided = Decision(0, 1, NOW_MS, Result.GONE, "t", 0, 1, by="op", why="OPS-1")
    found = Standing(standing().letter, (decided,))
    assert row_of(found)["state"] == "open"
    assert row_of(found)["tried"] == "gone"
    assert trail(found)[0] | {"time": ""} == {
        "time": "",
        "result": "gone",
        "reason": "",
        "by": "op",
        "why": "OPS-1",
    }
