"""The decision: which question denies first, and what a permit rests on (C5, C6, C8, C9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processors.decision import (
    OF_ATTRIBUTES,
    QUESTIONS,
    Decision,
    Permit,
    Question,
    decide,
    decide_closed,
    may_permit,
    summary,
)
from processors.golden import Citizen, Golden
from processors.messages import Consent, Enrolment, Entry, Objection
from processors.outcomes import Denial
from processors.rules import Keys, Rules
from schemas import DECEASED, Agreement, load_agreements, load_contracts
from tests.nasty.generate import CASES

CONTRACTS = load_contracts(CASES / "contracts")
AGREEMENTS = load_agreements(CASES / "agreements", CONTRACTS)
RULES = Rules(CONTRACTS, AGREEMENTS, Keys(b"secret"))
NOW = 1_780_000_000_000
HOUSING, ESTATES, YORK = AGREEMENTS["leeds-housing"], AGREEMENTS["hmrc-estates"], AGREEMENTS["york-tax"]
CARE, PROBATE = AGREEMENTS["leeds-care"], AGREEMENTS["hmcts-probate"]


def golden(value: bytes) -> dict[str, Golden]:
    """A golden value of an attribute that does not repeat."""
    return {"": Golden(Entry(1, 1, "urn:gov:gro:main", "e", None, NOW * 2, value), "gro", "nino:AB123456C")}


def citizen(**changes: Any) -> Citizen:
    """A living person of one identifier, of whom nothing is known."""
    plain = Citizen(frozenset({"nino:AB123456C"}), frozenset(), False, True, {}, {}, {}, {}, overfull=False)
    return plain._replace(**changes)


def decided(agreement: Agreement, person: Citizen, now_ms: int = NOW, out: bool = False) -> Decision:
    """The decision on a person whose id is p-1."""
    return decide(Question(agreement, person, "p-1", RULES, now_ms, out))


def test_the_questions_stand_in_the_order_of_the_design() -> None:
    """C6: first that applies."""
    assert [denial for denial, _, _ in QUESTIONS] == [
        Denial.AGREEMENT_NOT_IN_FORCE,
        Denial.OVERFULL,
        Denial.INCOMPLETE,
        Denial.OUT_OF_SCOPE,
        Denial.RESTRICTED,
        Denial.DECEASED,
        Denial.OBJECTED,
        Denial.NO_SUBJECT_IDENTIFIER,
    ]


def test_an_agreement_is_in_force_from_its_first_moment_until_before_its_end() -> None:
    """C6, §1: an end is exclusive."""
    moments = (ESTATES.valid_from - 1, ESTATES.valid_from, ESTATES.valid_until - 1, ESTATES.valid_until)
    found = [decided(ESTATES, citizen(), moment).denied for moment in moments]
    assert found == [Denial.AGREEMENT_NOT_IN_FORCE, None, None, Denial.AGREEMENT_NOT_IN_FORCE]


def test_on_half_of_what_was_said_no_view_begins_but_one_that_is_out_is_decided() -> None:
    """I6."""
    assert decided(ESTATES, citizen(complete=False)).denied is Denial.INCOMPLETE
    assert decided(ESTATES, citizen(complete=False), out=True).denied is None


def test_protection_denies_unless_the_agreement_sees_the_protected() -> None:
    """C3, C5."""
    assert decided(ESTATES, citizen(restricted=True)).denied is Denial.RESTRICTED
    assert decided(replace(ESTATES, sees_restricted=True), citizen(restricted=True)).denied is None


def test_death_ends_what_stops_with_it() -> None:
    """C6: a golden death, and after_death is stop."""
    dead = citizen(golden={"death": golden(b'"2026-01-01"')})
    assert decided(replace(ESTATES, after_death="stop"), dead).denied is Denial.DECEASED
    assert decided(ESTATES, dead).denied is None


def test_an_objection_is_heard_by_what_honours_objections() -> None:
    """C2, C5."""
    objecting = citizen(objections={"x": Objection(1, "s", "e", "*", "*", "OBJECTED")})
    assert decided(ESTATES, objecting).denied is None
    assert decided(replace(ESTATES, honours_objection=True), objecting).denied is Denial.OBJECTED


def test_a_key_of_a_scheme_is_the_smallest_that_is_not_superseded() -> None:
    """C8: and without one there is no view."""
    several = frozenset({"nino:AB123456C", "nino:AB123457C", "nhs:1", "nino:AA123456C"})
    person = citizen(identifiers=several, superseded=frozenset({"nino:AA123456C"}))
    assert decided(ESTATES, person).key == "nino:AB123456C"
    none = citizen(superseded=frozenset({"nino:AB123456C"}))
    assert decided(ESTATES, none).denied is Denial.NO_SUBJECT_IDENTIFIER


@pytest.mark.parametrize("scheme", ["nhs", "nino", "passport", "utr"])
def test_a_key_is_of_the_agreements_own_scheme(scheme: str) -> None:
    """C8: whatever its name."""
    person = citizen(identifiers=frozenset({"nhs:1", "nino:1", "passport:1", "utr:1"}))
    assert decided(replace(ESTATES, subject=scheme), person).key == f"{scheme}:1"


def test_no_key_is_an_identifier_that_is_not_there() -> None:
    """C8, I6: a fragment may know a superseded number whose own fragment has not arrived."""
    person = citizen(superseded=frozenset({"nino:AA123456C"}), complete=False)
    assert decided(ESTATES, person, out=True).key == "nino:AB123456C"


def test_pairwise_keys_differ_by_agreement_unless_they_share_a_group() -> None:
    """C8."""
    enrolment = Enrolment(1, "s", "e", "council-leeds", "leeds-care", "ENROLLED")
    person = citizen(enrolments={"e": enrolment})
    keys = {
        name: decided(AGREEMENTS[name], person).key
        for name in ("leeds-care", "leeds-carers", "leeds-housing")
    }
    assert keys["leeds-care"] == keys["leeds-carers"] != keys["leeds-housing"]
    assert str(keys["leeds-care"]).startswith("s-")


def test_only_the_enrolled_are_in_the_scope_of_enrolled() -> None:
    """C4, C5."""
    assert decided(CARE, citizen()).denied is Denial.OUT_OF_SCOPE


def test_only_the_dead_are_in_the_scope_of_deceased() -> None:
    """C5, C6: a golden death, whether or not the agreement shows it; and `stop` gives nothing to anybody."""
    dead = citizen(golden={"death": golden(b'"2026-01-01"')})
    assert decided(PROBATE, citizen()).denied is Denial.OUT_OF_SCOPE
    assert decided(PROBATE, citizen(golden={"death": {}})).denied is Denial.OUT_OF_SCOPE
    assert decided(PROBATE, dead).denied is None
    assert decided(replace(PROBATE, after_death="stop"), dead).denied is Denial.DECEASED
    assert decided(PROBATE, dead._replace(restricted=True)).denied is Denial.RESTRICTED


def test_a_death_that_consent_does_not_cover_puts_nobody_into_scope() -> None:
    """C5: presence in the topic of an agreement about the deceased says that somebody has died."""
    asking = replace(HOUSING, scope=DECEASED, after_death="continue", attributes=PROBATE.attributes)
    dead = citizen(golden={"death": golden(b'"2026-01-01"')})
    category = CONTRACTS.attributes["death"].category
    for covered, denied in ((("no-such",), Denial.OUT_OF_SCOPE), ((category,), None)):
        grant = Consent(1, "s", "c", asking.subscriber, asking.purpose, covered, "GRANTED")
        consents = {(asking.subscriber, asking.purpose): [grant]}
        assert decided(asking, dead._replace(consents=consents)).denied is denied


def test_a_scope_that_this_release_does_not_know_is_nobodys() -> None:
    """C6: fails closed."""
    unknown: Any = "the-tall"
    assert decided(replace(PROBATE, scope=unknown), citizen()).denied is Denial.OUT_OF_SCOPE


@pytest.mark.parametrize(("authority", "denied"), [(b"york", None), (b"leeds", Denial.OUT_OF_SCOPE)])
def test_where_compares_the_golden_value(authority: bytes, denied: Denial | None) -> None:
    """C5: with the field's value."""
    address = golden(b'{"lines":[],"postcode":"Y","authority":"' + authority + b'"}')
    person = citizen(identifiers=frozenset({"ctax:10000001"}), golden={"address": address})
    assert decided(YORK, person).denied is denied


