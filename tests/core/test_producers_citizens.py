"""Synthetic departments: the same seed tells the same lives, and every event is one that intake accepts."""

import json
from collections import Counter, defaultdict
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers import Event, Ready, disordered, in_order_of_time, lives, make_ready, synthetic
from schemas import Contracts, load_agreements, load_contracts, parse_instant

ROOT = Path(__file__).resolve().parents[2]
UNTIL = parse_instant("2026-11-23T10:00:00Z")
CITIZENS = 600


@cache
def contracts() -> Contracts:
    return load_contracts(ROOT / "schemas")


@cache
def country() -> tuple[Event, ...]:
    return tuple(lives(7, CITIZENS, UNTIL))


def of_type(fact: str) -> list[Event]:
    return [event for event in country() if event["type"] == f"uk.gov.{fact}.v1"]


def test_the_same_seed_tells_the_same_lives():
    """A failure is replayed by its seed."""
    assert list(lives(7, 20, UNTIL)) == list(lives(7, 20, UNTIL))
    assert list(lives(7, 20, UNTIL)) != list(lives(8, 20, UNTIL))


def test_more_citizens_do_not_change_the_others():
    """A larger country begins with the same people."""
    small = list(lives(7, 20, UNTIL))
    assert list(lives(7, 30, UNTIL))[: len(small)] == small


def test_every_event_is_ready_to_publish():
    """Owner, contract, identifiers with their check digits and times are all in order (E7)."""
    for event in country():
        answer = make_ready(json.dumps(event).encode(), contracts(), UNTIL)
        assert isinstance(answer, Ready), (event["type"], answer)


def test_an_event_id_is_used_once_by_its_source():
    """(source, id) identifies an event (E1)."""
    ids = Counter((event["source"], event["id"]) for event in country())
    assert max(ids.values()) == 1


def test_time_ends_when_it_is_told_to_and_a_citizen_lives_forward():
    """No event is recorded after the given instant; each citizen's events are in the order of their time."""
    by_citizen: dict[str, list[int]] = defaultdict(list)
    for event in country():
        by_citizen[event["id"].split("-")[-2]].append(parse_instant(event["time"]))
    assert len(by_citizen) == CITIZENS
    for times in by_citizen.values():
        assert times == sorted(times)
        assert times[-1] <= UNTIL


def test_every_contract_of_the_demo_is_used():
    """A contract that no life ever needs would not be tried by anything; those of the canary and of GOV.UK
    services are tried by their own tests.
    """
    others = ("uk.gov.canary.", "uk.gov.payments.", "uk.gov.identity.contact-details.")
    tried_elsewhere = {type_ for type_ in contracts().by_type if type_.startswith(others)}
    assert {event["type"] for event in country()} == set(contracts().by_type) - tried_elsewhere


@pytest.mark.parametrize(
    ("fact", "field", "values"),
    [
        ("consent.decision", "state", {"GRANTED", "PAUSED", "WITHDRAWN"}),
        ("consent.objection", "state", {"OBJECTED", "LIFTED"}),
        ("consent.restriction", "state", {"RESTRICTED", "LIFTED"}),
        ("consent.enrolment", "state", {"ENROLLED", "ENDED"}),
    ],
)
def test_every_decision_is_taken_and_taken_back(fact: str, field: str, values: set[str]):
    """Each state of §5 occurs."""
    assert {event["data"][field] for event in of_type(fact)} == values


def test_somebody_gives_withdraws_and_gives_again():
    """The way of a consent that the rules are about (C1)."""
    states: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in of_type("consent.decision"):
        states[event["id"].split("-")[-2], event["data"]["purpose"]].append(event["data"]["state"])
    assert any(told[:3] == ["GRANTED", "WITHDRAWN", "GRANTED"] for told in states.values())


def test_consents_and_enrolments_name_agreements_that_exist():
    """What citizens decide about is what the demo shares."""
    agreements = load_agreements(ROOT / "schemas" / "agreements", contracts())
    asked = {(agreement.subscriber, agreement.purpose) for agreement in agreements.values()}
    for event in of_type("consent.decision"):
        assert (event["data"]["subscriber"], event["data"]["purpose"]) in asked
    assert {event["data"]["agreement"] for event in of_type("consent.enrolment")} <= set(agreements)


