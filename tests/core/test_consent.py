"""Consent: what covers, what stands, what is in force, and why not (C1, C2, C4, C6)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import msgspec
import pytest

from processors.consent import consented, covers, enrolled, futile_grants, objected
from processors.messages import Consent, Enrolment, Objection, encode
from processors.outcomes import Denial
from schemas import Agreement, Attribute, load_agreements, load_contracts
from tests.nasty.generate import CASES

MINUTE_MS = 60_000
GRACE_MS = 5 * MINUTE_MS
NOW = 100 * MINUTE_MS
CONTRACTS = load_contracts(CASES / "contracts")
ADDRESS: Attribute = CONTRACTS.attributes["address"]
PRACTICE: Attribute = CONTRACTS.attributes["practice"]
HOUSING: Agreement = load_agreements(CASES / "agreements", CONTRACTS)["leeds-housing"]


def stated(state: Any, minute: float, source: str = "a", **changes: Any) -> Consent:
    """A statement about everything, in a minute of the hour, as it comes from a topic."""
    given_as: dict[str, Any] = {"subscriber": "s", "purpose": "p", "categories": (), "state": state}
    name = f"urn:gov:{source}:main", f"{state}{minute}"
    consent = Consent(int(minute * MINUTE_MS), *name, **(given_as | changes))
    return msgspec.msgpack.decode(encode(consent), type=Consent)


def answer(*consents: Consent, attribute: Attribute = ADDRESS, now_ms: int = NOW) -> Consent | Denial:
    """The answer, which is the same in every order."""
    answers = {consented(list(order), attribute, now_ms, GRACE_MS) for order in permutations(consents)}
    assert len(answers) == 1
    return answers.pop()


def test_an_empty_list_grants_all_but_special_categories() -> None:
    """C1: an empty GRANTED never covers a special category; a named one does, and an empty stop always."""
    grant = stated("GRANTED", 1)
    assert covers(grant, ADDRESS)
    assert not covers(grant, PRACTICE)
    assert covers(stated("GRANTED", 1, categories=("health",)), PRACTICE)
    assert not covers(stated("GRANTED", 1, categories=("health",)), ADDRESS)
    assert covers(stated("WITHDRAWN", 1), PRACTICE)


@pytest.mark.parametrize("state", ["PAUSED", "WITHDRAWN"])
def test_at_equal_times_protection_wins(state: str) -> None:
    """C1: a stop that is not earlier defeats the grant, its own source's too."""
    denial = {"PAUSED": Denial.CONSENT_PAUSED, "WITHDRAWN": Denial.CONSENT_WITHDRAWN}[state]
    assert answer(stated("GRANTED", 1), stated(state, 1)) is denial
    assert isinstance(answer(stated("GRANTED", 1.001), stated(state, 1)), Consent)


@pytest.mark.parametrize("sources", ["ab", "ba"])
def test_another_sources_stop_wins_for_five_minutes(sources: str) -> None:
    """C1: not more than five minutes earlier, to the millisecond, whichever source comes first by name."""
    mine, other = sources
    stop = stated("WITHDRAWN", 10, source=other)
    for minute in (10 + 1 / MINUTE_MS, 12, 15):
        assert answer(stated("GRANTED", minute, source=mine), stop) is Denial.CONSENT_WITHDRAWN
    later = stated("GRANTED", 15 + 1 / MINUTE_MS, source=mine)
    assert answer(later, stop) == later


def test_a_source_may_grant_again_right_after_its_own_stop() -> None:
    """C1: the five minutes are between the clocks of two sources."""
    again = stated("GRANTED", 10 + 1 / MINUTE_MS)
    assert answer(again, stated("WITHDRAWN", 10)) == again


def test_a_stop_of_another_category_stops_nothing() -> None:
    """C1: only what covers the same category."""
    grant = stated("GRANTED", 1)
    assert answer(grant, stated("WITHDRAWN", 2, categories=("health",))) == grant


def test_a_grant_is_in_force_from_its_beginning_until_before_its_end() -> None:
    """C1: max(time, valid_from) <= T < end; the dates of other states are ignored."""
    grant = stated("GRANTED", 1, begins=50, ends=60 * MINUTE_MS)
    assert answer(grant, now_ms=MINUTE_MS - 1) is Denial.CONSENT_NOT_YET_VALID
    assert answer(grant, now_ms=MINUTE_MS) == grant
    assert answer(grant, now_ms=60 * MINUTE_MS - 1) == grant
    assert answer(grant, now_ms=60 * MINUTE_MS) is Denial.CONSENT_EXPIRED
    later = stated("GRANTED", 1, begins=2 * MINUTE_MS)
    assert answer(later, now_ms=2 * MINUTE_MS - 1) is Denial.CONSENT_NOT_YET_VALID
    ended = stated("WITHDRAWN", 2, begins=1, ends=2)
    assert answer(stated("GRANTED", 1), ended) is Denial.CONSENT_WITHDRAWN