def test_presence_is_not_disclosed_by_what_is_not_permitted() -> None:
    """C5: on basis consent, a scope on an attribute that is not permitted leaves the person out of it."""
    address = golden(b'{"lines":[],"postcode":"Y","authority":"york"}')
    asking = replace(HOUSING, scope=YORK.scope)
    assert decided(asking, citizen(golden={"address": address})).denied is Denial.OUT_OF_SCOPE
    grant = Consent(1, "s", "c", asking.subscriber, asking.purpose, (), "GRANTED")
    consents = {(asking.subscriber, asking.purpose): [grant]}
    assert decided(asking, citizen(golden={"address": address}, consents=consents)).denied is None


def test_a_permit_names_what_it_rests_on() -> None:
    """C6, C9: the statutory gateway or the consent event; a withdrawal never stops a statutory flow."""
    stop = Consent(2, "s", "w", "hmrc", "estates", (), "WITHDRAWN")
    person = citizen(consents={("hmrc", "estates"): [stop]})
    assert set(decided(ESTATES, person).attributes.values()) == {Permit("legal_obligation", ESTATES.gateway)}
    grant = Consent(1, "s", "c", "council-leeds", "housing-support", (), "GRANTED")
    answers = decided(HOUSING, citizen(consents={("council-leeds", "housing-support"): [grant]})).attributes
    assert answers["address"] == Permit("consent", consent=("s", "c"))
    assert answers["practice"] is Denial.NO_CONSENT


