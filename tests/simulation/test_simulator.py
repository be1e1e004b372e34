"""Whatever order Kafka may deliver in, at rest all equals replay, and on the way no promise is broken.

POSTROOM_SIM_SEEDS=N asks for N seeds from POSTROOM_FIRST_SEED on. A seed that fails is shrunk and printed
with the schedule that makes it fail.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from processors.rules import Keys, Limits, Rules
from schemas import DECEASED, EVERYONE, Agreement
from tests.nasty import NastySet, nasty, shrunk
from tests.nasty.moments import DAY_MS
from tests.nasty.stages import loaded
from tests.simulation.rest import problems
from tests.simulation.simulator import Chaos, Simulation

QUICK_SEEDS = 60  # five seconds a variant, and nearly always the same ones: the time is for a busy machine
QUICK_SECONDS = 60.0
FIRST = int(os.environ.get("POSTROOM_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("POSTROOM_SIM_SEEDS", "0"))
SCHEDULES_WHILE_SHRINKING = 25
SHRINKING_SECONDS = 60.0
VARIANTS = ("still", "time passes", "agreements change", "both")


def seeds() -> Iterator[int]:
    """The seeds asked for; of the quick ones as many as fit in the time."""
    deadline = time.monotonic() + QUICK_SECONDS
    for seed in range(FIRST, FIRST + (SEEDS or QUICK_SEEDS)):
        if not SEEDS and time.monotonic() > deadline:
            print(f"stopped before seed {seed}: time is up")
            return
        yield seed


def chaos_of(seed: int, variant: str) -> Chaos:
    """What disturbs a seed's run."""
    rng = Random(f"chaos {seed}")
    return Chaos(
        partitions=rng.choice((1, 2, 3, 5)),
        causal=rng.random() < 0.3,
        duplicates=rng.choice((0.0, 0.1, 0.5)),
        kills=rng.choice((0.0, 0.1)),
        since_ms=rng.choice((2, 60, 700)) * DAY_MS if variant in ("time passes", "both") else 0,
    )


def other_agreements(seed: int, agreements: dict[str, Agreement]) -> dict[str, Agreement]:
    """A set as it may have been before: some missing, one more, wider, narrower, under other keys."""
    rng = Random(f"agreements {seed}")
    before = {}
    for name, agreement in agreements.items():
        form = rng.random()
        if form < 0.15:
            continue
        changed = replace(agreement, version=agreement.version - 1) if form < 0.8 else agreement
        if form < 0.35:
            changed = replace(changed, attributes=agreement.attributes[: rng.randint(1, 3)])
        elif form < 0.4:
            scope = EVERYONE if agreement.scope == DECEASED else DECEASED
            if agreement.basis != "consent" or "death" in {grant.attribute for grant in agreement.attributes}:
                changed = replace(changed, scope=scope, after_death="continue")
        elif form < 0.45:
            changed = replace(changed, honours_objection=not agreement.honours_objection)
        elif form < 0.55:
            changed = replace(changed, subject=rng.choice(("pairwise", "nino", "nhs")), pairwise_group=None)
        elif form < 0.65:
            changed = replace(changed, valid_until=agreement.valid_from + 1)
        elif form < 0.8:
            changed = replace(changed, sees_restricted=not agreement.sees_restricted, after_death="continue")
        before[name] = changed
    gone = rng.choice(sorted(agreements))
    before["gone"] = replace(agreements[gone], agreement="gone", subscriber="gone")
    return before


def run(question: NastySet, schedule: object, variant: str) -> list[str]:
    """Everything that goes wrong with a set under one schedule."""
    contracts, agreements = loaded(question.contracts, question.agreements)
    limits = Limits(
        hub_edges=question.limits.hub,
        component_edges=question.limits.overgrown,
        person_identifiers=question.limits.person,
        page_edges=2,
        told_a_step=3,
    )
    rules = Rules(contracts, agreements, Keys(question.secret), limits)
    before = None
    if variant in ("agreements change", "both"):
        earlier = other_agreements(question.seed, agreements)
        before = Rules(contracts, earlier, Keys(question.secret), limits)
    chaos = chaos_of(question.seed, variant)
    try:
        simulation = Simulation(question.lines, rules, question.at_ms, schedule, chaos, before)
        simulation.run()
        return list(problems(simulation, question.lines))
    except AssertionError as broken:
        return [str(broken)]
    except Exception as error:  # no stage raises for data's sake
        return [f"raised {error!r}"]


def kind(problem: str) -> str:
    """What a problem is about, so that shrinking stays with the one it began with."""
    return problem.partition(" ")[0].partition(":")[0].split("/")[:2][-1]


def failing(seed: int, variant: str) -> str | None:
    """A report of the smallest set found that fails as the seed does, or None."""
    question = nasty(seed, size=(15, 30, 60, 100)[seed % 4])
    found = run(question, seed, variant)
    if not found:
        return None
    about = kind(found[0])

    def schedules(smaller: NastySet) -> Iterator[tuple[object, list[str]]]:
        for number in range(SCHEDULES_WHILE_SHRINKING):
            schedule = seed if number == 0 else f"{seed}/{number}"
            again = run(smaller, schedule, variant)
            if any(kind(problem) == about for problem in again):
                yield schedule, again

    deadline = time.monotonic() + SHRINKING_SECONDS
    small = shrunk(question, lambda smaller: time.monotonic() < deadline and any(schedules(smaller)))
    schedule, again = next(schedules(small), (seed, found))
    return "\n".join(
        (
            f"seed {seed}, variant {variant!r}, schedule {schedule!r}, {chaos_of(seed, variant)}",
            f"T {question.at}, {question.limits}; before shrinking: {found[:3]}",
            *(line.decode("utf-8", "backslashreplace") for line in small.lines),
            "----",
            *again,
        )
    )


@pytest.mark.timeout(0 if SEEDS else 300)
@pytest.mark.parametrize("variant", VARIANTS)
def test_any_delivery_comes_to_the_same_rest_and_breaks_no_promise(variant: str) -> None:
    """I5, I6, V1-V5, V8, V9: whatever the interleaving, batches, kills, duplicates, clock and rules."""
    for seed in seeds():
        print(f"seed {seed}")
        report = failing(seed, variant)
        if report is not None:
            pytest.fail(report, pytrace=False)
