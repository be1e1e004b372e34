"""The whole way through on a real Kafka: shuffled, repeated, killed in the middle, and equal to `replay`."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from statistics import median
from typing import Any

import pytest

from connectors.kafka_views import ReadRecord
from postroom.config import Settings
from processors import DEAD_LETTERS_TOPIC, DISCLOSURES_TOPIC, view_topic
from processors.replay import replay
from producers import disordered, lives, synthetic, to_lines
from tests.compiled.kit import built
from tests.flow.spine import ROOT, Installation, decided, installation, now_ms, registered
from tests.model import read_rules
from tests.nasty.broken import broken
from tests.nasty.teller import Knobs, Teller

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(600)]

CASES = ROOT / "tests" / "cases"
DAY_MS = 24 * 3600 * 1000
HOUR_MS = 3600 * 1000
KILLS = 4
WITHDRAWALS = 20
LARGEST = 900_000  # the broker's limit for a record is near E7's; the oversized are in test_bad_input
SHELLS = ("faust", "plain")


@pytest.mark.parametrize("shell", SHELLS)
def test_lives_through_kafka_and_kills_equal_replay(
    request: pytest.FixtureRequest, stack_settings: Settings, shell: str
):
    """About 2,000 events of synthetic departments, some of them bad; then withdrawals, with their times."""
    _lives_equal_replay(request, stack_settings, shell)


def test_compiled_workers_through_kills_equal_replay(
    request: pytest.FixtureRequest, stack_settings: Settings
):
    """The same with workers of compiled stages; `replay` reads the source (docs/adr/0079)."""
    built(stack_settings.cache_dir)
    _lives_equal_replay(request, stack_settings, "faust", POSTROOM_COMPILED="yes")


def _lives_equal_replay(
    request: pytest.FixtureRequest, stack_settings: Settings, shell: str, **environ: str
) -> None:
    events = disordered(lives(3, 90, now_ms() - DAY_MS), seed=3)
    lines = [line.rstrip(b"\n") for line in to_lines(events)]
    chance = Random(3)
    rules = read_rules(ROOT / "schemas", ROOT / "schemas" / "agreements")
    # "In future" must still be so when `replay` is asked, minutes after the broker's timestamp.
    bad = [broken(chance, chance.choice(events), rules, now_ms() + HOUR_MS) for _ in range(60)]
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as own:
        own.environ |= environ
        told = Told(own, lines + bad)
        told.disturbed(chance, shell)
        told.equals_replay()
        told.lines += withdrawals(own)
        told.equals_replay()


@pytest.mark.parametrize("shell", SHELLS)
def test_nasty_events_through_kafka_and_kills_equal_replay(
    request: pytest.FixtureRequest, stack_settings: Settings, shell: str
):
    """Few people and much contradiction: links, unlinks, supersessions, annulments, identifiers that move."""
    chance = Random(7)
    rules = read_rules(CASES / "contracts", CASES / "agreements")
    lines: list[bytes] = []
    for town in range(8):
        knobs = Knobs(pool=4, calm=town % 2 == 0, faults=0.05)
        lines += Teller(Random(town), rules, now_ms() - 10 * DAY_MS, knobs).lines(80)
    chance.shuffle(lines)
    with installation(request, stack_settings, CASES / "contracts", CASES / "agreements") as own:
        told = Told(own, lines)
        told.disturbed(chance, shell)
        told.equals_replay()


class Told:
    """What departments say to an installation, and what must come of it."""

    def __init__(self, own: Installation, lines: Sequence[bytes]) -> None:
        self.own = own
        self.lines = [line for line in lines if line.strip() and len(line) < LARGEST]

    def replayed(self) -> dict[str, Any]:
        own = self.own
        secret = own.settings.secret_bytes()
        return replay(self.lines, own.contracts, own.agreements, secret, now_ms())

    def publish(self, lines: Sequence[bytes], chance: Random) -> None:
        """Good lines by our command, or in structured mode by any client; only so those that the command
        refuses: bad ones, and a second event under one id.
        """
        own = self.own
        rejected = replay(lines, own.contracts, own.agreements, b"any", now_ms())["rejected"]
        bad, ours, names = {number for number, _ in rejected}, set(), set()
        for number, line in enumerate(lines, 1):
            if number in bad or chance.random() >= 0.8:
                continue
            event = json.loads(line)
            name = (event["source"], event["id"])
            if name not in names:
                names.add(name)
                ours.add(number)
        own.produce_structured(line for number, line in enumerate(lines, 1) if number not in ours)
        own.publish(line for number, line in enumerate(lines, 1) if number in ours)

    def disturbed(self, chance: Random, shell: str) -> None:
        """Publish in portions to two workers, of which one is killed in the middle of each."""
        own = self.own
        size = -(-len(self.lines) // (KILLS + 1))
        portions = [self.lines[start : start + size] for start in range(0, len(self.lines), size)]
        moving = [view_topic(name) for name in own.agreements]
        self.publish(portions[0], chance)
        for name in ("a", "b"):
            own.start(name, shell)
        with ThreadPoolExecutor(1) as beside:
            for kill, portion in enumerate(portions[1:]):
                before = own.ends(moving)
                publishing = beside.submit(self.publish, portion, chance)
                assert own.wait_moved(moving, before, 180), f"nothing moves\n{own.said('a')}\n{own.said('b')}"
                time.sleep(chance.uniform(0, 0.3))
                victim = "ab"[kill % 2]
                own.kill(victim)
                print(f"killed {victim} with {sum(own.unread().values())} records unread")
                publishing.result()
        seconds = own.settle()
        print(f"settled {seconds:.1f} s after the last kill; workers ended: {own.exits}")
        stopped = [each for each in own.exits if each[1] != -9]
        assert not stopped, f"a worker stopped by itself: {stopped}"

    def equals_replay(self) -> None:
        """Views, dead letters and the number of writes, as the same stages give them without Kafka."""
        own = self.own
        deadline = time.monotonic() + 20
        while True:  # a moment may pass in between: what acts by itself within a second (V8) has acted
            expected, records = self.replayed(), own.view_records()
            found = {name: latest(each) for name, each in records.items()}
            if found == expected["views"] or time.monotonic() > deadline:
                break
            time.sleep(1)
        assert found == expected["views"], _difference(found, expected["views"])
        assert any(found.values()), "a test of nothing"
        letters = Counter(letter["reason"] for letter in own.documents(DEAD_LETTERS_TOPIC))
        assert letters == Counter(reason for _, reason in expected["rejected"])
        written = written_once(records)
        entries = own.documents(DISCLOSURES_TOPIC)
        disclosed = Counter(
            (entry["agreement"], entry["key"], entry["sequence"], entry["kind"]) for entry in entries
        )
        assert disclosed == written, "one disclosure for each write, and no other (V5)"
        count = sum(len(views) for views in found.values())
        print(
            f"{len(self.lines)} lines, {letters.total()} dead letters, {count} views, {len(entries)} writes"
        )


def latest(records: Sequence[ReadRecord]) -> dict[str, Any]:
    """The last view under each key, without those retracted."""
    by_key = {record.key: record.value for record in records}
    return {key: value for key, value in sorted(by_key.items()) if value is not None}


def written_once(records: dict[str, list[ReadRecord]]) -> Counter[tuple[str, str, int, str]]:
    """Every write; each key's sequence rises by one from one (V3) and each changes its content (V1, V6)."""
    written: Counter[tuple[str, str, int, str]] = Counter()
    for agreement, each in records.items():
        by_key: dict[str, list[ReadRecord]] = defaultdict(list)
        for record in each:
            by_key[record.key].append(record)
        for key, history in by_key.items():
            sequences = [int(record.headers["postroom_sequence"]) for record in history]
            assert sequences == list(range(1, len(history) + 1)), (agreement, key, sequences)
            values = [None, *(record.value for record in history)]
            same = [n for n in range(1, len(values)) if values[n] == values[n - 1]]
            assert not same, f"{agreement} {key}: nothing changed at {same} of {len(history)}"
            for sequence, record in zip(sequences, history, strict=True):
                kind = "retraction" if record.value is None else "view"
                written[agreement, key, sequence, kind] += 1
    return written


