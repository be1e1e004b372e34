"""The history checker on what the stages write: it is right, and each fault put into it is found."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from processors.history import Anomaly, Extent, History, Stretch, Verdict
from processors.rules import Keys, Limits, Rules
from processors.stage import Record
from producers import disordered, lives, to_lines
from schemas import format_instant, load_agreements, load_contracts, parse_instant, view_schema
from tests.backbone import Backbone
from tests.core.history_faults import FAULTS, Inject
from tests.core.test_house import ROOT
from tests.nasty import nasty
from tests.nasty.generate import CASES
from tests.nasty.stages import limits_of, loaded
from tests.simulation.test_replay_equals_model import event as line_of

CONTRACTS = load_contracts(ROOT / "schemas")
AGREEMENTS = load_agreements(ROOT / "schemas" / "agreements", CONTRACTS)
AT_MS = parse_instant("2026-06-01T12:00:00Z")
DAY_MS = 24 * 3600 * 1000
SEEDS = range(2)
ALL = 1_000_000
MAY_BE_NONE = {"events not yet processed", "views on their way"}


def ruled(contracts: Any, agreements: Any, secret: bytes, limits: Limits) -> Rules:
    """Rules whose views carry schema ids, as in production."""
    ids = {name: number for number, name in enumerate(sorted(agreements), 1)}
    return Rules(contracts, agreements, Keys(secret), limits, ids)


def judged(rules: Rules, records: list[Record], extent: Extent, at_ms: int, replay_max: int = ALL) -> Verdict:
    """What the checker says, the replay included unless it is left out."""
    schemas = {
        number: view_schema(rules.agreements[name], rules.contracts)
        for name, number in rules.view_schema_ids.items()
    }
    history = History(extent, rules, schemas.get, replay_max)
    for record in records:
        history.take(record)
    return history.finish(at_ms)


def told() -> Backbone:
    """Lives, and then citizens who take back what they granted, acknowledged by the subscribers."""
    rules = ruled(CONTRACTS, AGREEMENTS, b"secret", Limits())
    backbone = Backbone(rules, AT_MS, partitions=2)
    events = disordered(lives(3, 16, AT_MS), seed=3)
    lines = [line.rstrip(b"\n") for line in to_lines(events)]
    for start in range(0, len(lines), 25):
        backbone.publish(lines[start : start + 25])
        backbone.run(6)
    backbone.publish([b"not an event", *(line.replace(b'"time"', b'"when"') for line in lines[:2])])
    backbone.run()
    withdrawn = [json.loads(line) for line in lines if b"consent.decision" in line and b"GRANTED" in line]
    for number, event in enumerate(withdrawn):
        event["data"] |= {"state": "WITHDRAWN", "categories": [], "valid_from": None, "valid_until": None}
        event |= {"id": f"withdrawn-{number}", "time": format_instant(backbone.now_ms)}
    backbone.publish(json.dumps(event).encode() for event in withdrawn)
    backbone.run()
    backbone.pass_time(DAY_MS)
    return backbone


@pytest.fixture(scope="module")
def good() -> Backbone:
    """A history as the stages write it; never changed."""
    return told()


def test_what_the_stages_write_has_no_finding(good: Backbone):
    """And it holds something of everything that is checked."""
    verdict = judged(good.rules, good.records(), good.extent(), good.now_ms)
    assert verdict.findings == []
    assert verdict.unchecked == []
    assert {name for name, count in verdict.checked.items() if not count} <= MAY_BE_NONE


def test_any_order_across_partitions_gives_the_same(good: Backbone):
    """Topic by topic, effects before causes: more is held, nothing else is found."""
    for topics in (good.topics, good.topics[::-1]):
        records = [r for t in topics for (topic, _), each in good.log.items() if topic == t for r in each]
        assert judged(good.rules, records, good.extent(), good.now_ms).findings == []


@pytest.mark.parametrize("seed", range(12))
def test_nasty_histories_have_no_finding(seed: int):
    """Links and unlinks, keys that move, supersessions, annulments: all that the rules can do."""
    question = nasty(seed, 100)
    rules = ruled(*loaded(question.contracts, question.agreements), question.secret, limits_of(question))
    backbone = Backbone(rules, question.at_ms, seed=seed)
    backbone.live_through([line for line in question.lines if line.strip()])
    backbone.pass_time(DAY_MS)
    assert judged(rules, backbone.records(), backbone.extent(), backbone.now_ms).findings == []


@pytest.mark.parametrize("steps", range(0, 60, 6))
def test_a_backbone_that_is_still_at_work_has_no_finding(steps: int):
    """Stopped anywhere between two transactions: what is on its way is neither lost nor different."""
    backbone = told_partly(steps)
    verdict = judged(backbone.rules, backbone.records(), backbone.extent(), backbone.now_ms)
    assert verdict.findings == []
    assert verdict.checked["events not yet processed"] or verdict.checked["views on their way"] or steps > 40


def told_partly(steps: int) -> Backbone:
    """A small world that has stepped so often since its last events."""
    rules = ruled(CONTRACTS, AGREEMENTS, b"secret", Limits())
    backbone = Backbone(rules, AT_MS, partitions=2, seed=steps)
    lines = [line.rstrip(b"\n") for line in to_lines(disordered(lives(5, 12, AT_MS), seed=3))]
    backbone.publish(lines[:-40])
    backbone.run()
    backbone.publish(lines[-40:])
    backbone.run(steps)
    return backbone


def test_a_crowd_that_is_still_being_told_of_a_protection_is_on_its_way():
    """C3, adr/0013: persons tells a hub's neighbours in steps; until the last, their views differ rightly."""
    small = Limits(hub_edges=2, page_edges=1, told_a_step=1)
    rules = ruled(*loaded(CASES / "contracts", CASES / "agreements"), b"secret", small)
    backbone = Backbone(rules, AT_MS)
    home = {"lines": [], "postcode": "x", "authority": "york"}
    lives_there = [
        {"account": f"{10_000_000 + n}", "nino": "AB123456C", "address": home, "moved_in": "2026-01-01"}
        for n in range(9)
    ]
    backbone.publish(
        line_of(lived["account"], "council-york", "uk.gov.housing.address.v1", lived) for lived in lives_there
    )
    backbone.run()
    protected = {"subject": "nino:AB123456C", "state": "RESTRICTED"}
    backbone.publish([line_of("r", "police", "uk.gov.protection.restriction.v1", protected)])
    backbone.run(half_done=True)
    verdict = judged(rules, backbone.records(), backbone.extent(), backbone.now_ms)
    assert (verdict.findings, verdict.checked["views on their way"]) == ([], 8)
    backbone.run()
    verdict = judged(rules, backbone.records(), backbone.extent(), backbone.now_ms)
    assert (verdict.findings, verdict.checked["views on their way"]) == ([], 0)


