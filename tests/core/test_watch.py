"""What status and watch say of a snapshot: ready or why not, and every panel with its numbers."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from connectors import Stack, Trouble
from connectors.kafka_access import KafkaAccess
from connectors.kafka_groups import GroupFacts
from connectors.kafka_reader import TopicReader
from connectors.metrics_reader import Sample
from connectors.stack import PartStatus
from postroom.commands.status import document
from postroom.figures import greatest, spread, sums
from postroom.snapshot import TAIL_OFFSETS_MAX, Looking, Snapshot, StageFigures
from postroom.watch_screen import screen
from processors.dead_letters import Decision, Letter, Result, Standing
from processors.messages import Owed
from processors.obligations import Obligation
from schemas import load_contracts

NOW_MS = 1_780_000_000_000
HOUR_MS = 3_600_000
WHERE = [("t", number) for number in range(3)]
CONTRACTS = load_contracts(Path(__file__).resolve().parents[2] / "schemas")
STAGES = ("intake", "identity", "persons", "record", "obligations")
RETRACTION = "postroom_withdrawal_to_retraction_seconds"


def obligation(number: int, deadline_ms: int, done: bool = False) -> Obligation:
    """One that the council owes."""
    owed = Owed(f"o-{number}", "council-leeds", "leeds-housing", "s-1", ("name",), NOW_MS, deadline_ms)
    return Obligation(f"o-{number}", owed, {"council-leeds": NOW_MS} if done else {})


def buckets(name: str, *counts: tuple[float, int], process: str = "a") -> list[Sample]:
    """A histogram of one process, as it is told."""
    return [Sample(f"{name}_bucket", {"le": str(le), "stage": process}, count) for le, count in counts]


READY = Snapshot(
    NOW_MS,
    [PartStatus("kafka", "running"), PartStatus("registry", "running")],
    [StageFigures(name, "Stable", 2, 7, None, 120.0) for name in STAGES],
    [Standing(Letter("t", 0, 1, NOW_MS - HOUR_MS, "oversized"))],
    [obligation(1, NOW_MS + 1), obligation(2, NOW_MS - 1), obligation(3, NOW_MS - 1, done=True)],
    Counter({"hub": 2}),
    [
        *buckets(RETRACTION, (0.5, 90), (1.0, 98), (2.5, 100), (math.inf, 100)),
        Sample("postroom_views_total", {"agreement": "leeds", "change": "written", "reason": ""}, 5.0),
        Sample("postroom_views_total", {"agreement": "leeds", "change": "retracted", "reason": "ended"}, 3.0),
        Sample("postroom_decisions_total", {"agreement": "leeds", "outcome": "denied", "reason": "x"}, 11.0),
        Sample("postroom_lag_seconds", {"stage": "record", "partition": "0"}, 1.5),
        Sample("postroom_lag_seconds", {"stage": "record", "partition": "1"}, 0.0),
        Sample("postroom_restore_progress_ratio", {"stage": "record", "partition": "0"}, 0.25),
        Sample("postroom_restore_progress_ratio", {"stage": "record", "partition": "1"}, 1.0),
    ],
)


def shown(found: Snapshot) -> str:
    """The screen as text."""
    out = StringIO()
    Console(file=out, width=120).print(screen(found))
    return out.getvalue()


def test_a_snapshot_is_one_object_for_scripts():
    """The names do not change: scripts rest on them."""
    assert document(READY) | {"stack": [], "stages": []} == {
        "ready": True,
        "waiting_for": [],
        "stack": [],
        "stages": [],
        "dead_letters": {"open": 1, "oldest_s": 3600},
        "obligations": {"open": 1, "overdue": 1},
        "disputes": 2,
        "secret": None,
        "hints": [],
    }


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (replace(READY, parts=[PartStatus("kafka", "dead")]), "kafka is dead"),
        (replace(READY, stages=[StageFigures("record", "Empty", 0, 0)]), "no worker runs record"),
        (replace(READY, stages=[StageFigures("record", "PreparingRebalance", 1, 0)]), "anew"),
        (replace(READY, problems=["there is no such topic"]), "no such topic"),
    ],
)
def test_what_is_not_ready_says_why(changed: Snapshot, why: str):
    """On the screen and for scripts: not a colour alone."""
    told = document(changed)
    assert not told["ready"]
    assert why in "".join(told["waiting_for"])
    assert "not ready" in shown(changed)
    assert why in shown(changed)


def test_the_screen_has_promises_flow_consent_letters_and_obligations():
    """The five questions of somebody who was woken, with their numbers."""
    told = shown(READY)
    for words in ("98.00%", "2.5 s", "1.5 s", "25%", "120", "oversized", "1 h old", "council-leeds", "11"):
        assert words in told, words


def test_workers_of_other_contracts_are_told_and_their_own_topics_are_no_matter():
    """Their shell's topics are not ours to compare; nor is what is not made yet, or read now."""
    looking = Looking(Stack(KafkaAccess("127.0.0.1:1"), "", local=True), CONTRACTS, {})
    wanted = frozenset(looking._groups["postroom.intake"])
    gone = next(topic for topic in sorted(wanted) if topic.startswith("uk.gov."))
    told = []
    made = {(topic, 0): 0 for topic in wanted}
    for reads, ends in (
        (frozenset[str](), made),
        (wanted | {"postroom.intake-__assignor-__leader"}, made),
        (wanted - {gone}, {where: 0 for where in made if where[0] != gone}),
        (wanted - {gone}, made),
    ):
        facts = GroupFacts("postroom.intake", "Stable", reads=reads, ends=ends)
        looking._before = (0.0, {"postroom.intake": facts})
        told.append(looking._hints())
    assert told[:3] == [[], [], []]
    [hint] = told[3]
    assert (
        "the workers of intake run other contracts than those here: they leave out 1 topic of these" in hint
    )
    found = replace(READY, hints=[hint])
    assert document(found)["hints"] == [hint]
    assert document(found)["ready"], "it may be meant so, and scripts wait for workers, not for files"


