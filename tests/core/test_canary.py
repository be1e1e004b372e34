"""The canary's round, against a backbone that does what it is told, and against one that does not."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka_reader import RawRecord
from postroom.canary.letters import KEPT_MS, Letters
from postroom.canary.metrics import LETTERS_CLOSED, LETTERS_OLDEST, LETTERS_OPEN, ROUNDS
from postroom.canary.process import keep_on, require_canary
from postroom.canary.round import AGREEMENT, BEAT, CONSENT, Canary, Failed, Pace, Seen
from postroom.composition import load_rules_files
from postroom.config import load_settings
from postroom.dead_letters import Filter
from postroom.errors import UserError
from processors import DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC
from processors.dead_letters import Decision, Letter, Result, encode_json, standings
from processors.intake import Intake
from processors.messages import Said
from processors.rules import Keys, Rules
from schemas import parse_instant
from tests.flow.spine import ROOT

HOUR_MS = 3_600_000


class Clock:
    """Moves when something is awaited."""

    def __init__(self) -> None:
        self.ms = 480_000 * HOUR_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class Whole:
    """A backbone that shows a consented beat, and retracts it; ``broken`` says which step it does not do."""

    def __init__(self, clock: Clock, broken: str = "") -> None:
        self.clock, self.broken = clock, broken
        self.published: list[dict] = []
        self.acknowledged: list[dict] = []
        self.coming: list[Seen] = []
        self.consent: dict[str, str] = {}

    def publish(self, line: bytes) -> None:
        if self.broken == "publish":
            raise Failed("publish", "no broker")
        event = json.loads(line)
        self.published.append(event)
        self.clock.ms += 7
        citizen, data = event["data"]["canary"], event["data"]
        if event["type"] == CONSENT:
            self.consent[citizen] = data["state"]
            if data["state"] == "WITHDRAWN":
                self.coming += [Seen(f"s-{citizen}")] if self.broken != "retraction" else []
                self.coming += [Seen(f"s-{citizen}", obligation="o-1")] if self.broken != "obligation" else []
        elif self.consent.get(citizen) == "GRANTED" and self.broken != "view":
            self.coming += [Seen("s-another", beat="1"), Seen(f"s-{citizen}", beat=data["beat"])]

    def acknowledge(self, line: bytes) -> None:
        self.acknowledged.append(json.loads(line))

    def read(self, within_s: float) -> Seen | None:
        self.clock.ms += 20
        if self.coming:
            return self.coming.pop(0)
        self.clock.ms += int(within_s * 1000)
        return None


def canary(broken: str = "") -> tuple[Canary, Whole, list[tuple[str, float]]]:
    clock, measured = Clock(), []
    backbone = Whole(clock, broken)
    tell = lambda path, seconds: measured.append((path, seconds))  # noqa: E731 - two words
    return Canary("Two.Words", backbone, tell, Pace(2, 30), clock.now_ms, clock.monotonic), backbone, measured


def test_a_round_sees_its_view_and_every_second_its_retraction():
    """Consent once, a beat each round, a withdrawal that is seen and whose obligation is fulfilled."""
    watch, backbone, measured = canary()
    for _ in range(4):
        watch.round()
    said = [(event["type"], event["data"].get("state")) for event in backbone.published]
    pair = [(CONSENT, "GRANTED"), (BEAT, None), (BEAT, None), (CONSENT, "WITHDRAWN")]
    assert said == [*pair, *pair]
    assert [path for path, _ in measured] == [
        *("event_to_view", "event_to_view", "withdrawal_to_retraction"),
        *("event_to_view", "event_to_view", "withdrawal_to_retraction"),
    ]
    assert measured[0][1] == pytest.approx(0.047, abs=1e-3), "from before it is published to when it is read"
    assert [event["data"]["obligation"] for event in backbone.acknowledged] == ["o-1", "o-1"]
    moments = [parse_instant(event["time"]) for event in backbone.published]
    assert moments == sorted(set(moments)), "no two statements at one moment"


@pytest.mark.parametrize("step", ["publish", "view", "retraction", "obligation"])
def test_a_round_fails_at_the_first_step_that_does_not_come(step: str):
    """An operator reads where it hangs."""
    watch, _, _ = canary(step)
    failed = []
    for _ in range(2):
        try:
            watch.round()
        except Failed as failure:
            failed.append(failure.step)
    assert failed[:1] == [step]


def test_a_canary_goes_on_after_a_failure_and_counts_it():
    """What is broken for a while is seen to be whole again."""
    watch, backbone, _ = canary("view")
    before = {result: ROUNDS.labels(result)._value.get() for result in ("view", "success")}
    assert not keep_on(watch, 0, threading.Event(), 2)
    backbone.broken = ""
    assert keep_on(watch, 0, threading.Event(), 3)
    assert ROUNDS.labels("view")._value.get() == before["view"] + 2
    assert ROUNDS.labels("success")._value.get() == before["success"] + 3


def test_an_hour_has_its_own_citizen_and_the_last_one_leaves_no_view():
    """Consents are kept for ever: one citizen's would grow without end."""
    watch, backbone, _ = canary()
    watch.round()
    backbone.clock.ms += HOUR_MS
    watch.round()
    watch.leave()
    citizens = {event["data"]["canary"] for event in backbone.published}
    assert len(citizens) == 2
    assert set(backbone.consent.values()) == {"WITHDRAWN"}


