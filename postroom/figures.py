"""Numbers of several processes put together: sums by label, and what a histogram says of a promise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from connectors.metrics_reader import Sample


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram of seconds over all processes."""

    count: int
    buckets: tuple[tuple[float, int], ...]
    """Upper bounds and how many are at or below each, rising."""

    def within(self, seconds: float) -> float | None:
        """The share at or below a bound of the histogram; None without a count."""
        below = dict(self.buckets).get(seconds)
        return None if not self.count or below is None else below / self.count

    def quantile(self, share: float) -> float | None:
        """The upper bound of the bucket that holds this share: at most so long; None without a count."""
        if not self.count:
            return None
        return next(bound for bound, below in self.buckets if below >= share * self.count)


def spread(samples: Iterable[Sample], name: str, **labels: str) -> Spread:
    """Put a histogram's buckets of all processes together; only those with these labels, if any are named."""
    below: Counter[float] = Counter()
    for sample in samples:
        if sample.name == f"{name}_bucket" and labels.items() <= sample.labels.items():
            below[float(sample.labels["le"])] += int(sample.value)
    buckets = tuple(sorted(below.items()))
    return Spread(below.get(math.inf, 0), buckets)


def sums(samples: Iterable[Sample], name: str, *labels: str) -> Counter[tuple[str, ...]]:
    """Sum a metric by some of its labels."""
    found: Counter[tuple[str, ...]] = Counter()
    for sample in samples:
        if sample.name == name:
            found[tuple(sample.labels.get(label, "") for label in labels)] += int(sample.value)
    return found


def greatest(samples: Iterable[Sample], name: str, label: str) -> dict[str, float]:
    """The greatest value of a metric by one label."""
    found: dict[str, float] = {}
    for sample in samples:
        if sample.name == name:
            key = sample.labels.get(label, "")
            found[key] = max(found.get(key, 0.0), sample.value)
    return found


def most(samples: Iterable[Sample], name: str) -> float | None:
    """The greatest value of a metric over all processes and labels; None if nobody tells it."""
    return max((sample.value for sample in samples if sample.name == name), default=None)