def test_a_wrong_link_is_a_neighbours_number_and_is_taken_apart():
    """Somebody else's identifier, not an invented one; an unlink follows for most."""
    nhs = {event["data"]["nhs_number"].replace(" ", "") for event in of_type("health.registration")}
    wrong = [event for event in of_type("matching.link") if event["data"]["other"].startswith("nhs:")]
    assert wrong
    assert sum(event["data"]["other"].removeprefix("nhs:") in nhs for event in wrong) >= len(wrong) - 1
    pairs = {(e["data"]["nino"], e["data"]["other"]) for e in of_type("matching.unlink")}
    assert pairs
    assert pairs <= {(e["data"]["nino"], e["data"]["other"]) for e in of_type("matching.link")}


def test_an_annulment_names_an_earlier_event_of_its_source():
    """R3: the same source, the same subject."""
    deaths = {(event["source"], event["id"]): event for event in of_type("civil.death")}
    annulments = of_type("corrections.annulment")
    assert annulments
    for event in annulments:
        wrong = deaths[event["source"], event["data"]["event"]]
        assert event["data"]["subject"] == "nhs:" + wrong["data"]["nhs_number"].replace(" ", "")
        assert parse_instant(event["time"]) >= parse_instant(wrong["time"])


def test_a_life_ends_with_death():
    """Nobody moves, works or marries after a death that was not annulled."""
    annulled = {event["data"]["event"] for event in of_type("corrections.annulment")}
    died = {
        event["id"].split("-")[-2]: event["data"]["date_of_death"]
        for event in of_type("civil.death")
        if event["id"] not in annulled and not event["data"]["entry_number"].endswith("X")
    }
    assert died
    for event in of_type("local.address-change"):
        on = died.get(event["id"].split("-")[-2])
        assert on is None or event["data"]["moved_in"] <= on + "-31"


def test_citizens_move_between_the_two_councils():
    """The same person has an account in each."""
    homes: dict[str, set[str]] = defaultdict(set)
    for event in of_type("local.address-change"):
        homes[event["id"].split("-")[-2]].add(event["source"])
    assert any(len(councils) == 2 for councils in homes.values())


def test_disorder_changes_neither_the_events_nor_what_is_among_them():
    """Shuffled and repeated, but nothing lost and nothing new (R6)."""
    told = list(country())[:500]
    mixed = disordered(told, seed=1, duplicates=0.3)
    assert len(mixed) > len(told)
    assert mixed != told
    assert {json.dumps(event) for event in mixed} == {json.dumps(event) for event in told}
    assert disordered(told, seed=1, duplicates=0.3) == mixed


def test_the_order_of_time_is_one_of_the_whole_country():
    """For those who want to watch a country live."""
    times = [parse_instant(event["time"]) for event in in_order_of_time(country())]
    assert all(earlier <= later for earlier, later in pairwise(times))


@pytest.mark.parametrize("citizens", [-1, synthetic.CITIZENS_MAX + 1])
def test_more_citizens_than_identifiers_are_refused(citizens: int):
    """The ranges for tests are finite."""
    with pytest.raises(ValueError, match="citizens"):
        next(lives(1, citizens, UNTIL))


def test_a_window_before_2000_is_refused():
    """Intake takes nothing that was recorded before 2000 (E7)."""
    with pytest.raises(ValueError, match="2000"):
        next(lives(1, 1, parse_instant("2004-01-01T00:00:00Z")))


SERIALS = st.integers(0, synthetic.CITIZENS_MAX - 1)


@given(SERIALS, SERIALS)
def test_no_two_citizens_share_an_identifier(one: int, other: int):
    """Every identifier is canonical and belongs to its serial alone (I1)."""
    born = date(1987, 4, 30)

    def identifiers(serial: int) -> set[str]:
        canonical = contracts().schemes.canonical
        return {
            canonical("nhs", synthetic.nhs_number(serial)),
            canonical("nhs", synthetic.nhs_number(serial, second=True)),
            canonical("nino", synthetic.nino(serial)),
            canonical("utr", synthetic.utr(serial)),
            canonical("driver", synthetic.driver_number(serial, "Didot", born, woman=True)),
            canonical("passport", synthetic.passport_number(serial)),
            canonical("onelogin", synthetic.onelogin_subject(serial)),
            canonical("ctax", synthetic.council_tax_account(serial, "leeds")),
            canonical("ctax", synthetic.council_tax_account(serial, "york")),
        }

    assert len(identifiers(one)) == 9
    if one != other:
        assert not identifiers(one) & identifiers(other)


@given(SERIALS)
def test_synthetic_numbers_come_from_ranges_for_tests(serial: int):
    """Nobody's number: 999 for the NHS, NC for National Insurance."""
    assert synthetic.nhs_number(serial).startswith("999")
    assert synthetic.nino(serial).startswith("NC")
    assert "synthetic" in synthetic.onelogin_subject(serial)
