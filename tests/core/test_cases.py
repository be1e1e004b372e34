"""Every shared case, through the stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.model import Limits
from tests.nasty import NastySet, stages

CASES = Path(__file__).parents[1] / "cases"
NAMES = sorted(path.name for path in CASES.glob("[0-9]*"))


@pytest.mark.parametrize("name", NAMES)
def test_replay_gives_what_the_case_expects(name: str) -> None:
    """Every shared case matches exactly: what a lawyer derived from DESIGN by hand."""
    case = CASES / name
    lines = tuple((case / "events.jsonl").read_bytes().split(b"\n"))
    question = NastySet(0, lines, (case / "at.txt").read_text().strip(), limits=Limits())
    expected = json.loads((case / "expected.json").read_text())
    found = json.loads(json.dumps(stages.by_stages(question)))
    assert found == expected
