"""The history checker: every anomaly is found by its name where it is, and nothing else is ever found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from processors.history import MEANING, NOTHING_LEFT_MS, Anomaly, Stretch
from processors.history.findings import FINDINGS_MAX
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
from processors.rules import Keys, Rules
from processors.stage import Record
from schemas import format_instant, load_agreements, load_contracts
from tests.core.history_by_hand import (
    CITIZEN,
    DECISIONS,
    OBLIGATIONS,
    PERSON,
    SUBSCRIBER,
    VIEW,
    ByHand,
    consent,
    shortened,
    whole_story,
    without,
)
from tests.core.test_house import ROOT

CONTRACTS = load_contracts(ROOT / "schemas")
AGREEMENTS = load_agreements(ROOT / "schemas" / "agreements", CONTRACTS)
RULES = Rules(CONTRACTS, AGREEMENTS, Keys(b"secret"))
RECORD_LOG = "postroom.record.changelog"
INTAKE_LOG = "postroom.intake.changelog"
IDENTITY_LOG = "postroom.identity.changelog"
GARBAGE = b"\xc1 nobody's message"
CANARY = "Canary-Surname"


@pytest.fixture
def hand() -> ByHand:
    """The story as it must be, to be told wrongly."""
    return whole_story(RULES)


def test_the_story_as_it_must_be_has_no_finding(hand: ByHand):
    """And everything of it was looked at."""
    verdict = hand.verdict()
    assert verdict.findings == []
    assert verdict.clean
    looked_at = ("events", "messages between stages", "view records", "disclosures", "ended views")
    assert all(verdict.checked[what] for what in looked_at), verdict.checked
    assert verdict.unchecked == ["views against a replay of the events: not asked for"]


# -- one fault each

Told = Callable[[ByHand], Any]


def _no_answer(hand: ByHand) -> None:
    hand.event("third")


def _missing_number(hand: ByHand) -> None:
    hand.said(hand.event("third"), number=4)


def _fewer_than_sent(hand: ByHand) -> None:
    hand.memory("intake", sent={ASSERTIONS_TOPIC: {0: 3}})


def _passed_over(hand: ByHand) -> None:
    hand.memory(
        "identity", positions={ASSERTIONS_TOPIC: 2}, seen={ASSERTIONS_TOPIC: {"intake-0": 1}}, sent={}
    )


def _taken_in_twice(hand: ByHand) -> None:
    hand.said(_first(hand, DECISIONS))


def _number_again(hand: ByHand) -> None:
    hand.said(hand.event("third"), number=2)


def _two_letters(hand: ByHand) -> None:
    rejected = hand.event("third")
    hand.letter(rejected)
    hand.letter(rejected)


def _both_ways(hand: ByHand) -> None:
    hand.letter(_first(hand, DECISIONS))


def _never_published(hand: ByHand) -> list[Record]:
    hand.said(hand.event("aborted"))
    return without(hand.records, DECISIONS, -1)


def _read_ahead(hand: ByHand) -> None:
    hand.memory(
        "identity", positions={ASSERTIONS_TOPIC: 2}, seen={ASSERTIONS_TOPIC: {"intake-0": 3}}, sent={}
    )


def _stranger_read(hand: ByHand) -> None:
    seen = {ASSERTIONS_TOPIC: {"intake-0": 2, "intake-1": 1}}
    hand.memory("identity", positions={ASSERTIONS_TOPIC: 2}, seen=seen, sent={})


def _unreadable(hand: ByHand) -> None:
    headers = (("postroom_sender", b"identity-0"), ("postroom_count", b"3"))
    hand.put(FRAGMENTS_TOPIC, hand.task, GARBAGE, PERSON, headers)


def _unreadable_entry(hand: ByHand) -> None:
    hand.put(DISCLOSURES_TOPIC, 0, GARBAGE)


def _hole(hand: ByHand) -> None:
    hand.view(4, b"fourth")
    hand.entry(4, b"fourth", decision=STATUTE)


def _backwards(hand: ByHand) -> None:
    hand.view(1, b"first again")


def _logged_late(hand: ByHand) -> None:
    for sequence, value in ((3, b"third"), (4, b"fourth")):
        hand.view(sequence, value)
    for sequence, value in ((4, b"fourth"), (3, b"third")):
        hand.entry(sequence, value, decision=STATUTE)


def _no_sequence(hand: ByHand) -> None:
    hand.put(VIEW, 1, b"by hand", "s-1")


def _written_twice(hand: ByHand) -> None:
    hand.view(2, None)


def _no_change(hand: ByHand) -> None:
    for sequence in (3, 4):
        hand.view(sequence, b"third")
        hand.entry(sequence, b"third", decision=STATUTE)


def _ends_first(hand: ByHand) -> list[Record]:
    kept = [r for r in hand.records if r.topic not in (VIEW, DISCLOSURES_TOPIC)]
    hand.records = kept
    hand.view(1, None)
    hand.entry(1, None)
    return kept


def _view_not_written(hand: ByHand) -> None:
    hand.entry(3, b"third", decision=STATUTE)


def _retraction_not_written(hand: ByHand) -> list[Record]:
    return without(hand.records, VIEW, -1)


def _second_writer(hand: ByHand) -> None:
    for sequence, value, person in ((3, b"third", PERSON), (4, b"fourth", "p-2")):
        hand.view(sequence, value)
        hand.entry(sequence, value, person=person, decision=STATUTE)


def _not_logged(hand: ByHand) -> None:
    hand.view(3, b"third")


def _logged_twice(hand: ByHand) -> None:
    hand.entry(2, None)


def _logged_otherwise(hand: ByHand) -> None:
    hand.view(3, b"third")
    hand.entry(3, b"another", decision=STATUTE)


def _not_owed(hand: ByHand) -> list[Record]:
    return without(hand.records, OBLIGATIONS, 0)


def _half_owed(hand: ByHand) -> list[Record]:
    kept = without(hand.records, OBLIGATIONS, 0)
    hand.records = kept
    hand.obligation(1, "name")
    return kept


def _stale(hand: ByHand) -> None:
    hand.view(3, b"third")
    hand.entry(3, b"third")


BY_STATUTE = {"permit": "public_task", "consent": None}
STATUTE = {"attributes": {"address": BY_STATUTE, "name": BY_STATUTE}}

WRONG: dict[str, tuple[Told, Anomaly, str]] = {
    "an event that nobody answered": (_no_answer, Anomaly.LOST_EVENT, DECISIONS),
    "a number left out": (_missing_number, Anomaly.LOST_EVENT, ASSERTIONS_TOPIC),
    "fewer messages than were sent": (_fewer_than_sent, Anomaly.LOST_EVENT, INTAKE_LOG),
    "a message that its reader passed over": (_passed_over, Anomaly.LOST_EVENT, IDENTITY_LOG),
    "an event taken in twice": (_taken_in_twice, Anomaly.DUPLICATE_EVENT, ASSERTIONS_TOPIC),
    "a number again": (_number_again, Anomaly.DUPLICATE_EVENT, ASSERTIONS_TOPIC),
    "two dead letters about one event": (_two_letters, Anomaly.DUPLICATE_EVENT, DEAD_LETTERS_TOPIC),
    "an event accepted and rejected": (_both_ways, Anomaly.DUPLICATE_EVENT, DEAD_LETTERS_TOPIC),
    "an event that was never committed": (_never_published, Anomaly.ABORTED_READ, ASSERTIONS_TOPIC),
    "a message read that was never committed": (_read_ahead, Anomaly.ABORTED_READ, IDENTITY_LOG),
    "a sender read that never committed": (_stranger_read, Anomaly.ABORTED_READ, IDENTITY_LOG),
    "a message of garbage": (_unreadable, Anomaly.UNREADABLE_MESSAGE, FRAGMENTS_TOPIC),
    "an entry of garbage": (_unreadable_entry, Anomaly.UNREADABLE_MESSAGE, DISCLOSURES_TOPIC),
    "a sequence that jumps": (_hole, Anomaly.OUT_OF_ORDER_SEQUENCE, DISCLOSURES_TOPIC),
    "a sequence that goes back": (_backwards, Anomaly.OUT_OF_ORDER_SEQUENCE, VIEW),
    "a sequence logged late": (_logged_late, Anomaly.OUT_OF_ORDER_SEQUENCE, DISCLOSURES_TOPIC),
    "a view without a sequence": (_no_sequence, Anomaly.OUT_OF_ORDER_SEQUENCE, VIEW),
    "a view written twice": (_written_twice, Anomaly.DUPLICATE_VIEW_WRITE, VIEW),
    "a view that changes nothing": (_no_change, Anomaly.DUPLICATE_VIEW_WRITE, VIEW),
    "an end before any view": (_ends_first, Anomaly.DUPLICATE_VIEW_WRITE, VIEW),
    "a view logged and not written": (_view_not_written, Anomaly.LOST_VIEW_WRITE, DISCLOSURES_TOPIC),
    "a retraction logged and not written": (
        _retraction_not_written,
        Anomaly.LOST_VIEW_WRITE,
        DISCLOSURES_TOPIC,
    ),
    "two persons under one key": (_second_writer, Anomaly.TWO_WRITERS, DISCLOSURES_TOPIC),
    "a view that is not logged": (_not_logged, Anomaly.MISSING_DISCLOSURE, VIEW),
    "a view logged twice": (_logged_twice, Anomaly.DUPLICATE_DISCLOSURE, DISCLOSURES_TOPIC),
    "a log committed to another view": (_logged_otherwise, Anomaly.WRONG_DISCLOSURE, DISCLOSURES_TOPIC),
    "an end without an obligation": (_not_owed, Anomaly.MISSING_OBLIGATION, DISCLOSURES_TOPIC),
    "an end with half an obligation": (_half_owed, Anomaly.MISSING_OBLIGATION, DISCLOSURES_TOPIC),
    "a view after its withdrawal": (_stale, Anomaly.STALE_CONSENT, DISCLOSURES_TOPIC),
}
"""How each fault is told, what it must be called, and on which topic it is found."""


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_is_found_by_its_name_where_it_is_and_nothing_else(hand: ByHand, fault: str):
    """One hand-made history for each way in which a promise breaks."""
    tell, anomaly, topic = WRONG[fault]
    records = tell(hand)
    verdict = hand.verdict(records if isinstance(records, list) else None)
    assert [(finding.anomaly, finding.place.topic) for finding in verdict.findings] == [(anomaly, topic)]
    assert not verdict.clean


def test_every_anomaly_has_a_rule_and_a_fault():
    """But the replay's, which has tests of its own below."""
    assert set(MEANING) == set(Anomaly)
    assert {anomaly for _, anomaly, _ in WRONG.values()} == set(Anomaly) - {Anomaly.VIEW_DIFFERS}


def test_a_finding_names_the_event_and_nobody():
    """Topic, partition, offset, source and id; never a key, an identifier or what was said."""
    hand = whole_story(RULES)
    for tell, _, _ in WRONG.values():
        hand.records = list(hand.records)
        tell(hand)
    findings = hand.verdict().findings
    shown = "\n".join(map(str, findings))
    assert ("urn:gov:consent-service:web", "third") in {finding.event for finding in findings}
    assert not any(secret in shown for secret in (CITIZEN, CITIZEN[5:], "s-1", PERSON, "first", CANARY))


def test_very_many_findings_are_counted_and_the_first_kept(hand: ByHand):
    """A broken backbone does not break its checker."""
    for number in range(FINDINGS_MAX + 5):
        hand.event(f"lost-{number}")
    verdict = hand.verdict()
    assert verdict.counts[Anomaly.LOST_EVENT] == FINDINGS_MAX + 5
    assert len(verdict.findings) == FINDINGS_MAX


# -- what looks wrong and is not


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


def replace_record(record: Record, **changes: Any) -> Record:
    return record._replace(**changes)


def _first(hand: ByHand, topic: str) -> Record:
    return next(record for record in hand.records if record.topic == topic)
