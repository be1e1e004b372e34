"""The history checker: what looks wrong and is not is no finding, and what only looks excused is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processors.history import NOTHING_LEFT_MS, Anomaly, Stretch
from processors.messages import (
    ACKNOWLEDGEMENTS_TOPIC,
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    FRAGMENTS_TOPIC,
    OBLIGATIONS_TOPIC,
    Acknowledged,
    Cause,
    Departed,
)
from schemas import format_instant
from tests.core.history_by_hand import (
    CITIZEN,
    DECISIONS,
    PERSON,
    RECORD_LOG,
    RULES,
    STATUTE,
    SUBSCRIBER,
    VIEW,
    ByHand,
    consent,
    replace_record,
    shortened,
    whole_story,
    without,
)


@pytest.fixture
def hand() -> ByHand:
    """The story as it must be, to be told wrongly."""
    return whole_story(RULES)


def test_what_is_not_yet_processed_is_not_lost(hand: ByHand):
    """Beyond the group's committed offset an event may have its message already, or not."""
    committed = dict(hand.ends)
    hand.said(hand.event("third"))
    hand.event("fourth")
    verdict = hand.verdict(extent=replace(hand.extent(), committed=committed))
    assert verdict.clean
    assert verdict.checked["events not yet processed"] == 2


def test_a_group_that_has_committed_nothing_has_lost_nothing(hand: ByHand):
    """All of it is still to come."""
    records = [record for record in hand.records if record.topic == DECISIONS]
    assert hand.verdict(records, replace(hand.extent(), committed={})).clean


def test_what_was_written_while_the_ends_were_taken_only_testifies(hand: ByHand):
    """A view whose entry is not there yet, an entry whose view is not, an ending that is not yet owed."""
    settled = dict(hand.ends)
    hand.view(3, b"third")
    hand.entry(3, b"third", decision=STATUTE, key="s-2")
    stretches = {place: Stretch(0, settled[place], end) for place, end in hand.ends.items()}
    assert not hand.verdict().clean
    assert hand.verdict(extent=replace(hand.extent(), stretches=stretches)).clean


def test_a_compacted_view_topic_is_whole(hand: ByHand):
    """Its last record of each key is there, or was a tombstone."""
    assert hand.verdict(without(hand.records, VIEW, 0)).clean
    only_log = [record for record in hand.records if record.topic != VIEW]
    assert hand.verdict(only_log).clean


def test_neighbours_that_compaction_made_are_not_compared(hand: ByHand):
    """Between two equal views may have been another."""
    for sequence, value in ((3, b"same"), (4, b"between"), (5, b"same")):
        hand.view(sequence, value)
        hand.entry(sequence, value, decision=STATUTE)
    assert hand.verdict(without(hand.records, VIEW, -2)).clean


def test_messages_that_retention_took_are_not_missed(hand: ByHand):
    """Their events are older than what is left; numbers begin where the topic begins; and it is said."""
    second = [record for record in hand.records if record.topic == ASSERTIONS_TOPIC][1]
    records = without(hand.records, ASSERTIONS_TOPIC, 0)
    extent = shortened(hand.extent(), ASSERTIONS_TOPIC, 0, 1, second.timestamp_ms)
    assert not hand.verdict(records).clean
    verdict = hand.verdict(records, extent)
    assert verdict.clean
    assert any(ASSERTIONS_TOPIC in text for text in verdict.unchecked)


def test_messages_after_what_retention_took_are_still_matched(hand: ByHand):
    """Retention is no excuse for a later loss."""
    first = hand.records[0].timestamp_ms
    extent = shortened(hand.extent(), ASSERTIONS_TOPIC, 0, 1, first - 10 * 60_000)
    hand.event("third")
    extent = replace(extent, committed=dict(hand.ends))
    assert set(hand.verdict(extent=extent).counts) == {Anomaly.LOST_EVENT}


@pytest.mark.parametrize("left", ["some", "none"])
def test_events_that_retention_took_are_not_called_aborted(hand: ByHand, left: str):
    """Their messages may live longer than they do."""
    events = [record for record in hand.records if record.topic == DECISIONS]
    gone = events[:1] if left == "some" else events
    since_ms = events[1].timestamp_ms if left == "some" else NOTHING_LEFT_MS
    records = [record for record in hand.records if record not in gone]
    assert set(hand.verdict(records).counts) == {Anomaly.ABORTED_READ}
    assert hand.verdict(records, shortened(hand.extent(), DECISIONS, 0, len(gone), since_ms)).clean


def test_dead_letters_that_retention_took_are_not_missed(hand: ByHand):
    """An event that has neither message nor letter may have been rejected long ago."""
    rejected = hand.event("rejected long ago")
    extent = shortened(hand.extent(), DEAD_LETTERS_TOPIC, 1, 5, rejected.timestamp_ms + 1)
    assert not hand.verdict().clean
    assert hand.verdict(extent=extent).clean


def test_a_log_that_lost_its_front_is_not_asked_for_it(hand: ByHand):
    """Views older than what is left of it have no entry, and sequences do not begin at one."""
    entries = [record for record in hand.records if record.topic == DISCLOSURES_TOPIC]
    extent = shortened(hand.extent(), DISCLOSURES_TOPIC, hand.task, 1, entries[1].timestamp_ms)
    records = without(hand.records, DISCLOSURES_TOPIC, 0)
    assert set(hand.verdict(records).counts) == {Anomaly.MISSING_DISCLOSURE}
    assert hand.verdict(records, extent).clean


