"""The stages answer every nasty set as the slow and obvious model does.

POSTROOM_SEEDS=N asks for N seeds from POSTROOM_FIRST_SEED on; without it there are as many as a quick test
can afford, always the same. A seed that fails is shrunk and printed as the content of a case directory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model import Limits
from tests.nasty import NastySet, case_text, nasty, shrunk
from tests.nasty.worlds import make_world

QUICK_SEEDS = 150
QUICK_SECONDS = 60.0
FIRST = int(os.environ.get("POSTROOM_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("POSTROOM_SEEDS", "0"))

stages = pytest.importorskip("tests.nasty.stages", reason="LOUD: processors.replay is not there yet")


def seeds() -> Iterator[int]:
    """The seeds asked for; of the quick ones as many as fit in the time."""
    deadline = time.monotonic() + QUICK_SECONDS
    for seed in range(FIRST, FIRST + (SEEDS or QUICK_SEEDS)):
        if not SEEDS and time.monotonic() > deadline:
            print(f"stopped before seed {seed}: time is up")
            return
        yield seed


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


@pytest.mark.timeout(0 if SEEDS else 300)
def test_stages_equal_model_on_the_contracts_of_the_cases() -> None:
    """Every rule is hit because the limits are small (tests/nasty/coverage.py counts it)."""
    for seed in seeds():
        print(f"seed {seed}")
        assert_same(nasty(seed, size=(30, 80, 160)[seed % 3]))


@pytest.mark.timeout(0 if SEEDS else 300)
def test_stages_equal_model_at_the_limits_of_the_design() -> None:
    """With the real constants persons grow larger, and only a crowd makes a hub."""
    for seed in seeds():
        print(f"seed {seed}")
        assert_same(nasty(seed, size=(30, 80, 160)[seed % 3], limits=Limits()))


@pytest.mark.timeout(0 if SEEDS else 300)
def test_stages_equal_model_in_other_worlds(tmp_path: Path) -> None:
    """`--contracts` names any directory that follows the language."""
    for seed in seeds():
        print(f"seed {seed}")
        contracts, agreements = make_world(seed, tmp_path / str(seed))
        limits = Limits() if seed % 2 else None
        assert_same(
            nasty(seed, size=(30, 80)[seed % 2], contracts=contracts, agreements=agreements, limits=limits)
        )