def test_what_the_canary_says_is_accepted_and_meets_nobody():
    """Its contracts and agreement are shipped; no other agreement names its attribute, nobody may link it."""
    settings = load_settings({}, ROOT)
    contracts, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    require_canary(contracts, agreements)
    watch, backbone, _ = canary()
    watch.round()
    intake = Intake(Rules(contracts, agreements, Keys(b"k")))
    for event in backbone.published:
        said = intake.accept_json(json.dumps(event).encode(), backbone.clock.ms)
        assert isinstance(said, Said), said
        assert not said.pairs
    own = {"canary_beat"}
    for name, agreement in agreements.items():
        granted = {grant.attribute for grant in agreement.attributes}
        assert granted == own if name == AGREEMENT else not granted & own
    for type_, contract in contracts.by_type.items():
        if type_ not in (BEAT, CONSENT):
            assert "postroom" not in contract.owners
            assert not {field.attribute for field in contract.attributes} & own


def test_rules_without_a_canary_are_refused_with_what_is_missing(tmp_path):
    """An installation with contracts of its own is told what to take over."""
    contracts, agreements = load_rules_files(ROOT / "tests/cases/contracts", ROOT / "tests/cases/agreements")
    with pytest.raises(UserError, match="no canary") as refused:
        require_canary(contracts, agreements)
    assert AGREEMENT in refused.value.where


BEAT_REJECTED = Letter("t", 0, 1, 10_000, "undecodable", "uk.gov.a.b.v1")
STRANGERS = Letter("t", 0, 2, 70_000, "unknown-type", "somebody's own text")
TYPES = {"uk.gov.a.b.v1"}


def of_letter(letter: Letter) -> RawRecord:
    """As intake writes it."""
    return RawRecord(DEAD_LETTERS_TOPIC, 0, 0, 0, None, encode_json(letter), ())


def of_decision(offset: int, about: Letter, result: Result, at_ms: int = 80_000) -> RawRecord:
    """As intake answers the request at an offset."""
    decided = Decision(0, offset, at_ms, result, about.topic, about.partition, about.offset, by="op", why="x")
    return RawRecord(LETTER_DECISIONS_TOPIC, 0, offset, at_ms, None, encode_json(decided), ())


def told(types: Collection[str]) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """What the gauges say: open by type and reason, closed by result; other tests' labels are left out."""
    is_open = {
        (sample.labels["type"], sample.labels["reason"]): sample.value
        for sample in next(iter(LETTERS_OPEN.collect())).samples
        if sample.value and sample.labels["type"] in types
    }
    closed = {s.labels["result"]: s.value for s in next(iter(LETTERS_CLOSED.collect())).samples if s.value}
    return is_open, closed