def test_a_memory_that_knows_more_than_was_read_is_no_witness(hand: ByHand):
    """It was written after the ends were taken."""
    later = hand.ends[ASSERTIONS_TOPIC, 0] + 5
    hand.memory(
        "identity", positions={ASSERTIONS_TOPIC: later}, seen={ASSERTIONS_TOPIC: {"intake-0": 7}}, sent={}
    )
    assert hand.verdict().clean


def test_a_record_that_no_task_wrote_is_left_out_and_said(hand: ByHand):
    """The stages leave it out too (docs/adr/0020)."""
    hand.put(ASSERTIONS_TOPIC, 0, b"anything")
    verdict = hand.verdict()
    assert verdict.clean
    assert any("no task of ours" in text for text in verdict.unchecked)


def test_an_unchanged_view_after_a_new_grant_is_not_stale(hand: ByHand):
    """A grant that is later than the withdrawal stands."""
    again = hand.event("again")
    hand.said(again)
    hand.fragment(consent("again", again))
    answer = {"permit": "consent", "gateway": None, "consent": ["urn:gov:consent-service:web", "again"]}
    hand.view(3, b"third")
    hand.entry(3, b"third", decision={"attributes": dict.fromkeys(("address", "name"), answer)})
    assert hand.verdict().clean


@pytest.mark.parametrize("other", ["purpose", "subscriber", "categories", "state"])
def test_a_withdrawal_of_something_else_makes_nothing_stale(other: str):
    """It must be about the same subscriber, purpose and category, and not a grant."""
    hand = ByHand(RULES)
    granted, withdrawn = hand.event("grant"), hand.event("withdrawal", "WITHDRAWN")
    hand.said(granted)
    hand.said(withdrawn)
    changes: dict[str, Any] = {
        "purpose": "x",
        "subscriber": "x",
        "categories": ("health",),
        "state": "GRANTED",
    }
    stop = consent("withdrawal", withdrawn, "WITHDRAWN")
    fields = {name: getattr(stop, name) for name in stop.__struct_fields__} | {other: changes[other]}
    hand.fragment(consent("grant", granted), type(stop)(**fields))
    hand.memory("record", hand.task)
    hand.view(1, b"first")
    hand.entry(1, b"first")
    assert hand.verdict().clean


def test_a_view_of_the_step_that_read_the_withdrawal_is_not_called_stale(hand: ByHand):
    """Within a step a view may be written before the withdrawal is read (a departure before it)."""
    step_ms = [r for r in hand.records if r.topic == RECORD_LOG][-1].timestamp_ms - 1_000
    hand.view(3, b"third")
    hand.entry(3, b"third", time=format_instant(step_ms))
    assert hand.verdict().clean


def test_a_withdrawal_leaves_with_the_identifier_that_said_it(hand: ByHand):
    """Who is another person now cannot withdraw for this one."""
    departed = Departed(PERSON, CITIZEN, 1, "p-2", False, Cause())
    hand.sends(FRAGMENTS_TOPIC, "identity-0", departed)
    hand.view(3, b"third")
    hand.entry(3, b"third")
    assert hand.verdict().clean


def test_a_departure_that_the_step_had_not_read_excuses_nothing(hand: ByHand):
    """The view was written while the identifier was still here."""
    hand.view(3, b"third")
    hand.entry(3, b"third")
    hand.memory("record", hand.task)
    hand.sends(FRAGMENTS_TOPIC, "identity-0", Departed(PERSON, CITIZEN, 1, "p-2", False, Cause()))
    assert set(hand.verdict().counts) == {Anomaly.STALE_CONSENT}


def test_an_agreement_of_another_version_is_not_judged_by_this_one(hand: ByHand):
    """Its purpose may have been another."""
    hand.view(3, b"third")
    hand.entry(3, b"third", version=2)
    assert hand.verdict().clean


def test_an_acknowledgement_arrives_as_events_do(hand: ByHand):
    """One message about each; without one it is lost, with two it was taken in twice."""
    obligation = "o-" + "0" * 32
    word = {"specversion": "1.0", "id": "a", "source": f"urn:gov:{SUBSCRIBER}:crm", "type": "uk.gov.a.b.v1"}
    word |= {"time": format_instant(hand.now_ms), "data": {"obligation": obligation}}
    said = hand.put(ACKNOWLEDGEMENTS_TOPIC, 0, word)
    message = Acknowledged(obligation, SUBSCRIBER, said.timestamp_ms - 1_000)
    assert set(hand.verdict().counts) == {Anomaly.LOST_EVENT}
    hand.sends(OBLIGATIONS_TOPIC, "intake-0", message)
    assert hand.verdict().clean
    hand.sends(OBLIGATIONS_TOPIC, "intake-0", message)
    assert set(hand.verdict().counts) == {Anomaly.DUPLICATE_EVENT}


def test_a_rejected_and_an_accepted_record_may_share_name_and_moment(hand: ByHand):
    """The letter is about one of them, the message about the other, whichever is read first."""
    one = hand.event("twin")
    other = replace_record(hand.event("twin"), timestamp_ms=one.timestamp_ms, value=one.value)
    hand.records[-1] = other
    hand.said(one)
    hand.letter(one)
    assert hand.verdict().clean
