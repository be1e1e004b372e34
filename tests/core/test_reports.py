"""What a department is told about its own events: annulments that find nothing, grants that
never stand, ids that are used again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from processors import REPORTS_TOPIC, Intake, Keys, Rules
from processors.identity import UNMATCHED_AFTER_MS, Identity
from processors.messages import ASSERTIONS_TOPIC, Said, encode
from processors.stage import Record, Step
from schemas import load_agreements, load_contracts, parse_instant

CASES = Path(__file__).parents[1] / "cases"
NOW_MS = parse_instant("2026-06-01T12:00:00Z")
NINO = b"nino:AB123456C"


@pytest.fixture(scope="module")
def rules() -> Rules:
    contracts = load_contracts(CASES / "contracts")
    return Rules(contracts, load_agreements(CASES / "agreements", contracts), Keys(b"tests"))


def event(id_: str, type_: str, source: str, time: str, **data: object) -> bytes:
    """One event as a line."""
    document = {"specversion": "1.0", "id": id_, "source": source, "type": type_, "time": time, "data": data}
    return json.dumps(document).encode()


def annulment(id_: str, of: str) -> bytes:
    type_, source = "uk.gov.corrections.annulment.v1", "urn:gov:dwp:main"
    return event(id_, type_, source, "2026-05-01T00:00:00Z", subject="nino:AB123456C", event=of)


def name(id_: str) -> bytes:
    data = {"nino": "AB123456C", "name": {"given": "A", "family": "B"}, "since": "2020-01-01"}
    return event(id_, "uk.gov.civil.name.v1", "urn:gov:dwp:main", "2026-04-01T00:00:00Z", **data)


def consent(id_: str, source: str, time: str, state: str, **about: object) -> bytes:
    data = {"subscriber": "dvla", "purpose": "renewal-reminders", "state": state} | about
    type_ = "uk.gov.consent.decision.v1"
    return event(id_, type_, source, time, subject="nino:AB123456C", **data)


class One:
    """One identifier's states, stepped by lines and by time."""

    def __init__(self, rules: Rules) -> None:
        self.intake, self.identity = Intake(rules), Identity(rules)
        self.states: dict[bytes, bytes] = {}
        self.wake_ms: int | None = None

    def step(self, *lines: bytes, now_ms: int = NOW_MS) -> list[dict[str, str]]:
        """Fold the lines, or wake without one; return the reports."""
        said = [self.intake.accept_json(line, now_ms) for line in lines]
        assert all(isinstance(each, Said) for each in said)
        batch = [Record(ASSERTIONS_TOPIC, 0, n, now_ms, NINO, encode(each)) for n, each in enumerate(said)]
        step: Step = self.identity.step(self.states.get, batch, [] if lines else [NINO], now_ms)
        state = step.states.get(NINO)
        if state is not None:  # else nothing changed
            self.states[NINO], self.wake_ms = state.body, state.wake_ms
        return [json.loads(out.value) for out in step.outgoing if out.topic == REPORTS_TOPIC and out.value]


def test_an_annulment_that_found_nothing_for_an_hour_is_reported_once(rules):
    """R3: it wakes by itself after an hour."""
    one = One(rules)
    assert one.step(annulment("x", of="n")) == []
    assert one.wake_ms == NOW_MS + UNMATCHED_AFTER_MS
    assert one.step(now_ms=one.wake_ms - 1) == []
    expected = {"report": "annulment-unmatched", "source": "urn:gov:dwp:main", "id": "n"}
    assert one.step(now_ms=NOW_MS + UNMATCHED_AFTER_MS) == [expected]
    assert one.step(now_ms=NOW_MS + 2 * UNMATCHED_AFTER_MS) == []


@pytest.mark.parametrize("first", ["annulment", "event"])
def test_an_annulment_that_finds_its_event_is_not_reported(rules, first):
    """R3: whether the event came before or comes after."""
    one = One(rules)
    lines = [annulment("x", of="n"), name("n")]
    for line in lines if first == "annulment" else reversed(lines):
        one.step(line)
    assert one.step(now_ms=NOW_MS + UNMATCHED_AFTER_MS) == []


