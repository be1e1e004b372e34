"""A few nasty sets against the model: what a mutation has to get past besides the tests of its own module."""

import pytest

from tests.nasty import nasty
from tests.nasty.stages import by_model, by_stages


@pytest.mark.parametrize("seed", range(24))
def test_stages_answer_as_the_model_does(seed: int):
    """Every rule is hit by some of these sets (tests/nasty/coverage.py)."""
    question = nasty(seed, size=(30, 80, 160)[seed % 3])
    assert by_stages(question) == by_model(question)
