"""The compiled stages are the stages: to the byte, by the model, by the stages' own tests (docs/adr/0079)."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.config import load_settings
from tests.compiled.kit import built, pytest_in, run_python

pytestmark = pytest.mark.timeout(900)

STAGES = [
    f"tests/core/test_{name}.py"
    for name in (
        "annulments",
        "causes",
        "concern",
        "consent",
        "decision",
        "disclosure_log",
        "fragment",
        "golden",
        "identity",
        "intake",
        "intake_attacks",
        "record",
        "record_changes",
        "register",
        "room",
        "stage_properties",
        "view",
    )
]
"""Tests of what is compiled. Those of the rest would only run the same code again."""
TRAIL = "import tests.compiled.plugin; from tests.compiled.trail import main; main()"
MODEL = ("tests/simulation/test_replay_equals_model.py", "tests/simulation/test_simulator.py")


@pytest.fixture(scope="module")
def cache(stack_settings) -> Path:
    """Where the build of this source lies; the user's own cache, so that it is made once."""
    built(stack_settings.cache_dir)
    return stack_settings.cache_dir


def test_every_record_of_every_topic_is_the_same(cache: Path):
    """V6: a worker may be replaced by one of the other form in the middle of a day, and nobody can tell."""
    trails = [run_python("-c", TRAIL, cache=each, timeout_s=600) for each in (None, cache)]
    for done in trails:
        assert done.returncode == 0, done.stderr[-3000:]
    interpreted, compiled = (done.stdout.splitlines() for done in trails)
    assert len(interpreted) > 40
    assert [a for a, b in zip(interpreted, compiled, strict=True) if a != b] == []


def test_the_stages_own_tests_pass(cache: Path):
    """Each rule that a test names is kept by the compiled form as well."""
    print(pytest_in(cache, *STAGES, timeout_s=600))


def test_the_slow_model_agrees(cache: Path):
    """R6, C1-C7: nasty sets, answered by the compiled stages and by the model."""
    print(pytest_in(cache, *MODEL, timeout_s=600))


def test_the_settings_of_a_test_are_not_the_developers(tmp_path: Path):
    """Nothing here runs compiled unless it says so."""
    assert load_settings({}, tmp_path).compiled is False
