"""Concern: whom a change is about, and that nobody is asked in vain (V1, C6)."""

from __future__ import annotations

import pytest

from processors.concern import Concern
from schemas import load_agreements, load_contracts
from tests.nasty.generate import CASES

AGREEMENTS = load_agreements(CASES / "agreements", load_contracts(CASES / "contracts"))
CONCERN = Concern(AGREEMENTS)
STATUTORY = ["dwp-pilot", "hmcts-probate", "hmrc-estates", "leeds-care", "police-protection", "york-tax"]
HOUSING = ("council-leeds", "housing-support")


def test_an_agreement_on_consent_is_asked_only_of_who_ever_spoke_of_it_or_was_seen_by_it():
    """C6: where nothing was ever said there is no consent; what was sent may have to be taken back."""
    assert CONCERN.asked(None, (), ()) == STATUTORY
    assert CONCERN.asked(None, [HOUSING], ()) == sorted([*STATUTORY, "leeds-housing"])
    assert CONCERN.asked(None, (), [{"dvla-contact": 1}]) == sorted([*STATUTORY, "dvla-contact"])


@pytest.mark.parametrize(
    ("touched", "asked"),
    [
        ({"practice"}, ["leeds-care", "leeds-housing"]),
        ({"birth"}, ["hmrc-estates"]),
        ({"address"}, ["hmcts-probate", "leeds-care", "leeds-housing", "police-protection", "york-tax"]),
        ({HOUSING}, ["leeds-housing"]),
        ({"death"}, sorted([*STATUTORY, "leeds-housing"])),
        ({"shoe-size"}, []),
        (set(), []),
    ],
)
def test_a_change_concerns_those_who_show_it_or_decide_by_it(touched: set[str], asked: list[str]):
    """V1, C5: an attribute shown, one that the scope asks about, a consent; a death concerns everybody."""
    assert CONCERN.asked(touched, [HOUSING], ()) == asked


def test_what_no_longer_exists_is_not_asked():
    """V9: an agreement that is gone has no question; its views are ended elsewhere."""
    assert "gone" not in CONCERN.asked(None, (), [{"gone": 1}])


@pytest.mark.parametrize(
    ("name", "touched", "shown"),
    [
        ("leeds-housing", {"practice", "birth"}, {"practice"}),
        ("leeds-housing", {"practice", HOUSING}, None),
        ("leeds-housing", {"practice", "death"}, None),
        ("york-tax", {"address"}, None),
        ("hmcts-probate", {"address"}, {"address"}),
        ("hmcts-probate", {"address", "death"}, None),
        ("hmrc-estates", {"death"}, None),
    ],
)
def test_what_is_only_shown_is_told_from_what_decides(name: str, touched: set[str], shown: set[str] | None):
    """C5, C6: a consent, a death or what the scope asks about may change the answer, no other value may."""
    assert CONCERN.only_shown(name, touched) == shown
