"""Annulments and corrections in identity: before or after what they touch, and what they never touch (R3)."""

from __future__ import annotations

from typing import Any

import pytest

from processors.identity import UNMATCHED_AFTER_MS
from processors.messages import Claims, Consent, Enrolment, Fragment, Objection, Restriction
from tests.identity_kit import (
    NHS,
    NOW_MS,
    SOURCE,
    UTR,
    Identifier,
    claims_about,
    named,
    only,
    paired,
    said,
    told,
    values_of,
)

ANNULMENT = said("a", annuls="e", time=9_000)
CORRECTION = named("c", annuls="e", time=9_000)


def test_an_annulment_removes_the_values_of_the_event_that_it_names():
    """R3: the record is told that the register is empty; the other registers stay as they are."""
    one = Identifier(named("e"), said("f", values=(("birth", b"1990"),)))
    assert values_of(only(one.step(ANNULMENT), Fragment)) == {"name": []}


def test_what_it_had_replaced_counts_again():
    """R3, R4: the register is as if the event had never been."""
    one = Identifier(named("d", time=500), named("e"))
    assert values_of(only(one.step(ANNULMENT), Fragment)) == {"name": ["d"]}


def test_an_event_that_comes_after_its_annulment_says_nothing():
    """R3: whether it came before or comes after; an annulment does not expire."""
    one = Identifier(ANNULMENT)
    assert one.step(named("e", pairs=(("link", NHS),)), now_ms=NOW_MS * 1000) == []
    assert (one.state.registers, one.state.asked) == ({}, 0)


def test_a_correction_says_its_own_and_annuls_the_other():
    """R3: a fact with a prior, in either order of arrival."""
    for order in ((named("e"), CORRECTION), (CORRECTION, named("e"))):
        one = Identifier(*order)
        assert [a.id for register in one.state.contents().values() for a in register] == ["c"]


def test_what_a_correction_annulled_stays_annulled_when_the_correction_is_annulled_itself():
    """R3: nothing comes back."""
    one = Identifier(named("e"), CORRECTION)
    assert values_of(only(one.step(said("b", annuls="c")), Fragment)) == {"name": []}


@pytest.mark.parametrize(
    "innocent",
    [named("x"), named("e", source="urn:gov:dwp:other"), named("e", source="urn:gov:hmrc:main")],
    ids=["another id", "another system", "another owner"],
)
def test_an_event_of_another_name_is_not_touched(innocent: Any):
    """R3: that id and the same source."""
    for order in ((innocent, ANNULMENT), (ANNULMENT, innocent)):
        assert len(Identifier(*order).state.registers) == 1


@pytest.mark.parametrize("kind", ["link", "unlink", "same-person", "superseded-by"])
def test_it_removes_what_the_event_says_of_pairs(kind: str):
    """R3, I2: what is annulled does not count; persons is asked again."""
    one = Identifier(paired("e", kind), paired("f", "link", time=2_000))
    claims = only(one.step(ANNULMENT), Claims)
    assert (claims.asked, claims.pairs) == (3, claims_about(NHS, (2_000, "f", "link")))


def test_what_only_repeated_a_pair_is_removed_without_a_question():
    """R3, §7: persons had not heard of it."""
    one = Identifier(paired("d"), paired("e", time=2_000), told(1))
    assert one.step(ANNULMENT) == []
    assert one.state.asked == 1


def test_the_last_statement_about_a_pair_leaves_nothing_said_of_it():
    """R3, §7: persons is told so, of each pair that the event spoke of."""
    one = Identifier(paired("e", pairs=(("link", NHS), ("link", UTR))))
    assert only(one.step(ANNULMENT), Claims).pairs == {NHS: (), UTR: ()}


STATEMENTS: dict[str, Any] = {
    "consent": Consent(1_000, SOURCE, "e", "dvla", "renewals", (), "GRANTED"),
    "objection": Objection(1_000, SOURCE, "e", "*", "*", "OBJECTED"),
    "restriction": Restriction(1_000, SOURCE, "e", "police", "RESTRICTED"),
    "enrolment": Enrolment(1_000, SOURCE, "e", "hmrc", "estates", "ENROLLED"),
}


@pytest.mark.parametrize("section", STATEMENTS)
def test_it_never_removes_a_consent_an_objection_a_restriction_or_an_enrolment(section: str):
    """R3: state those again; before or after."""
    statement = said("e", **{section: STATEMENTS[section]})
    one, other = Identifier(statement, ANNULMENT).state, Identifier(ANNULMENT, statement).state
    for name in ("consents", "objections", "restrictions", "enrolments"):
        kept = getattr(one, name)
        assert kept == getattr(other, name)
        assert bool(kept) == name.startswith(section)


def test_what_waits_is_annulled_where_it_lies():
    """R3, I6: it was found, so nothing is reported; when the answer comes, it grants nothing."""
    one = Identifier(paired("p"), named("e"), ANNULMENT)
    assert one.state.unmatched == {}
    fragment = only(one.step(told(1, NHS)), Fragment)
    assert values_of(fragment) == {}


def test_an_annulment_that_finds_nothing_is_reported_after_an_hour_and_once():
    """R3: to the source of the event that it names, which is its own."""
    one = Identifier(ANNULMENT)
    assert one.wake_ms == NOW_MS + UNMATCHED_AFTER_MS
    one.step(ANNULMENT, now_ms=NOW_MS + 1)
    one.step(now_ms=NOW_MS + UNMATCHED_AFTER_MS - 1)
    assert one.reports == []
    one.step(now_ms=NOW_MS + UNMATCHED_AFTER_MS)
    assert one.reports == [{"report": "annulment-unmatched", "source": SOURCE, "id": "e"}]
    assert [outcome.reason or outcome.outcome for outcome in one.outcomes] == ["annulment-unmatched"]
    one.step(now_ms=NOW_MS + 2 * UNMATCHED_AFTER_MS)
    assert (one.reports, one.wake_ms) == ([], None)


@pytest.mark.parametrize("found", [named("e"), paired("e")], ids=["value", "pair"])
def test_an_annulment_that_removes_something_is_not_reported(found: Any):
    """R3: a value, or a statement about a pair, also when nothing of the event waits any more."""
    assert Identifier(found, told(1), ANNULMENT).state.unmatched == {}


@pytest.mark.parametrize("found", [named("e"), paired("e"), said("e")], ids=["value", "pair", "nothing"])
def test_an_annulment_whose_event_comes_within_the_hour_is_not_reported(found: Any):
    """R3: whatever the event says."""
    assert Identifier(ANNULMENT, found).state.unmatched == {}


def test_an_annulment_of_what_it_cannot_remove_is_reported():
    """R3: it never removes a consent, so the department must hear that it did nothing."""
    one = Identifier(said("e", consent=STATEMENTS["consent"]), ANNULMENT)
    assert len(one.state.unmatched) == 1


def test_a_correction_beside_what_it_corrects_is_one_fragment():
    """R3, V7: in one batch only the outcome is sent."""
    fragment = only(Identifier().step(named("e"), CORRECTION), Fragment)
    assert values_of(fragment) == {"name": ["c"]}
