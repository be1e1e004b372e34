"""The generator is nasty enough to be worth comparing with, and the shrinker finds what matters."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.model import Limits
from tests.nasty import NastySet, nasty, shrunk
from tests.nasty.coverage import WANTED, counts, met_by
from tests.nasty.stages import by_model
from tests.nasty.worlds import make_world


def test_every_corner_of_the_rules_is_met(tmp_path: Path) -> None:
    """No rule and no reason goes unmet in a few hundred sets."""
    met, _ = counts(range(250))
    for seed in range(40):
        contracts, agreements = make_world(seed, tmp_path / str(seed))
        met += met_by(nasty(seed, 60, contracts=contracts, agreements=agreements))
    assert [what for what in WANTED if not met[what]] == []


def test_a_seed_gives_the_same_set_for_ever() -> None:
    """A failing seed can be given to somebody else."""
    assert nasty(7).lines == nasty(7).lines
    assert nasty(7).lines != nasty(8).lines


def test_a_crowd_meets_the_real_limit_of_a_hub() -> None:
    """Sets at the design's own limits have hubs too."""
    met = Counter[str]()
    for seed in range(120):
        met += met_by(nasty(seed, 20, limits=Limits()))
    assert met["I3 hub"] > 64


def test_shrinking_leaves_only_the_lines_that_matter() -> None:
    """Of a whole set one line remains when one is enough."""

    def has_a_view(question: NastySet) -> bool:
        return any(by_model(question)["views"].values())

    question = next(each for each in map(nasty, range(100)) if has_a_view(each))
    small = shrunk(question, has_a_view)
    assert has_a_view(small)
    assert len(small.lines) < 6 < len(question.lines)
