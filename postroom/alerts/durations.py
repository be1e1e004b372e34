"""Durations in rules, and how a test shortens every one of them alike."""

from __future__ import annotations

import re
from dataclasses import dataclass

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
PLACEHOLDER = re.compile(r"\$(\d+[smhd])(_s)?\b")


def seconds(duration: str) -> int:
    """Read `90s`, `5m`, `6h` or `28d`; ValueError for anything else."""
    if not re.fullmatch(r"\d+[smhd]", duration):
        raise ValueError(f"{duration!r} is not a duration such as 90s, 5m, 6h or 28d")
    return int(duration[:-1]) * SECONDS[duration[-1]]


@dataclass(frozen=True, slots=True)
class Clock:
    """How many times faster than in earnest the rules' time runs: 1 outside tests and demonstrations."""

    scale: float = 1.0

    def duration(self, nominal: str) -> str:
        """Return a duration as Prometheus writes it."""
        if self.scale == 1:
            return nominal
        milliseconds = round(seconds(nominal) * 1000 / self.scale)
        return f"{milliseconds}ms"

    def number(self, nominal: str) -> str:
        """Return it as a number of seconds."""
        return f"{seconds(nominal) / self.scale:g}"

    def fill(self, text: str) -> str:
        """Put durations in for `$5m`, and numbers of seconds for `$5m_s`."""
        return PLACEHOLDER.sub(lambda found: (self.number if found[2] else self.duration)(found[1]), text)
