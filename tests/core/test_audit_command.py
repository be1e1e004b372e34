"""`postroom audit person` in words: what was shared and on what ground, what was withheld and why."""

from __future__ import annotations

import json

import pytest

from postroom.commands.audit import COLUMNS, as_row, person
from processors.decision import Decision, Permit
from processors.disclosure_log import Entry, LoggedCause, encode_entry, reasons
from processors.explain import MEANINGS
from processors.outcomes import Denial

CONSENT = Permit("consent", consent=("urn:gov:consent-service:web", "consent-1"))
STATUTE = Permit("public_task", gateway="Local Government Finance Act 1992, schedule 1A")


def entry(decision: Decision | None, *, kind: str = "view", reason: str | None = None, cause: str = "a-4"):
    """An entry as it lies in the log."""
    source = "urn:gov:consent-service:web" if cause else ""
    made = Entry(
        "council-leeds-housing",
        LoggedCause("c" * 32, cause, source),
        "0" * 64,
        reasons(decision),
        ["address", "name"],
        "s-" + "0" * 32,
        kind,
        "p-" + "0" * 32,
        reason,
        1,
        "council-leeds",
        "2026-03-04T11:00:00.000Z",
        3,
    )
    return json.loads(encode_entry(made))


def test_a_disclosure_names_what_each_field_rests_on_and_why_the_others_are_not_in_it():
    """V5, C6: a ground and a reason once, with the fields that it is about."""
    answers = {"address": CONSENT, "name": CONSENT, "practice": Denial.NO_CONSENT}
    row = as_row(entry(Decision(None, "s-", answers)))
    assert row["what"] == "written"
    assert row["agreement"] == "council-leeds-housing@3"
    assert row["shared because"] == "address, name: consent event consent-1 of urn:gov:consent-service:web"
    assert row["taken back because"] == ""
    assert row["not in it because"] == "practice: the citizen never granted consent that covers this"
    assert row["caused by"] == "event a-4 of urn:gov:consent-service:web"
    assert tuple(row) == COLUMNS


def test_what_was_permitted_and_had_no_value_was_not_shared():
    """C7: a permit alone delivers nothing, so it does not stand beside what was delivered."""
    row = as_row(entry(Decision(None, "s-", {"address": CONSENT, "name": CONSENT, "benefit": CONSENT})))
    assert row["fields"] == "address, name"
    assert row["shared because"] == "address, name: consent event consent-1 of urn:gov:consent-service:web"
    assert row["not in it because"] == "benefit: permitted, but there was no value to share"


def test_a_statute_is_named_with_the_basis():
    """C9: consent is one basis among several."""
    row = as_row(entry(Decision(None, "s-", {"address": STATUTE})))
    assert row["shared because"] == "address: public task, Local Government Finance Act 1992, schedule 1A"
    assert row["not in it because"] == ""


def test_a_retraction_says_that_it_was_taken_back_and_why():
    """V2: the subscriber is told only `ended`; the log has the whole reason."""
    row = as_row(entry(Decision(Denial.RESTRICTED, None, {}), kind="retraction", reason="ended"))
    assert row["what"] == "taken back (ended)"
    assert (row["shared because"], row["not in it because"]) == ("", "")
    assert row["taken back because"] == f"all of it: {MEANINGS[Denial.RESTRICTED]}"


def test_what_was_taken_back_stands_apart_from_what_was_never_delivered():
    """V5: whoever is asked of a retraction knows which of the reasons are about what the subscriber had."""
    answers = {
        "address": Denial.CONSENT_WITHDRAWN,
        "name": CONSENT,
        "benefit": CONSENT,
        "practice": Denial.NO_CONSENT,
    }
    row = as_row(entry(Decision(None, "s-", answers), kind="retraction", reason="ended"))
    assert row["shared because"] == ""
    assert row["taken back because"] == (
        "address: the citizen withdrew consent; name: no value is left to share"
    )
    assert row["not in it because"] == (
        "benefit: permitted, but there was no value to share; "
        "practice: the citizen never granted consent that covers this"
    )
    corrected = as_row(entry(Decision(None, "s-", {"name": CONSENT}), kind="retraction", reason="corrected"))
    assert corrected["taken back because"] == "name: the person is known under another key now, or is another"


def test_an_agreement_that_is_gone_and_time_that_passed_are_said_in_words():
    """No cause is no event: a moment came (V8), or a sweep (V9)."""
    row = as_row(entry(None, kind="retraction", reason="ended", cause=""))
    assert row["taken back because"] == f"all of it: {MEANINGS[Denial.AGREEMENT_NOT_IN_FORCE]}"
    assert row["caused by"] == "no event: time passed, or the rules changed"


@pytest.mark.parametrize("denial", list(Denial))
def test_every_reason_has_words(denial: Denial):
    """None is shown as its name: a policy person reads this."""
    answers = {"address": STATUTE, "practice": denial}
    row = as_row(entry(Decision(None, "s-", answers)))
    assert row["not in it because"] == f"practice: {MEANINGS[denial]}"


def test_what_an_events_name_is_stands_in_the_help():
    """E1: whoever reads `caused by` learns whose number it is, and who can find it."""
    said = " ".join((person.__doc__ or "").split())
    assert "`caused by` names an event" in said
    for column in COLUMNS[5:]:
        assert f"`{column}`" in said
