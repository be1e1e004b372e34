"""The model gives what the cases, derived by hand from DESIGN, say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.model import replay
from tests.model.sharing import keyed
from tests.model.times import instant

CASES = Path(__file__).parents[1] / "cases"
NAMES = sorted(path.name for path in CASES.glob("[0-9]*"))


@pytest.mark.parametrize("name", NAMES)
def test_the_model_gives_what_the_case_expects(name: str) -> None:
    """Every shared case matches exactly."""
    case = CASES / name
    output = replay(
        (case / "events.jsonl").read_bytes().splitlines(),
        contracts=CASES / "contracts",
        agreements=CASES / "agreements",
        secret=(CASES / "secret.txt").read_bytes(),
        at_ms=instant((case / "at.txt").read_text().strip()),
    )
    assert output == json.loads((case / "expected.json").read_text())


def test_keys_are_those_that_the_cases_readme_gives() -> None:
    """I4 and C8 by themselves."""
    secret = (CASES / "secret.txt").read_bytes()
    person = "p-" + keyed(keyed(secret, "identity"), "nino:AB123456C").hex()[:32]
    assert person == "p-e70e3b26bf7609622d598e6a053d4194"
    key = keyed(keyed(secret, "pairwise:council-leeds:group:leeds-social"), person)
    assert "s-" + key.hex()[:32] == "s-123caea1a4d8be887dc09ab6f423de8c"