@pytest.mark.parametrize("order", [1, -1])
def test_a_grant_that_never_stands_is_reported_to_its_source(rules, order):
    """C1: another source's withdrawal less than five minutes before it, in either order of arrival."""
    stop = consent("w", "urn:gov:dwp:main", "2026-05-01T10:00:00Z", "WITHDRAWN")
    grant = consent("g", "urn:gov:consent-hub:main", "2026-05-01T10:05:00Z", "GRANTED")
    one = One(rules)
    reports = [report for line in [stop, grant][::order] for report in one.step(line)]
    assert reports == [{"report": "consent-never-stands", "source": "urn:gov:consent-hub:main", "id": "g"}]


@pytest.mark.parametrize(
    ("source", "time"),
    [("urn:gov:dwp:main", "2026-05-01T10:05:00.001Z"), ("urn:gov:consent-hub:main", "2026-05-01T10:04:00Z")],
)
def test_a_grant_that_stands_is_not_reported(rules, source, time):
    """C1: five minutes later, or of the same source, the grant stands."""
    one = One(rules)
    one.step(consent("w", "urn:gov:consent-hub:main", "2026-05-01T10:00:00Z", "WITHDRAWN"))
    assert one.step(consent("g", source, time, "GRANTED")) == []


@pytest.mark.parametrize(
    ("granted", "stopped", "reported"),
    [
        ({"categories": ["contact"]}, {"categories": ["contact", "health"]}, True),
        ({"categories": ["contact"]}, {"categories": []}, True),
        ({"categories": []}, {"categories": ["contact"]}, True),
        ({"categories": ["contact"]}, {"categories": ["health"]}, False),
        ({"purpose": "another"}, {}, False),
        ({"subscriber": "another"}, {}, False),
    ],
)
def test_a_stop_defeats_only_what_it_covers(rules, granted, stopped, reported):
    """C1: the same subscriber, purpose and category, or all categories on either side."""
    one = One(rules)
    one.step(consent("w", "urn:gov:dwp:main", "2026-05-01T10:00:00Z", "PAUSED", **stopped))
    grant = consent("g", "urn:gov:consent-hub:main", "2026-05-01T10:01:00Z", "GRANTED", **granted)
    assert bool(one.step(grant)) is reported


def test_a_stop_at_the_same_moment_is_no_matter_of_five_minutes(rules):
    """C1: what is not earlier defeats a grant by itself, and its source can see that."""
    one = One(rules)
    one.step(consent("w", "urn:gov:dwp:main", "2026-05-01T10:00:00Z", "WITHDRAWN"))
    assert one.step(consent("g", "urn:gov:consent-hub:main", "2026-05-01T10:00:00Z", "GRANTED")) == []


def reused(id_: str) -> dict[str, str]:
    return {"report": "id-reused", "source": "urn:gov:dwp:main", "id": id_}


def test_an_id_that_comes_again_with_another_value_is_reported(rules: Rules):
    """R2: one of the two contents is lost, so its source is told; the same event again is no news (E1)."""
    one = One(rules)
    again = name("n-1").replace(b'"given": "A"', b'"given": "C"')
    assert one.step(name("n-1"), name("n-1")) == []
    assert one.step(name("n-1")) == []
    assert one.step(again) == [reused("n-1")]
    assert one.step(name("n-2")) == []


def test_an_id_that_comes_again_at_another_time_is_reported(rules: Rules):
    """R2: the time is content too; sent again an event keeps the time at which it was recorded (E1)."""
    one = One(rules)
    one.step(name("n-1"))
    assert one.step(name("n-1").replace(b"2026-04-01", b"2026-04-02")) == [reused("n-1")]


@pytest.mark.parametrize("second", [("WITHDRAWN", "2026-05-01"), ("GRANTED", "2026-05-02")])
def test_an_id_that_comes_again_with_another_statement_is_reported(rules: Rules, second: tuple[str, str]):
    """R2: of two statements both count, and whoever made them under one id is told."""
    state, day = second
    one = One(rules)
    first = consent("c-1", "urn:gov:dwp:main", "2026-05-01T00:00:00Z", "GRANTED")
    assert one.step(first) == []
    assert one.step(first) == []
    assert reused("c-1") in one.step(consent("c-1", "urn:gov:dwp:main", f"{day}T00:00:00Z", state))
