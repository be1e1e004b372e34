"""What an accepted event says about its subject: values, pairs, statements, and when (R1, I2, §5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from processors.intake import Intake
from processors.meaning import annulled_by
from processors.messages import (
    ASSERTIONS_TOPIC,
    Cause,
    Consent,
    Enrolment,
    Objection,
    Restriction,
    decode_for_identity,
)
from processors.outcomes import Rejection
from processors.stage import Outcome
from schemas import Kind, parse_instant
from tests.event_kit import (
    AWARD,
    CONTRACTS,
    DWP,
    LINK,
    NOW_MS,
    RULES,
    TIME_MS,
    Event,
    accepted,
    award,
    binary,
    event,
    intake,
    line,
    reason,
    registration,
    step,
)

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def test_an_accepted_event_goes_once_under_its_subject():
    """§7: re-keyed by identifier; the broker's key means nothing (E2)."""
    found = step(binary(award()))
    assert [(out.topic, out.key) for out in found.outgoing] == [(ASSERTIONS_TOPIC, b"nino:AB123456C")]
    assert decode_for_identity(found.outgoing[0].value or b"") == accepted(award())
    assert found.outcomes == [Outcome(AWARD, "accepted")]
    assert found.states == {}


def test_an_assertion_says_who_what_of_which_item_and_by_which_event():
    """R1: the value in RFC 8785, the event's name, the broker's moment and the trace."""
    said = accepted(award() | {"traceparent": TRACE})
    assert said.values == (("benefit", b'{"status":"AWARDED","weekly_pence":100}'),)
    assert (said.subject, said.owner, said.item, said.type) == ("nino:AB123456C", "dwp", "pip", AWARD)
    assert said.cause == Cause(DWP, "e-1", NOW_MS, TRACE)
    assert said.time == TIME_MS


def test_what_is_effective_begins_and_ends_with_days_in_london():
    """R1, §1: summer time on both days; the end includes its day."""
    said = accepted(award(starts="2026-07-01", ends="2026-07-31"))
    assert said.effective_at == parse_instant("2026-06-30T23:00:00Z")
    assert said.until == parse_instant("2026-07-31T23:00:00Z")


def test_without_a_beginning_it_is_effective_from_its_time_and_without_an_end_for_good():
    """R1: else `time`, whether the field is null or the contract has none."""
    death = event("uk.gov.civil.death.v1", "urn:gov:gro:main", nhs_number="9434765919", died_on="2026-04-01")
    for said in (accepted(death), accepted(registration())):
        assert (said.effective_at, said.until) == (TIME_MS, None)


def test_it_counts_until_the_contracts_retention_has_passed():
    """R7: by the calendar, from `asserted_at`."""
    assert accepted(award()).expires == parse_instant("2033-05-01T00:00:00Z")


def test_null_says_nothing_and_a_note_never_enters_the_record():
    """E4: a null attribute, a null identifier; `operational`."""
    silent = accepted(registration(note="private"))
    assert (silent.values, silent.pairs) == ((), ())
    assert accepted(registration(practice="A12345", note="private")).values == (("practice", b'"A12345"'),)


def test_a_correction_names_what_it_annuls():
    """R3: `prior`, of a fact where it is not null, and of an annulment."""
    assert accepted(award()).annuls is None
    assert accepted(award(prior="e-0")).annuls == "e-0"
    annulment = event("uk.gov.corrections.annulment.v1", subject="nino:AB123456C", event="e-0")
    assert accepted(annulment).annuls == "e-0"


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.FACT, Kind.ANNULMENT)])
def test_a_prior_of_any_other_kind_says_nothing(kind: Kind):
    """R3: facts and annulments annul; what a link or a consent names is for its reader."""
    contract = replace(CONTRACTS.by_type[AWARD], prior="prior")
    assert annulled_by(contract, {"prior": "e-0"}) == "e-0"
    assert annulled_by(replace(contract, kind=Kind.ANNULMENT), {"prior": "e-0"}) == "e-0"
    assert annulled_by(replace(contract, kind=kind), {"prior": "e-0"}) is None


def test_two_spellings_of_an_identifier_are_one_content():
    """I1, R2: normalised before anything is compared, in the subject and in the content."""
    assert accepted(award(nino="ab 12-34.56/c")) == accepted(award())
    assert accepted(award(nino="AB123456D")).content != accepted(award()).content
    assert accepted(registration(nino="ab123456c")) == accepted(registration(nino="AB123456C"))