def test_a_grant_that_ends_before_it_begins_has_expired() -> None:
    """C6: not yet valid only if a grant that stands still begins."""
    empty = stated("GRANTED", 1, begins=NOW + 2, ends=NOW + 1)
    assert answer(empty) is Denial.CONSENT_EXPIRED
    assert answer(stated("GRANTED", 1, begins=NOW + 2, ends=NOW + 2)) is Denial.CONSENT_EXPIRED
    assert answer(empty, stated("GRANTED", 2, begins=NOW + 1)) is Denial.CONSENT_NOT_YET_VALID


def test_a_permit_rests_on_the_latest_grant_in_force() -> None:
    """C6: every permit names what it rests on."""
    early, late = stated("GRANTED", 1), stated("GRANTED", 2)
    assert answer(early, late) == late
    assert answer(early, stated("GRANTED", 3, ends=NOW)) == early


def test_nothing_granted_is_another_reason_than_taken_back() -> None:
    """C6: no-consent if nothing that covers it was ever granted; else by the latest stop."""
    assert answer() is Denial.NO_CONSENT
    assert answer(stated("WITHDRAWN", 1)) is Denial.NO_CONSENT
    assert answer(stated("GRANTED", 1), attribute=PRACTICE) is Denial.NO_CONSENT
    stops = (stated("WITHDRAWN", 2), stated("PAUSED", 3))
    assert answer(stated("GRANTED", 1), *stops) is Denial.CONSENT_PAUSED
    for paused, withdrawn in ("ab", "ba"):
        at_once = stated("PAUSED", 3, source=paused), stated("WITHDRAWN", 3, source=withdrawn)
        assert answer(stated("GRANTED", 1), *at_once) is Denial.CONSENT_WITHDRAWN


def futile(*consents: Consent) -> set[str]:
    """The ids of the grants that can never stand."""
    return {grant.id for grant in futile_grants(consents, GRACE_MS)}


@pytest.mark.parametrize("state", ["PAUSED", "WITHDRAWN"])
@pytest.mark.parametrize("sources", ["ab", "ba"])
def test_a_grant_just_after_another_sources_stop_can_never_stand(state: str, sources: str) -> None:
    """C1: its own source could not see it; the stop itself, and another grant, are nothing to report."""
    mine, other = sources
    stop = stated(state, 10, source=other)
    found = futile(stop, *(stated("GRANTED", minute, source=mine) for minute in (5, 9, 10, 11, 15, 16)))
    assert found == {"GRANTED11", "GRANTED15"}
    assert futile(stop, stated("GRANTED", 11, source=other)) == set()
    assert futile(stop, stated("PAUSED", 11, source=mine), stated("WITHDRAWN", 11, source=mine)) == set()
    assert futile(stated("GRANTED", 10, source=other), stated("GRANTED", 11, source=mine)) == set()


@pytest.mark.parametrize("other", ["subscriber", "purpose"])
@pytest.mark.parametrize("name", ["a", "z"])
def test_a_stop_about_another_subscriber_or_purpose_makes_no_grant_futile(other: str, name: str) -> None:
    """C1: the same subscriber and purpose."""
    assert futile(stated("WITHDRAWN", 10, source="b", **{other: name}), stated("GRANTED", 11)) == set()


@pytest.mark.parametrize(
    ("stopped", "granted", "expected"),
    [
        ((), (), True),
        ((), ("contact",), True),
        (("contact",), (), True),
        (("contact", "health"), ("contact",), True),
        (("health",), ("contact",), False),
    ],
)
def test_a_stop_that_covers_nothing_of_a_grant_does_not_make_it_futile(
    stopped: tuple[str, ...], granted: tuple[str, ...], expected: bool
) -> None:
    """C1: an empty list covers all categories."""
    stop = stated("WITHDRAWN", 10, source="b", categories=stopped)
    assert bool(futile(stop, stated("GRANTED", 11, categories=granted))) is expected


@pytest.mark.parametrize(
    ("subscriber", "purpose", "matches"),
    [
        ("council-leeds", "housing-support", True),
        ("*", "housing-support", True),
        ("council-leeds", "*", True),
        ("*", "*", True),
        ("dwp", "*", False),
        ("*", "other", False),
    ],
)
def test_an_objection_matches_by_name_or_star(subscriber: str, purpose: str, matches: bool) -> None:
    """C2: in force if any that matches is OBJECTED."""
    objection = Objection(1, "a", "o", subscriber, purpose, "OBJECTED")
    lifted = Objection(9, "a", "l", "council-leeds", "housing-support", "LIFTED")
    assert objected([lifted, objection], HOUSING) is matches
    assert not objected([Objection(1, "a", "o", subscriber, purpose, "LIFTED")], HOUSING)


def test_only_the_agreements_own_subscriber_enrols() -> None:
    """C4: by the agreement's name, its own subscriber, and not ended."""
    right = Enrolment(1, "a", "n", "council-leeds", "leeds-housing", "ENROLLED")
    assert enrolled([right], HOUSING)
    for owner in ("council-bath", "dwp"):
        assert not enrolled([Enrolment(1, "a", "n", owner, "leeds-housing", "ENROLLED")], HOUSING)
    for agreement in ("leeds-care", "york-tax"):
        assert not enrolled([Enrolment(1, "a", "n", "council-leeds", agreement, "ENROLLED")], HOUSING)
    assert not enrolled([Enrolment(1, "a", "n", "council-leeds", "leeds-housing", "ENDED")], HOUSING)
