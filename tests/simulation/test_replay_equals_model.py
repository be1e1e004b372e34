"""The stages answer every nasty set as the slow and obvious model does.

POSTROOM_SEEDS=N asks for N seeds from POSTROOM_FIRST_SEED on, POSTROOM_SEED_SECONDS=S for as many as fit in
that time for each test; without either there are as many as a quick test can afford, always the same. A seed
that fails is shrunk and printed as the content of a case directory.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from tests.model import Limits
from tests.nasty import NastySet, case_text, nasty, shrunk, stages
from tests.nasty.pools import fresh_value
from tests.nasty.worlds import make_world

AT = "2026-06-01T12:00:00Z"
QUICK_SEEDS = 150
QUICK_SECONDS = 60.0
UNLIMITED = 1_000_000
FIRST = int(os.environ.get("POSTROOM_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("POSTROOM_SEEDS", "0"))
SECONDS = float(os.environ.get("POSTROOM_SEED_SECONDS", "0"))


def seeds() -> Iterator[int]:
    """The seeds asked for; without a number as many as fit in the time. Says which they were."""
    deadline = time.monotonic() + (SECONDS or QUICK_SECONDS)
    limit = SEEDS or (UNLIMITED if SECONDS else QUICK_SEEDS)
    asked = 0
    for seed in range(FIRST, FIRST + limit):
        if not SEEDS and time.monotonic() > deadline:
            break
        yield seed
        asked += 1
    print(f"\nasked {asked} seeds from {FIRST} on")


def assert_same(question: NastySet) -> None:
    """Fail with the smallest set in which the answers differ."""
    if not stages.differs(question):
        return
    small = shrunk(question, stages.differs)
    try:
        found = stages.by_stages(small)
    except Exception as error:
        found = repr(error)
    pytest.fail(case_text(small, stages.by_model(small), found), pytrace=False)


@pytest.mark.timeout(0 if SEEDS or SECONDS else 300)
def test_stages_equal_model_on_the_contracts_of_the_cases() -> None:
    """Every rule is hit because the limits are small (tests/nasty/coverage.py counts it)."""
    for seed in seeds():
        assert_same(nasty(seed, size=(30, 80, 160)[seed % 3]))


@pytest.mark.timeout(0 if SEEDS or SECONDS else 300)
def test_stages_equal_model_at_the_limits_of_the_design() -> None:
    """With the real constants persons grow larger, and only a crowd makes a hub."""
    for seed in seeds():
        assert_same(nasty(seed, size=(30, 80, 160)[seed % 3], limits=Limits()))


@pytest.mark.timeout(0 if SEEDS or SECONDS else 300)
def test_stages_equal_model_in_other_worlds(tmp_path: Path) -> None:
    """`--contracts` names any directory that follows the language."""
    for seed in seeds():
        contracts, agreements = make_world(seed, tmp_path / str(seed))
        limits = Limits() if seed % 2 else None
        assert_same(
            nasty(seed, size=(30, 80)[seed % 2], contracts=contracts, agreements=agreements, limits=limits)
        )


@pytest.mark.timeout(900)  # half a minute alone, minutes beside other work
def test_an_overgrown_component_is_cut_at_its_real_size() -> None:
    """I3: more than 4,096 edges, in a chain so that there is no hub; explicit ones remain."""
    rng = Random(4096)
    rules = stages.read(NastySet(0, (), AT).contracts, NastySet(0, (), AT).agreements)
    chain = list(dict.fromkeys(fresh_value(rng, "nino", rules.schemes) for _ in range(2_110)))
    lines = []
    for number, (left, right) in enumerate(pairwise(chain)):
        account = f"{10_000_000 + number}"
        lines += [lives_at(f"{account}-{nino}", account, nino) for nino in (left, right)]
        if number % 7 == 0:
            lines.append(linked(f"l{number}", left, account))
    rng.shuffle(lines)
    question = NastySet(0, tuple(lines), AT, limits=Limits())
    expected = stages.by_model(question)
    assert {reason for _, _, reason in expected["disputed"]} == {"overgrown"}
    assert stages.by_stages(question) == expected


def lives_at(name: str, account: str, nino: str) -> bytes:
    """A council says that an account is a person's: an edge that is not explicit."""
    data = {
        "account": account,
        "nino": nino,
        "address": {"lines": [], "postcode": "x"},
        "moved_in": "2026-01-01",
    }
    return event(name, "council-leeds", "uk.gov.housing.address.v1", data)


def linked(name: str, nino: str, account: str) -> bytes:
    """The same, explicitly."""
    return event(name, "dwp", "uk.gov.identity.link.v1", {"nino": nino, "other": f"ctax:{account}"})


def event(name: str, owner: str, kind: str, data: dict[str, object]) -> bytes:
    """An event line."""
    source, when = f"urn:gov:{owner}:main", "2026-02-01T00:00:00Z"
    envelope = {"specversion": "1.0", "id": name, "source": source, "type": kind, "time": when, "data": data}
    return json.dumps(envelope).encode()