@pytest.mark.parametrize(
    "data",
    [
        {"nino": "AB123456C", "other": "nhs:943 476 5919"},
        {"nino": "AB123456C", "other": "onelogin:urn:fdc:gov.uk:2022:abcdefgh"},
        {"nino": "AB123456C", "other": "dog:7"},
        {"nino": "AB123456C", "other": "9434765919"},
        {"nino": "AB123456", "other": "nhs:9434765919"},
    ],
)
def test_an_identifier_of_any_scheme_must_be_canonical_and_of_a_scheme_allowed(data: dict[str, str]):
    """E4: `*` takes a canonical `scheme:value`; a scheme that the field does not list is none."""
    assert reason(intake().accept_json(line(event(LINK, **data)), NOW_MS)) is Rejection.IDENTIFIER_INVALID


@pytest.mark.parametrize(
    ("said", "pairs"),
    [
        (event(LINK, nino="AB123456C", other="nhs:9434765919"), (("link", "nhs:9434765919"),)),
        (
            event("uk.gov.identity.unlink.v1", nino="AB123456C", other="nhs:9434765919"),
            (("unlink", "nhs:9434765919"),),
        ),
        (registration(nino="AB123456C"), (("same-person", "nino:AB123456C"),)),
        (
            event("uk.gov.identity.nino-replaced.v1", nino="AB123456C", replaced_by="AB123456D"),
            (("superseded-by", "nino:AB123456D"),),
        ),
        (event("uk.gov.identity.nino-replaced.v1", nino="AB123456C", replaced_by="ab 123456c"), ()),
    ],
    ids=["link", "unlink", "same-person", "superseded-by", "itself"],
)
def test_what_an_event_says_about_a_pair(said: Event, pairs: tuple[tuple[str, str], ...]):
    """I2: by the field's role or the contract's kind; about one and the same identifier it says nothing."""
    assert accepted(said).pairs == pairs


NAMED = (TIME_MS, DWP, "e-1")
SUBJECT = {"subject": "nino:AB123456C"}
PARTY = {"subscriber": "dvla", "purpose": "renewals"}


@pytest.mark.parametrize(
    ("said", "section", "statement"),
    [
        (
            event(
                "uk.gov.consent.decision.v1",
                **SUBJECT,
                **PARTY,
                categories=["contact", "birth", "contact"],
                state="GRANTED",
                valid_from="2026-07-01",
                valid_until="2026-07-31",
            ),
            "consent",
            Consent(
                *NAMED,
                *PARTY.values(),
                ("birth", "contact"),
                "GRANTED",
                parse_instant("2026-06-30T23:00:00Z"),
                parse_instant("2026-07-31T23:00:00Z"),
            ),
        ),
        (
            event("uk.gov.consent.decision.v1", **SUBJECT, **PARTY, state="WITHDRAWN"),
            "consent",
            Consent(*NAMED, *PARTY.values(), (), "WITHDRAWN"),
        ),
        (
            event(
                "uk.gov.consent.objection.v1",
                "urn:gov:consent-hub:main",
                **SUBJECT,
                subscriber="*",
                purpose="renewals",
                state="OBJECTED",
            ),
            "objection",
            Objection(TIME_MS, "urn:gov:consent-hub:main", "e-1", "*", "renewals", "OBJECTED"),
        ),
        (
            event("uk.gov.protection.restriction.v1", "urn:gov:police:main", **SUBJECT, state="RESTRICTED"),
            "restriction",
            Restriction(TIME_MS, "urn:gov:police:main", "e-1", "police", "RESTRICTED"),
        ),
        (
            event(
                "uk.gov.sharing.enrolment.v1", "urn:gov:hmrc:main", **SUBJECT, agreement="a", state="ENDED"
            ),
            "enrolment",
            Enrolment(TIME_MS, "urn:gov:hmrc:main", "e-1", "hmrc", "a", "ENDED"),
        ),
    ],
    ids=["consent", "withdrawal", "objection", "restriction", "enrolment"],
)
def test_a_statement_is_what_its_kind_names_and_nothing_else(said: Event, section: str, statement: object):
    """C1-C4: categories as a set, days in London, the owner of the source for whoever states it."""
    found = accepted(said)
    for name in ("consent", "objection", "restriction", "enrolment"):
        assert getattr(found, name) == (statement if name == section else None)
    assert found.values == ()


def test_a_state_that_the_kind_does_not_have_is_a_mismatch():
    """§5: the gate lets no such contract in; if one came, its statement would be refused, not guessed."""
    lifted = event("uk.gov.protection.restriction.v1", "urn:gov:police:main", **SUBJECT, state="LIFTED")
    contract = CONTRACTS.by_type[lifted["type"]]
    odd = {**CONTRACTS.by_type, lifted["type"]: replace(contract, kind=Kind.ENROLMENT)}
    stage = Intake(replace(RULES, contracts=replace(CONTRACTS, by_type=odd)))
    assert reason(stage.accept_json(line(lifted), NOW_MS)) is Rejection.CONTRACT_MISMATCH
