"""W1's programs agree with its oracle, in any order, without a broker."""

from __future__ import annotations

import random
import time

import pytest

from postroom.composition import load_rules_files
from processors.replay import replay
from schemas import load_contracts
from tests.bench.measure import BROKER, MACHINE, Measured, Program, Sample
from tests.bench.peers import fold
from tests.bench.w1.oracle import Oracle, Views, differences
from tests.bench.w1.terms import AGREEMENTS, AGREEMENTS_DIR, CATEGORIES, CONTRACTS, SCHEMAS, SPECIAL, TOPICS
from tests.bench.w1.workload import Event, events

COUNT = 3000
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def some() -> list[Event]:
    return list(events(COUNT))


@pytest.fixture(scope="module")
def wanted(some: list[Event]) -> Views:
    oracle = Oracle()
    for event in some:
        oracle.take(event)
    return oracle.views(NOW_MS)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_the_peers_fold_gives_the_oracles_views_in_any_order(some, wanted, seed) -> None:
    """The Python peers' one step, event by event, ends where the oracle does."""
    given = list(some)
    if seed is not None:
        random.Random(seed).shuffle(given)
    states: dict[bytes, fold.State] = {}
    found: Views = {agreement: {} for agreement in AGREEMENTS.values()}
    for event in given:
        state = states.setdefault(event.key, {})
        changes = fold.step(state, event.kind, event.data, event.time_ms, event.source, event.id, NOW_MS)
        for key, view in changes or ():
            agreement, _, citizen = key.partition("|")
            found[agreement].pop(citizen, None)
            if view is not None:
                found[agreement][citizen] = view
    assert not differences(wanted, found)


def test_our_stages_give_the_oracles_views(some, wanted) -> None:
    """What `postroom run` works by gives the same views under the same keys, and rejects what must be."""
    rules = load_rules_files(CONTRACTS, AGREEMENTS_DIR)
    answer = replay((event.line() for event in some), *rules, b"bench", NOW_MS)
    assert not differences(wanted, answer["views"])
    wrong = [[n, "identifier-invalid"] for n, event in enumerate(some, start=1) if event.citizen is None]
    assert answer["rejected"] == wrong
    assert wrong


def test_the_workload_meets_what_the_rules_distinguish(some, wanted) -> None:
    """Views come and go, grants lose to the five minutes, spellings differ, events come twice and late."""
    assert all(wanted.values())
    assert any(all(view.values()) for views in wanted.values() for view in views.values())
    assert len({event.id for event in some}) < len(some)
    assert any(event.citizen and event.data["nino"] not in event.citizen for event in some)
    decisions = [event.data for event in some if event.kind == "consent"]
    assert any(not each["categories"] and each["state"] == "GRANTED" for each in decisions)
    assert any(each["valid_until"] for each in decisions)
    assert any(each["valid_from"] for each in decisions)


def test_the_terms_are_those_of_the_contracts_and_agreements() -> None:
    """The peers take names from a table of constants; it says what the rules' files say."""
    contracts = load_contracts(CONTRACTS)
    _, agreements = load_rules_files(CONTRACTS, AGREEMENTS_DIR)
    assert set(contracts.by_type) == set(TOPICS.values())
    assert {CONTRACTS / each.path for each in contracts.by_type.values()} == set(SCHEMAS.values())
    assert {name: each.category for name, each in contracts.attributes.items()} == CATEGORIES
    assert [
        each.category for each in contracts.attributes.values() if each.sensitivity == "special-category"
    ] == [SPECIAL]
    assert {(each.subscriber, each.purpose): name for name, each in agreements.items()} == AGREEMENTS
    assert all(each.subject == "nino" for each in agreements.values())


@pytest.mark.parametrize("harm", ["missing", "too many", "different"])
def test_one_wrong_view_is_told_without_naming_anybody(wanted, harm) -> None:
    """The oracle notices each way of being wrong, and its words hold no identifier."""
    found = {name: dict(views) for name, views in wanted.items()}
    some = next(iter(found["bank-lending"]))
    if harm == "missing":
        del found["bank-lending"][some]
    elif harm == "too many":
        found["bank-lending"]["nino:ZY000000A"] = found["bank-lending"][some]
    else:
        found["bank-lending"][some] = {**found["bank-lending"][some], "address": "elsewhere"}
    (told,) = differences(wanted, found)
    assert f"1 {harm}" in told
    assert "nino:" not in told


def test_cpu_is_that_between_the_first_record_and_the_last_view() -> None:
    """Starting up and stopping count for nobody; between two samples it is taken in proportion."""
    program = Program("p", {"one": (), "two": ()}, "g", ("v",), "v")
    cpu = [(1000, 5.0, 1.0), (2000, 6.0, 1.0), (3000, 8.0, 2.0), (4000, 9.0, 9.0)]
    others = {BROKER: 0.0, MACHINE: 0.0}
    samples = [Sample(at, {"one": one, "two": two, **others}, 0.0, at) for at, one, two in cpu]
    measured = Measured(program, 4000, 0.0, 1500, 3000, samples, 1, {})
    assert measured.seconds == 1.5
    assert measured.start_cpu_s == 6.5
    assert measured.cpu_s("one") == 2.5
    assert measured.cpu_s() == 3.5
    assert measured.warm == (2000, 3.0)
