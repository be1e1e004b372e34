"""Seeded sets of events in which every rule is met often, each a question that `replay` can be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.model.contracts import read_rules
from tests.model.identity import Limits
from tests.model.times import instant
from tests.nasty import moments
from tests.nasty.teller import Knobs, Teller

CASES = Path(__file__).parents[1] / "cases"
SMALL = (
    Limits(hub=4, overgrown=24, person=6),
    Limits(hub=4, overgrown=7, person=5),
    Limits(hub=6, overgrown=40, person=9),
)


@dataclass(frozen=True)
class NastySet:
    """A question for `replay`, ready to ask."""

    seed: int
    lines: tuple[bytes, ...]
    at: str
    contracts: Path = CASES / "contracts"
    agreements: Path = CASES / "agreements"
    secret: bytes = field(default_factory=(CASES / "secret.txt").read_bytes)
    limits: Limits = SMALL[0]

    @property
    def at_ms(self) -> int:
        return instant(self.at)


def nasty(
    seed: int,
    size: int = 80,
    knobs: Knobs | None = None,
    *,
    contracts: Path = CASES / "contracts",
    agreements: Path = CASES / "agreements",
    limits: Limits | None = None,
) -> NastySet:
    """A set of about `size` events, the same for the same arguments; small limits unless given."""
    rng = Random(f"nasty {seed}")
    at = moments.question(rng)
    limits = limits or rng.choice(SMALL)
    if knobs is None:
        knobs = random_knobs(rng, limits)
    teller = Teller(rng, read_rules(contracts, agreements), instant(at), knobs)
    return NastySet(seed, tuple(teller.lines(size)), at, contracts, agreements, limits=limits)


def random_knobs(rng: Random, limits: Limits) -> Knobs:
    """Half of the sets are calm; a few have a crowd about one identifier."""
    return Knobs(
        pool=rng.choice((2, 3, 4, 6)),
        systems=rng.choice((1, 2, 2)),
        faults=rng.choice((0.0, 0.05, 0.15)),
        calm=rng.random() < 0.6,
        heat=rng.choice((0.3, 0.5, 0.8)),
        crowd=limits.hub + rng.choice((0, 1, 3)) if rng.random() < 0.06 else 0,
    )