def test_a_moment_that_no_task_has_come_to_is_not_called_a_difference(good: Backbone):
    """V8 is not judged here: years later, with no worker, the views still show what was."""
    verdict = judged(good.rules, good.records(), good.extent(), good.now_ms + 3000 * DAY_MS)
    assert verdict.findings == []
    assert verdict.checked["views on their way"]


# -- and what is wrong


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inject", FAULTS, ids=lambda inject: inject.__name__)
def test_a_fault_put_into_it_is_found_by_its_name(good: Backbone, inject: Inject, seed: int):
    """Whichever record it hits."""
    anomaly, may_follow = FAULTS[inject]
    records = inject(good, Random(seed))
    extent = good.extent()
    ends = {(r.topic, r.partition): r.offset + 1 for r in records}
    grown = {place: max(end, ends.get(place, 0)) for place, end in good.ends.items()}
    extent = Extent({place: Stretch(0, end, end) for place, end in grown.items()}, extent.committed)
    replay_max = ALL if anomaly is Anomaly.VIEW_DIFFERS else 0
    found = set(judged(good.rules, records, extent, good.now_ms + 1000, replay_max).counts)
    assert anomaly in found
    assert found <= {anomaly, *may_follow}


def test_every_anomaly_is_put_into_it():
    """None is only ever found in histories made by hand."""
    assert {anomaly for anomaly, _ in FAULTS.values()} == set(Anomaly)
