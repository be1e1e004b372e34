"""A rule-based state machine: publishes, restarts, time and agreements change, in any order.

After every step the views that are out equal those that a replay of all accepted events gives at this very
moment under the agreements now in force. So no view holds a field whose permit is not in force (C6, V8, V9).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from processors import Intake, Keys, Limits, Rules
from processors.messages import ASSERTIONS_TOPIC, Said, encode
from processors.replay import Pipeline, replay
from processors.stage import Outgoing
from schemas import Agreement, Contracts, load_agreements, load_contracts
from tests.nasty import nasty

CASES = Path(__file__).parents[1] / "cases"
SECRET = (CASES / "secret.txt").read_bytes()
LIMITS = Limits(hub_edges=4, component_edges=24, person_identifiers=6, page_edges=2, told_a_step=3)
DAY_MS = 24 * 3600 * 1000
SEEDS = st.integers(0, 400)
STEPS_MS = st.sampled_from(
    [1, 59_000, 5 * 60_000, 3_600_000, DAY_MS, 40 * DAY_MS, 366 * DAY_MS, 8 * 366 * DAY_MS]
)


@cache
def loaded() -> tuple[Contracts, dict[str, Agreement]]:
    contracts = load_contracts(CASES / "contracts")
    return contracts, load_agreements(CASES / "agreements", contracts)


@cache
def scene(seed: int) -> tuple[int, tuple[bytes, ...]]:
    """Some events that meet, and the moment that they are about."""
    question = nasty(seed, size=24)
    return question.at_ms, question.lines


class Backbone(RuleBasedStateMachine):
    """The stages, what was accepted so far, the clock, and the agreements in force."""

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        self.contracts, every = loaded()
        self.agreements = dict(every)
        self.now_ms, lines = scene(seed)
        self.accepted: list[bytes] = []
        self.intake = Intake(self.in_force())
        self.pipeline = Pipeline(self.in_force())
        self.tell(lines)

    def in_force(self) -> Rules:
        return Rules(self.contracts, self.agreements, Keys(SECRET), LIMITS)

    def tell(self, lines: tuple[bytes, ...]) -> None:
        for line in lines:
            if not line.strip():
                continue
            said = self.intake.accept_json(line, self.now_ms)
            if isinstance(said, Said):
                self.accepted.append(line)
                self.pipeline.send([Outgoing(ASSERTIONS_TOPIC, said.subject.encode(), encode(said))])
        self.pipeline.run(self.now_ms)

    @rule(seed=SEEDS, first=st.integers(0, 23), count=st.integers(1, 8))
    def publish(self, seed: int, first: int, count: int) -> None:
        """Departments publish some more."""
        self.tell(scene(seed)[1][first : first + count])

    @rule(first=st.integers(0, 40))
    def publish_again(self, first: int) -> None:
        """The same event twice is one event (E1)."""
        self.tell(tuple(self.accepted[first : first + 3]))

    @rule(by_ms=STEPS_MS)
    def let_time_pass(self, by_ms: int) -> None:
        """Effective dates, ends, consents and agreements take effect without an event (V8)."""
        target = self.now_ms + by_ms
        for _ in range(64):  # moment by moment, as the engine does; whoever is late is woken at the target
            due = min((m for wakes in self.pipeline.wakes.values() for m in wakes.values()), default=target)
            if due >= target:
                break
            self.now_ms = max(self.now_ms, due)
            self.pipeline.wake(self.now_ms)
        self.now_ms = target
        self.pipeline.wake(target)

    @rule()
    def restart(self) -> None:
        """A new process finds its states and nothing else."""
        self.pipeline.load(self.in_force())

    @rule(name=st.sampled_from(sorted(loaded()[1])), keep=st.integers(0, 3), version=st.integers(2, 9))
    def change_an_agreement(self, name: str, keep: int, version: int) -> None:
        """An agreement is widened, narrowed, or ends; a sweep reaches every person (V9)."""
        original = loaded()[1][name]
        if keep == 0:
            ended = replace(original, version=version, valid_until=self.now_ms)
            self.agreements[name] = ended
        else:
            kept = original.attributes[:keep]
            names = {grant.attribute for grant in kept}
            decides = original.scope_attribute
            if original.basis == "consent" and decides is not None and decides not in names:
                return  # C5 forbids such an agreement
            self.agreements[name] = replace(original, version=version, attributes=kept)
        self.pipeline.load(self.in_force())
        self.pipeline.sweep(self.now_ms)

    @invariant()
    def views_are_what_a_replay_gives_now(self) -> None:
        if not hasattr(self, "pipeline"):
            return
        expected = replay(self.accepted, self.contracts, self.agreements, SECRET, self.now_ms, LIMITS)
        assert self.pipeline.views() == expected["views"]


Backbone.TestCase.settings = settings(
    max_examples=50, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBackbone = Backbone.TestCase
