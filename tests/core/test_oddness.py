"""A period without a moment in it is accepted, means what R4 and C1 make of it, and is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from processors import Keys, Rules
from processors.replay import run_lines
from processors.trial import examine
from producers import Ready, make_ready
from schemas import load_agreements, load_contracts, parse_instant
from tests.contracts_kit import DATE, NAME, field, optional, record, write
from tests.core.test_addressed import AT_MS, rules
from tests.trial_kit import PATH, TYPE, agreement

TIME = "2026-05-01T11:00:00Z"
CONSENT = {
    "subject": "nino:NC424242A", "subscriber": "council-leeds", "purpose": "housing-support",
    "categories": ["contact"], "state": "GRANTED",
}  # fmt: skip
AWARD = {"nino": "NC000017A", "claim_reference": "UC-99000017"} | {
    "award": {"benefit": "OTHER", "status": "IN_PAYMENT", "amount_pence": 1, "payment_period": "WEEKLY"}
}


def event(type_: str, source: str, data: dict[str, Any], **more: Any) -> bytes:
    said = {"specversion": "1.0", "id": "1", "source": source, "type": type_, "time": TIME} | more
    return json.dumps(said | {"data": data}).encode()


def consent(**more: Any) -> bytes:
    return event("uk.gov.consent.decision.v1", "urn:gov:consent-service:web", CONSENT | more)


def award(**more: Any) -> bytes:
    return event("uk.gov.benefits.award.v1", "urn:gov:dwp:universal-credit", AWARD | more)


def told(line: bytes) -> list[str]:
    """What `publish` warns of; `contract test` says the same, and takes it."""
    ready = make_ready(line, rules().contracts, AT_MS)
    assert isinstance(ready, Ready)
    verdict = examine(line, rules(), AT_MS)
    assert (verdict.reason, verdict.warnings) == (None, ready.warnings)
    assert "2026" not in str(ready.warnings)  # no value of the event
    return [f"{path}: {problem}" for path, problem in ready.warnings]


@pytest.mark.parametrize(
    "line",
    [
        consent(),
        consent(valid_until="2026-05-01"),
        consent(valid_from="2026-06-01", valid_until="2026-06-01"),
        consent(valid_from="2020-06-01", valid_until="2027-06-01"),
        consent(state="WITHDRAWN", valid_from="2026-06-02", valid_until="2026-06-01"),
        award(award_starts="2026-06-01", award_ends="2026-06-01"),
        award(award_starts="2010-06-01", award_ends="2011-06-01"),
    ],
)
def test_a_period_with_a_moment_in_it_is_no_matter(line: bytes):
    """§1: an end that is a date is the last day; C1: of other states than GRANTED it is ignored."""
    assert told(line) == []


@pytest.mark.parametrize(
    "line",
    [
        consent(valid_from="2026-06-02", valid_until="2026-06-01"),
        consent(valid_until="2026-04-30"),
        consent(valid_from="2020-01-01", valid_until="2026-04-30"),
    ],
)
def test_a_consent_that_ends_before_it_begins_is_told_to_be_never_in_force(line: bytes):
    """C1: in force from max(time, valid_from) until before its end."""
    [said] = told(line)
    assert said.startswith("$.data.valid_until: it ends before it begins, so this consent is never in force")


def test_a_fact_that_ends_before_it_begins_is_told_to_hold_at_no_moment():
    """R4: it is the register's greatest, and has ended."""
    [said] = told(award(award_starts="2026-06-02", award_ends="2026-06-01"))
    assert said.startswith("$.data.award_ends: it ends before it begins, so it holds at no moment")
    assert "begins at `time`" not in said


def test_a_fact_that_says_no_beginning_begins_when_it_was_recorded(made: Rules):
    """R1: `effective_at` is `time` then, and the warning says why the period is empty."""
    [[path, problem]] = examine(named("Ada", until="2026-04-30"), made, AT_MS).warnings
    assert path == "$.data.until"
    assert problem.endswith("nothing says from when, so it begins at `time`")
    assert examine(named("Ada", until="2026-05-01"), made, AT_MS).warnings == ()


def test_an_empty_period_ends_what_was_said_before(made: Rules):
    """R4: as the warning says, the earlier value is the current one no more; nothing of the later is seen."""
    first = named("Ada", since="2026-01-01")
    void = named("Grace", id="2", since="2026-03-02", until="2026-03-01")
    assert views([first], made) == [{"name": "Ada"}]
    assert views([void], made) == []
    assert views([first, void], made) == views([void, first], made) == []
    assert views([first, void], made, "2026-03-01T12:00:00Z") == [{"name": "Ada"}]


@pytest.fixture
def made(tmp_path: Path) -> Rules:
    """A contract whose period may lack its beginning, and an agreement that asks nothing of anybody."""
    dates = field("since", optional(DATE), {"term": "effective"}, default=None)
    end = field("until", optional(DATE), {"term": "until"}, default=None)
    contracts = load_contracts(write(tmp_path / "contracts", {PATH: record(NAME, dates, end)}))
    agreement(tmp_path / "agreements", "leeds-power", basis="public_task", gateway="Libraries Act, s 7")
    return Rules(contracts, load_agreements(tmp_path / "agreements", contracts), Keys(b"tests"))


def named(name: str, **more: Any) -> bytes:
    data = {"nino": "NC123456C", "name": name} | {k: v for k, v in more.items() if k != "id"}
    return event(TYPE, "urn:gov:dwp:cards", data, id=more.get("id", "1"), time="2026-05-01T11:00:00Z")


def views(lines: list[bytes], made: Rules, at: str = "2026-06-01T12:00:00Z") -> list[Any]:
    fresh = [line.replace(TIME.encode(), b"2026-02-01T11:00:00Z") for line in lines]
    return [*run_lines(fresh, made, parse_instant(at)).pipeline.views()["leeds-power"].values()]
