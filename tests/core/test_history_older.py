"""The history checker: what was taken in before a rule was made stricter is judged by the older one (E3)."""

from __future__ import annotations

import msgspec
import pytest

from processors.history import Anomaly
from processors.messages import ACKNOWLEDGEMENTS_TOPIC, OBLIGATIONS_TOPIC, Acknowledged
from processors.rules import Limits
from processors.stage import Record
from producers import disordered, lives, to_lines
from schemas import format_instant
from tests.backbone import Backbone
from tests.core.history_by_hand import DECISIONS, RULES, SUBSCRIBER, ByHand, whole_story
from tests.core.test_history_injected import AGREEMENTS, AT_MS, CONTRACTS, DAY_MS, judged, ruled


def twice(hand: ByHand, last: Record) -> Record:
    """The same record, in which a key stands twice, the second time as before."""
    assert last.value is not None
    value = last.value.replace(b'"state"', b'"state": "PAUSED", "state"').replace(
        b'"obligation"', b'"obligation": "another", "obligation"'
    )
    assert value != last.value
    hand.records[-1] = last._replace(value=value)
    return last


@pytest.fixture
def hand() -> ByHand:
    """The story as it must be, to go on."""
    return whole_story(RULES)


def test_a_record_that_was_taken_in_by_an_older_rule_is_told_and_no_finding(hand: ByHand):
    """ADR 0071 came after it: it was not lost, and what intake said of it is not unfounded."""
    hand.said(twice(hand, hand.event("paused", "WITHDRAWN")))
    verdict = hand.verdict()
    assert verdict.findings == []
    [told] = [text for text in verdict.unchecked if "key twice" in text]
    assert ": 1, taken in with the last value" in told


def test_a_record_that_todays_rule_refused_is_not_told(hand: ByHand):
    """Its dead letter answers it; intake could not name its event."""
    rejected = twice(hand, hand.event("paused", "WITHDRAWN"))
    nameless = msgspec.json.decode(hand.letter(rejected).value or b"") | {"source": None, "id": None}
    hand.records[-1] = hand.records[-1]._replace(value=msgspec.json.encode(nameless))
    verdict = hand.verdict()
    assert verdict.findings == []
    assert not any("key twice" in text for text in verdict.unchecked)


def test_a_record_of_which_nothing_came_is_lost_by_either_rule(hand: ByHand):
    """V6: that a rule has changed excuses no loss, and the event is named as its department knows it."""
    twice(hand, hand.event("paused", "WITHDRAWN"))
    [finding] = hand.verdict().findings
    assert finding.anomaly is Anomaly.LOST_EVENT
    assert (finding.place.topic, finding.event) == (DECISIONS, ("urn:gov:consent-service:web", "paused"))


def test_a_record_that_was_taken_in_and_refused_too_is_a_duplicate(hand: ByHand):
    """E7: never both, by whichever rules."""
    both = twice(hand, hand.event("paused", "WITHDRAWN"))
    hand.said(both)
    nameless = msgspec.json.decode(hand.letter(both).value or b"") | {"source": None, "id": None}
    hand.records[-1] = hand.records[-1]._replace(value=msgspec.json.encode(nameless))
    assert set(hand.verdict().counts) == {Anomaly.DUPLICATE_EVENT}


def test_a_record_that_is_not_yet_processed_is_not_told(hand: ByHand):
    """What becomes of it is today's rule's to say."""
    extent = hand.extent()
    twice(hand, hand.event("paused", "WITHDRAWN"))
    later = hand.extent()
    verdict = hand.verdict(extent=type(later)(later.stretches, extent.committed))
    assert verdict.clean
    assert not any("key twice" in text for text in verdict.unchecked)


def test_an_acknowledgement_that_was_taken_in_by_an_older_rule_is_no_finding(hand: ByHand):
    """V4: a subscriber's word is read as an event is."""
    obligation = "o-" + "0" * 32
    word = {"specversion": "1.0", "id": "a", "source": f"urn:gov:{SUBSCRIBER}:crm", "type": "uk.gov.a.b.v1"}
    word |= {"time": format_instant(hand.now_ms), "data": {"obligation": obligation}}
    said = twice(hand, hand.put(ACKNOWLEDGEMENTS_TOPIC, 0, word))
    message = Acknowledged(obligation, SUBSCRIBER, said.timestamp_ms - 1_000)
    hand.sends(OBLIGATIONS_TOPIC, "intake-0", message)
    assert hand.verdict().findings == []


def test_the_views_of_what_was_taken_in_then_are_what_the_events_lead_to(monkeypatch: pytest.MonkeyPatch):
    """V1: the replay takes the last value too, as the stages did."""
    backbone = Backbone(ruled(CONTRACTS, AGREEMENTS, b"secret", Limits()), AT_MS, partitions=2)
    lines = [line.rstrip(b"\n") for line in to_lines(disordered(lives(3, 12, AT_MS), seed=3))]
    assert all(b'"source":' in line for line in lines)
    backbone.publish(line.replace(b'"source":', b'"source": "urn:gov:nobody:x", "source":') for line in lines)
    with monkeypatch.context() as then:
        then.setattr("processors.intake.json_value", msgspec.json.decode)
        backbone.run()
        backbone.pass_time(DAY_MS)
    verdict = judged(backbone.rules, backbone.records(), backbone.extent(), backbone.now_ms)
    assert verdict.findings == []
    assert verdict.checked["views compared with a replay"]
    assert [text for text in verdict.unchecked if "key twice" in text]
