"""What the benchmark computes from what it saw, without a broker."""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from postroom.composition import load_rules_files
from processors.replay import replay
from producers import Ready, make_ready
from tests.bench import w2
from tests.bench.latency_events import WITHDRAWN, Told, numbers
from tests.bench.latency_live import Ledger, Shown, percentiles
from tests.bench.recovery import _caught_up
from tests.bench.w1.part import _with_ratios
from tests.bench.w1.programs import FAUST, QUIX
from tests.bench.w2_people import EVENTS_PER_PERSON, people


def told(number: int, part: str = "address") -> Told:
    return Told(number, "nino:AA000001A", part, "topic", b"", [])


def shown(appended_ms: int, seen_ms: float) -> Shown:
    return Shown(told(appended_ms), appended_ms, appended_ms, seen_ms)


def view(line1: int) -> dict[str, Any]:
    return {"address": {"line1": str(line1)}, "benefit": None, "practice": None}


def test_a_view_settles_its_facts_and_earlier_ones_and_no_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch writes the newest of two facts once: both have arrived then, a third has not."""
    ledger = Ledger(ground=None)  # type: ignore[arg-type]
    monkeypatch.setattr(ledger, "_decoded", json.loads)
    for number in (1, 2, 3):
        ledger.expect(told(number))
        ledger.appended_ms[f"nino:AA000001A-{number}"] = 100
    value = json.dumps(view(2)).encode()
    ledger.take(SimpleNamespace(records=deque([(b"nino:AA000001A", value, 150, 160.0)])))  # type: ignore[arg-type]
    assert [each.told.number for each in ledger.shown] == [1, 2]
    assert ledger.awaited == 1


def test_a_view_that_is_gone_settles_a_withdrawal_and_no_fact() -> None:
    """A retraction shows no number of its own."""
    assert numbers(None).keys() == {WITHDRAWN}
    assert numbers(view(7)) == {"address": 7}


def test_percentiles_are_told_only_where_there_are_enough() -> None:
    """A thousandth of a hundred latencies is nothing to speak of."""
    assert percentiles(range(100)) == {"p50_ms": 50, "p99_ms": 99, "p99.9_ms": None}
    assert percentiles([]) == {"p50_ms": None, "p99_ms": None, "p99.9_ms": None}


def test_a_ratio_is_to_the_peer_of_the_same_minutes() -> None:
    """The machine's pace changes: a row is held to the peer's runs next before and next after it."""
    figures = ((QUIX, 100.0), ("ours", 90.0), (QUIX, 80.0), ("later", 90.0), (FAUST, 450.0))
    rows = _with_ratios([{"program": name, "cpu_s_per_million": figure} for name, figure in figures])
    assert [row["cpu_of_quix"] for row in rows] == [1.0, 1.0, 1.0, 1.12, 5.62]
    assert [row["cpu_of_faust"] for row in rows] == [0.22, 0.2, 0.18, 0.2, 1.0]
    assert _with_ratios([{"program": QUIX, "note": "not run"}, {"program": "ours", "events_per_s": 5}])[
        1
    ] == {
        "program": "ours",
        "events_per_s": 5,
    }


def test_caught_up_is_when_the_last_late_event_was_seen() -> None:
    """Events seen promptly in between do not count: half of the partitions never stopped."""
    before = [shown(n, n + 50) for n in range(1_000)]
    after = [shown(1_500, 1_550), shown(1_500, 9_000), shown(9_100, 9_150), shown(12_000, 12_050)]
    row = _caught_up(before + after, killed_ms=1_400)
    assert row["seconds"] == 7.6
    assert row["worst_ms"] == 7_500
    assert "not caught up" not in row["note"]
    assert "not caught up" in _caught_up([*before, shown(1_500, 9_000)], killed_ms=1_400)["note"]


@pytest.mark.parametrize("identifiers", [2, 6])
def test_people_have_the_identifiers_that_they_are_said_to_have(identifiers: int, tmp_path: Path) -> None:
    """Events of both kinds pass their contracts, make one person of each, and a view that is waited for."""
    contracts, agreements = load_rules_files(w2.CONTRACTS, w2.agreements_of(tmp_path, 8))
    now_ms = time.time_ns() // 1_000_000
    lines = [json.dumps(event).encode() for event in people(3, identifiers)]
    assert len(lines) == 3 * EVENTS_PER_PERSON
    assert all(isinstance(make_ready(line, contracts, now_ms), Ready) for line in lines)
    answer = replay(iter(lines), contracts, agreements, b"bench", now_ms)
    assert [len(person) for person in answer["persons"]] == [identifiers] * 3
    assert sum(map(len, answer["views"].values())) == 3


@pytest.mark.parametrize("count", [1, 8, 100])
def test_so_many_agreements_are_in_force_together(count: int, tmp_path: Path) -> None:
    """Copies under other names pass the checks of agreements."""
    _, agreements = load_rules_files(w2.CONTRACTS, w2.agreements_of(tmp_path, count))
    assert len(agreements) == count
