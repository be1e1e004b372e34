"""The history checker: every anomaly is found by its name, where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from processors.history import MEANING, Anomaly
from processors.history.findings import FINDINGS_MAX
from processors.messages import (
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    FRAGMENTS_TOPIC,
)
from processors.stage import Record
from tests.core.history_by_hand import (
    CITIZEN,
    DECISIONS,
    IDENTITY_LOG,
    INTAKE_LOG,
    OBLIGATIONS,
    PERSON,
    RULES,
    STATUTE,
    VIEW,
    ByHand,
    first,
    whole_story,
    without,
)

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
    hand.said(first(hand, DECISIONS))


def _number_again(hand: ByHand) -> None:
    hand.said(hand.event("third"), number=2)


def _two_letters(hand: ByHand) -> None:
    rejected = hand.event("third")
    hand.letter(rejected)
    hand.letter(rejected)


def _both_ways(hand: ByHand) -> None:
    hand.letter(first(hand, DECISIONS))


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
