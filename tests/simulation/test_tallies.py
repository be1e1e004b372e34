"""What steps say of their states is what the states hold (docs/adr/0040)."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from processors.rules import Keys, Limits, Rules
from processors.stage import SINCE_MS
from tests.nasty import nasty
from tests.nasty.moments import DAY_MS
from tests.nasty.stages import loaded
from tests.simulation.simulator import Chaos, Simulation, Stages, Task

SEEDS = range(10)
SEEN: Counter[str] = Counter()


def counted_anew(task: Task) -> dict[str, int]:
    """What the states of a task hold, by looking at every one of them."""
    stage = Stages[task.stage](task.rules)  # type: ignore[abstract]
    found: Counter[str] = Counter()
    for key, body in task.states.items():
        found.update(stage.tally(key, body))
    return {name: count for name, count in found.items() if count}


class Counted(Simulation):
    """A run in which every step of every task is held against its states."""

    def _step(self, task: Task) -> None:
        super()._step(task)
        kept = {name: count for name, count in task.tallies.items() if count}
        assert kept == counted_anew(task), f"{task.stage}-{task.partition}"
        SEEN.update(name.partition("/")[0] for name in kept)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_every_step_the_sums_are_what_a_recount_finds(seed: int):
    """In any order, with repetitions, kills, time passing and rules changing: held, disputed, incomplete."""
    rng = Random(seed)
    town = nasty(seed, size=40)
    contracts, agreements = loaded(town.contracts, town.agreements)
    limits = Limits(hub_edges=4, person_identifiers=6, component_edges=12)
    rules = Rules(contracts, agreements, Keys(town.secret), limits)
    before = Rules(contracts, dict(list(agreements.items())[1:]), Keys(town.secret), limits)
    chaos = Chaos(rng.choice((1, 3)), duplicates=0.3, kills=0.1, since_ms=rng.choice((0, 60 * DAY_MS)))
    Counted(town.lines, rules, town.at_ms, seed, chaos, before if seed % 2 else None).run()


def test_the_runs_have_met_all_that_is_tallied():
    """A sum that never left zero proves nothing."""
    assert SEEN.keys() >= {"held", "unmatched", "disputed", "incomplete"}
    assert SINCE_MS % 1000 == 0, "ages are told in seconds"