def test_an_error_while_deciding_denies_everything() -> None:
    """C6: fails closed."""
    broken = citizen(golden=None)
    decision = decide_closed(Question(YORK, broken, "p-1", RULES, NOW, False))
    assert decision.denied is Denial.ERROR
    assert set(decision.attributes.values()) == {Denial.ERROR}
    assert decision.key is None


def test_a_decision_is_counted_by_its_first_denial() -> None:
    """C6: denied as a whole, denied in every attribute, partly permitted, permitted."""
    permit = Permit("public-task")
    paused, withdrawn = Denial.CONSENT_PAUSED, Denial.CONSENT_WITHDRAWN
    counted = [
        Decision(Denial.DECEASED, None, {"name": Denial.DECEASED}),
        Decision(None, "k", {"name": paused, "birth": withdrawn}),
        Decision(None, "k", {"name": permit, "birth": paused, "address": withdrawn}),
        Decision(None, "k", {"name": permit, "birth": permit}),
    ]
    assert [summary(each) for each in counted] == [
        ("denied", Denial.DECEASED),
        ("denied", paused),
        ("partial", paused),
        ("permitted", ""),
    ]


def test_every_denial_is_of_the_person_of_an_attribute_or_an_error() -> None:
    """C6: what is asked of an attribute is what no question about the person asks."""
    assert [*(denial for denial, _, _ in QUESTIONS), *OF_ATTRIBUTES, Denial.ERROR] == list(Denial)


def test_what_cannot_be_told_is_decided() -> None:
    """C6: nobody is left out of a decision because asking failed; the decision then denies."""

    class Broken(Question):
        def permit(self, attribute: str) -> Any:
            raise RuntimeError("broken")

    names = [grant.attribute for grant in HOUSING.attributes]
    assert not may_permit(Question(HOUSING, citizen(), "p-1", RULES, NOW, False), names)
    assert may_permit(Broken(HOUSING, citizen(), "p-1", RULES, NOW, False), names)
