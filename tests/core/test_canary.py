"""The canary's round, against a backbone that does what it is told, and against one that does not."""

from __future__ import annotations

import json
import threading

import pytest

from connectors.kafka_reader import RawRecord
from postroom.canary import keep_on, require_canary
from postroom.canary_letters import Letters
from postroom.canary_metrics import LETTERS_CLOSED, LETTERS_OLDEST, LETTERS_OPEN, ROUNDS
from postroom.canary_round import AGREEMENT, BEAT, CONSENT, Canary, Failed, Pace, Seen
from postroom.composition import load_rules_files
from postroom.config import load_settings
from postroom.errors import UserError
from processors import DEAD_LETTERS_TOPIC
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


def letter(offset: int, type_: str | None, reason: str, at_ms: int) -> RawRecord:
    said = {"topic": "t", "partition": 0, "offset": offset, "type": type_, "reason": reason}
    value = json.dumps(said | {"timestamp_ms": at_ms}).encode()
    return RawRecord(DEAD_LETTERS_TOPIC, 0, offset, at_ms, None, value, ())


def test_dead_letters_wait_until_somebody_has_dealt_with_them():
    """Open by type and reason, the age of the oldest, what was closed; a stranger's type is no label."""
    letters = Letters({"uk.gov.a.b.v1"})
    for record in (
        letter(1, "uk.gov.a.b.v1", "undecodable", 10_000),
        letter(2, "somebody's own text", "unknown-type", 70_000),
        letter(2, "somebody's own text", "unknown-type", 70_000),
        RawRecord(DEAD_LETTERS_TOPIC, 0, 3, 0, None, b"rubbish", ()),
    ):
        letters.take(record)
    letters.tell(100_000)
    assert LETTERS_OPEN.labels("uk.gov.a.b.v1", "undecodable")._value.get() == 1
    assert LETTERS_OPEN.labels("unknown", "unknown-type")._value.get() == 1
    assert LETTERS_OLDEST._value.get() == 90
    said = {"topic": "t", "partition": 0, "offset": 1, "result": "replayed"}
    letters.take(RawRecord("decisions", 0, 1, 0, None, json.dumps(said).encode(), ()))
    letters.tell(100_000)
    assert LETTERS_OPEN.labels("uk.gov.a.b.v1", "undecodable")._value.get() == 0
    assert LETTERS_OLDEST._value.get() == 30
    assert LETTERS_CLOSED.labels("replayed")._value.get() == 1
