"""A statement that no agreement knows is told to whoever publishes it, with the near name."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from processors import Intake, Keys, Rules
from processors.messages import ASSERTIONS_TOPIC
from processors.stage import Record
from processors.trial import examine
from producers import Ready, make_ready
from schemas import Addressees, load_agreements, load_contracts, parse_instant

ROOT = Path(__file__).resolve().parents[2] / "schemas"
AT_MS = parse_instant("2026-06-01T12:00:00Z")
GRANT: dict[str, Any] = {
    "subject": "nino:NC424242A",
    "subscriber": "council-leeds",
    "purpose": "housing-support",
    "categories": ["identity", "contact"],
    "state": "WITHDRAWN",
}
CANARY = "nino-NC424242A"


@cache
def rules() -> Rules:
    contracts = load_contracts(ROOT)
    return Rules(contracts, load_agreements(ROOT / "agreements", contracts), Keys(b"tests"))


def line(**changes: object) -> bytes:
    event = {"specversion": "1.0", "id": "1", "source": "urn:gov:consent-service:web"}
    event |= {"type": "uk.gov.consent.decision.v1", "time": "2026-06-01T11:00:00Z"}
    return json.dumps(event | {"data": GRANT | changes}).encode()


def warned(written: bytes) -> list[tuple[str, str]]:
    addressees = Addressees(rules().agreements, rules().contracts)
    ready = make_ready(written, rules().contracts, AT_MS, addressees=addressees)
    assert isinstance(ready, Ready)
    return [tuple(each) for each in ready.warnings]


def test_a_statement_that_an_agreement_knows_is_no_matter():
    """C1: nothing is said of what works."""
    assert warned(line()) == []
    assert warned(line(categories=[])) == []


@pytest.mark.parametrize(
    ("changes", "path", "near"),
    [
        ({"subscriber": "council-leed"}, "$.data.subscriber", "did you mean council-leeds?"),
        ({"purpose": "housing-suport"}, "$.data.purpose", "did you mean housing-support?"),
        ({"categories": ["contacts"]}, "$.data.categories", "did you mean contact?"),
        ({"subscriber": "COUNCIL LEEDS"}, "$.data.subscriber", "there are "),
    ],
)
def test_a_name_that_no_agreement_knows_is_told_with_the_near_one(
    changes: dict[str, object], path: str, near: str
):
    """C1: a withdrawal with a typing error withdraws nothing, and whoever makes it should hear of it."""
    found = warned(line(**changes))
    assert path in [place for place, _ in found]
    assert any(near in problem for _, problem in found)


def test_no_value_of_the_event_is_in_a_warning():
    """A number that went into the wrong field is shown to nobody."""
    found = warned(line(subscriber=CANARY, purpose=CANARY, categories=[CANARY]))
    assert len(found) == 3
    assert CANARY not in str(found)


def test_a_purpose_of_another_subscriber_is_none_of_this_one():
    """C1: a consent names the two together."""
    theirs = {each.purpose for each in rules().agreements.values() if each.subscriber == "council-leeds"}
    others = sorted({each.purpose for each in rules().agreements.values()} - theirs)
    ((path, problem),) = warned(line(purpose=others[0]))
    assert path == "$.data.purpose"
    assert "of this subscriber" in problem


def test_without_agreements_nobody_is_told_anything():
    """A department may have contracts only, and then nothing is known of whom there is."""
    nobody = Addressees({}, rules().contracts)
    ready = make_ready(line(subscriber="x"), rules().contracts, AT_MS, addressees=nobody)
    assert isinstance(ready, Ready)
    assert ready.warnings == ()


def test_it_is_accepted_all_the_same_and_counted_under_its_own_reason():
    """E7: an agreement may come later; an operator sees how often it happens, by which term, and no name."""
    written = line(subscriber="council-leed")
    assert examine(written, rules(), AT_MS).reason is None
    assert examine(written, rules(), AT_MS).warnings
    headers = (("content-type", b"application/cloudevents+json"),)
    records = [
        Record("uk.gov.consent.decision.v1", 0, offset, AT_MS, None, value, headers)
        for offset, value in enumerate((written, line()))
    ]
    step = Intake(rules()).step({}.get, records, (), AT_MS)
    assert [out.topic for out in step.outgoing] == [ASSERTIONS_TOPIC] * 2
    counted = {(each.outcome, each.reason): each.times for each in step.outcomes}
    assert counted == {("accepted", "unknown-subscriber"): 1, ("accepted", ""): 1}