def test_dead_letters_wait_until_somebody_has_dealt_with_them():
    """Open by type and reason, the age of the oldest, what was closed; a stranger's type is no label."""
    letters = Letters(TYPES)
    for record in (
        of_letter(BEAT_REJECTED),
        of_letter(STRANGERS),
        of_letter(STRANGERS),
        RawRecord(DEAD_LETTERS_TOPIC, 0, 3, 0, None, b"rubbish", ()),
        RawRecord(LETTER_DECISIONS_TOPIC, 0, 3, 0, None, b"\xff", ()),
    ):
        letters.take(record)
    letters.tell(100_000)
    assert LETTERS_OPEN.labels("uk.gov.a.b.v1", "undecodable")._value.get() == 1
    assert LETTERS_OPEN.labels("unknown", "unknown-type")._value.get() == 1
    assert LETTERS_OLDEST._value.get() == 90
    letters.take(of_decision(1, BEAT_REJECTED, Result.REPLAYED))
    letters.take(of_decision(2, STRANGERS, Result.STILL_REJECTED))
    letters.tell(100_000)
    assert told(("uk.gov.a.b.v1", "unknown")) == ({("unknown", "unknown-type"): 1}, {"replayed": 1})
    assert LETTERS_OLDEST._value.get() == 30


def test_what_the_topic_no_longer_keeps_is_forgotten_with_what_was_decided_of_it():
    """A process of months holds no more than the topic does; the letter that comes after is counted."""
    letters = Letters(TYPES)
    for record in (
        of_letter(BEAT_REJECTED),
        of_letter(STRANGERS),
        of_decision(1, BEAT_REJECTED, Result.DISCARDED, at_ms=20_000),
    ):
        letters.take(record)
    letters.tell(KEPT_MS + 60_000)
    assert told(("uk.gov.a.b.v1", "unknown")) == ({("unknown", "unknown-type"): 1}, {})
    assert (len(letters._letters), len(letters._decisions)) == (1, 0)
    letters.tell(KEPT_MS + 70_001)
    assert (told(("unknown",))[0], LETTERS_OLDEST._value.get()) == ({}, 0)


some_letters = st.builds(
    Letter,
    topic=st.just("t"),
    partition=st.integers(0, 1),
    offset=st.integers(0, 3),
    timestamp_ms=st.integers(1, 50_000),
    reason=st.sampled_from(("oversized", "undecodable")),
    type=st.sampled_from(("uk.gov.a.b.v1", "somebody's own text", None)),
)
some_decisions = st.builds(
    Decision,
    request_partition=st.integers(0, 1),
    request_offset=st.integers(0, 5),
    at_ms=st.integers(50_000, 50_003),
    result=st.sampled_from(Result),
    topic=st.just("t"),
    partition=st.integers(0, 1),
    offset=st.integers(0, 3),
    by=st.just("op"),
    why=st.just("OPS-17"),
)


@given(
    st.lists(some_letters, max_size=6, unique_by=lambda letter: letter.place),
    st.lists(some_decisions, max_size=8, unique_by=lambda d: (d.request_partition, d.request_offset)),
    st.randoms(),
    st.lists(st.booleans(), min_size=28, max_size=28),
)
def test_the_gauges_say_of_letters_what_dlq_list_says(
    some: list[Letter], decided: list[Decision], chance: Any, told_between: list[bool]
):
    """E7, R6: letters, replays and discards in any order and twice, told in between or not."""
    records = [of_letter(letter) for letter in some]
    records += [
        RawRecord(LETTER_DECISIONS_TOPIC, each.request_partition, 0, 0, None, encode_json(each), ())
        for each in decided
    ]
    records = [*records, *records]
    chance.shuffle(records)
    LETTERS_OPEN.clear()
    letters = Letters(TYPES)
    for record, tell in zip(records, told_between, strict=False):
        letters.take(record)
        if tell:
            letters.tell(100_000)
    letters.tell(100_000)
    listed = standings(some, decided)
    waiting = [each.letter for each in listed if Filter().takes(each)]
    known = lambda letter: letter.type if letter.type in TYPES else "unknown"  # noqa: E731 - the label
    assert told((*TYPES, "unknown")) == (
        Counter((known(letter), letter.reason) for letter in waiting),
        Counter(each.state for each in listed if each.state != "open"),
    )
    oldest_ms = min((letter.timestamp_ms for letter in waiting), default=100_000)
    assert LETTERS_OLDEST._value.get() == (100_000 - oldest_ms) / 1000
