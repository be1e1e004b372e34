"""`postroom audit person` in words: what was shared and on what ground, what was withheld and why."""

from __future__ import annotations

import json

import pytest

from postroom.commands.audit import COLUMNS, as_row
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


def test_a_disclosure_names_what_each_field_rests_on_and_why_the_others_were_withheld():
    """V5, C6: a ground and a reason once, with the fields that it is about."""
    answers = {"address": CONSENT, "name": CONSENT, "practice": Denial.NO_CONSENT}
    row = as_row(entry(Decision(None, "s-", answers)))
    assert row["what"] == "written"
    assert row["agreement"] == "council-leeds-housing@3"
    assert row["shared because"] == "address, name: consent event consent-1 of urn:gov:consent-service:web"
    assert row["withheld because"] == "practice: the citizen never granted consent that covers this"
    assert row["caused by"] == "event a-4 of urn:gov:consent-service:web"
    assert tuple(row) == COLUMNS


def test_a_statute_is_named_with_the_basis():
    """C9: consent is one basis among several."""
    row = as_row(entry(Decision(None, "s-", {"address": STATUTE})))
    assert row["shared because"] == "address: public task, Local Government Finance Act 1992, schedule 1A"
    assert row["withheld because"] == ""


def test_a_retraction_says_that_it_was_taken_back_and_why():
    """V2: the subscriber is told only `ended`; the log has the whole reason."""
    row = as_row(entry(Decision(Denial.RESTRICTED, None, {}), kind="retraction", reason="ended"))
    assert row["what"] == "taken back (ended)"
    assert row["shared because"] == ""
    assert row["withheld because"] == f"all of it: {MEANINGS[Denial.RESTRICTED]}"


def test_an_agreement_that_is_gone_and_time_that_passed_are_said_in_words():
    """No cause is no event: a moment came (V8), or a sweep (V9)."""
    row = as_row(entry(None, kind="retraction", reason="ended", cause=""))
    assert row["withheld because"] == f"all of it: {MEANINGS[Denial.AGREEMENT_NOT_IN_FORCE]}"
    assert row["caused by"] == "time passed, or the rules changed"


@pytest.mark.parametrize("denial", list(Denial))
def test_every_reason_has_words(denial: Denial):
    """None is shown as its name: a policy person reads this."""
    answers = {"address": STATUTE, "name": denial}
    assert as_row(entry(Decision(None, "s-", answers)))["withheld because"] == f"name: {MEANINGS[denial]}"