def test_an_idle_stage_has_nothing_to_go_whatever_its_offsets_say(monkeypatch: pytest.MonkeyPatch):
    """Each transaction leaves a marker behind the last record: four partitions showed "at most 4" for ever.
    What cannot be counted, because it is much, slow, or not for this user to read, is told as a bound.
    """
    asked: list[object] = []
    answer: list[dict[tuple[str, int], int] | None] = [{("t", 0): 0, ("t", 1): 0}]

    def count(_: object, tails: object) -> dict[tuple[str, int], int] | None:
        asked.append(tails)
        return answer[0]

    monkeypatch.setattr(TopicReader, "count", count)
    looking = Looking(Stack(KafkaAccess("127.0.0.1:1"), "", local=True), CONTRACTS, {})
    idle = GroupFacts(
        "g", "Stable", lag={("t", 0): 1, ("t", 1): 3, ("t", 2): 0}, ends=dict.fromkeys(WHERE, 9)
    )
    assert looking._waiting(idle) == 0
    assert asked == [{("t", 0): (8, 9), ("t", 1): (6, 9)}]
    answer[0] = None
    assert looking._waiting(idle) is None
    much = replace(idle, lag={("t", 0): TAIL_OFFSETS_MAX + 1})
    assert looking._waiting(much) is None
    assert looking._waiting(replace(idle, lag={("t", 2): 0})) == 0
    assert len(asked) == 2

    def refuse(*_: object) -> None:
        raise Trouble("not allowed")

    monkeypatch.setattr(TopicReader, "count", refuse)
    assert looking._waiting(idle) is None
    monkeypatch.setattr(TopicReader, "count", count)
    assert looking._waiting(idle) is None
    assert len(asked) == 2, "who was refused once does not ask again and again"
    told = [StageFigures("record", "Stable", 1, 4, waiting).to_go for waiting in (0, None)]
    assert told == ["0", "none, or at most 4"]
    assert StageFigures("record", "Stable", 1, 40_000).to_go == "at most 40,000"


def test_an_agreement_that_nothing_was_counted_of_takes_no_room_from_others():
    """Every agreement is told from a worker's beginning, at 0; there is room for a few on the screen."""
    idle = [
        Sample(
            "postroom_decisions_total", {"agreement": f"idle-{n:02}", "outcome": "denied", "reason": ""}, 0.0
        )
        for n in range(30)
    ]
    told = shown(replace(READY, samples=[*idle, *READY.samples]))
    assert "leeds" in told
    assert "idle" not in told