def withdrawals(own: Installation) -> list[bytes]:
    """Citizens who consent and withdraw; print how long their retractions took, as a subscriber sees it (V7).

    From the broker's timestamp of the withdrawal to that of the retraction. Printed, not asserted: a machine
    that runs other tests is no measure.
    """
    hour_ago = now_ms() - HOUR_MS
    numbers = [synthetic.nhs_number(240_000 + serial) for serial in range(WITHDRAWALS)]
    known = [registered(nhs, hour_ago) for nhs in numbers]
    granted = [decided(nhs, "GRANTED", hour_ago) for nhs in numbers]
    withdrawn = [decided(nhs, "WITHDRAWN", now_ms()) for nhs in numbers]
    own.publish(known + granted)
    own.settle()
    own.publish(withdrawn)
    own.settle()
    at = {
        headers["ce_id"]: record.timestamp_ms
        for record in own.read("uk.gov.consent.decision.v1")
        if (headers := {name: value.decode() for name, value in record.headers}).get("ce_id")
    }
    took = sorted(
        record.timestamp_ms - at[entry["cause"]["id"]]
        for record in own.read(DISCLOSURES_TOPIC)
        if (entry := json.loads(record.value or b"{}"))["kind"] == "retraction"
        and entry["cause"]["id"].startswith("withdrawn-")
    )
    assert len(took) == WITHDRAWALS, f"{len(took)} retractions of {WITHDRAWALS} withdrawals"
    print(f"withdrawal to retraction, ms: median {median(took)}, greatest {took[-1]}, of {len(took)}")
    return [*known, *granted, *withdrawn]


def _difference(found: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> str:
    """Which views differ, by agreement and key."""
    wrong = []
    for name in sorted(expected):
        one, other = found[name], expected[name]
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                wrong.append(f"{name} {key}\n  kafka:  {one.get(key)}\n  replay: {other.get(key)}")
    return f"{len(wrong)} views differ\n" + "\n".join(wrong[:6])