def test_the_screen_has_what_waits_in_states():
    """I6, R3, I3, V9: how much and how long, over all tasks; what nobody tells is a dash and no zero."""
    samples = [
        Sample("postroom_held_events", {"partition": "0"}, 3.0),
        Sample("postroom_held_events", {"partition": "1"}, 4.0),
        Sample("postroom_held_oldest_seconds", {"partition": "0"}, 2.0),
        Sample("postroom_held_oldest_seconds", {"partition": "1"}, 61.5),
        Sample("postroom_records_incomplete", {"partition": "0"}, 0.0),
        Sample("postroom_records_incomplete_oldest_seconds", {"partition": "0"}, 0.0),
        *(
            Sample("postroom_sweeping", {"stage": "record", "partition": p}, on)
            for p, on in (("0", 1.0), ("1", 0.0))
        ),
        *(Sample("postroom_sweep_keys_done", {"stage": "record", "partition": p}, 1_200.0) for p in "01"),
        *(Sample("postroom_state_keys", {"stage": "record", "partition": p}, 5_000.0) for p in "01"),
    ]
    told = [" ".join(line.split()) for line in shown(replace(READY, samples=samples)).splitlines()]
    for words in (
        "events held (I6) 7 61.5 s",
        "records incomplete (I6) 0 –",
        "annulments unmatched (R3) – –",
        "pairs disputed (I3) 2 –",
        "sweep of record (V9) 1,200 of 5,000 –",
    ):
        assert any(words in line for line in told), words


@pytest.mark.parametrize(
    ("last_ms", "said"), [(NOW_MS - 4_000, "4 s ago"), (NOW_MS - 2 * HOUR_MS, "2 h ago"), (0, "never")]
)
def test_the_canary_says_what_a_subscriber_sees_and_since_when(last_ms: int, said: str):
    """Each path by itself; without a canary there is no row."""
    path = {"path": "event_to_view"}
    bounds = [Sample("postroom_canary_seconds_bucket", path | {"le": le}, 7.0) for le in ("1.0", "+Inf")]
    other = {"path": "withdrawal_to_retraction", "le": "+Inf"}
    samples = [
        *bounds,
        Sample("postroom_canary_seconds_bucket", other, 900.0),
        Sample("postroom_canary_last_success_timestamp_seconds", path, last_ms / 1000),
    ]
    (line,) = [line for line in shown(replace(READY, samples=samples)).splitlines() if "canary" in line]
    assert f"100.00% 1 s 7 {said}" in " ".join(line.split())
    assert "canary" not in shown(READY)


def test_letters_that_were_dealt_with_are_told_beside_those_that_were_not():
    """E7: what was replayed or discarded is not open, and not forgotten."""
    letter = READY.letters[0].letter
    done = Standing(letter, (Decision(0, 0, NOW_MS, Result.REPLAYED, "t", 0, 1),))
    assert "1 replayed" in shown(replace(READY, letters=[done]))
    assert "none open" in shown(replace(READY, letters=[done]))
    assert "replayed" not in shown(READY)


def test_without_figures_the_rest_is_shown():
    """It works without Prometheus and without a worker's port; what is missing is said."""
    told = shown(replace(READY, samples=[], silent=["http://127.0.0.1:1/metrics"]))
    assert "no worker's figures" in told
    assert "no figures from http://127.0.0.1:1/metrics" in told
    assert "oversized" in told


def test_histograms_of_several_processes_are_one():
    """A promise is the installation's, not a process's (V7)."""
    samples = [
        *buckets("h", (0.5, 1), (1.0, 1), (math.inf, 1)),
        *buckets("h", (0.5, 0), (1.0, 1), (math.inf, 3), process="b"),
    ]
    found = spread(samples, "h")
    assert (found.count, found.within(1.0), found.quantile(0.5), found.quantile(0.99)) == (
        4,
        0.5,
        1.0,
        math.inf,
    )
    assert spread([], "h").quantile(0.99) is None
    assert spread([], "h").within(1.0) is None


def test_figures_are_summed_and_compared_by_label():
    """Counters add up over processes; of ages the greatest counts."""
    samples = [Sample("n", {"a": "x"}, 2.0), Sample("n", {"a": "x"}, 3.0), Sample("n", {"a": "y"}, 1.0)]
    assert sums(samples, "n", "a") == {("x",): 5, ("y",): 1}
    assert greatest(samples, "n", "a") == {"x": 3.0, "y": 1.0}
