"""The gauges of one task: set once a second while it is ours, taken away when it is not.

A gauge that a task left behind would be counted twice, here and by whoever has the task now.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from prometheus_client import Gauge

from processors.engine import metrics
from processors.engine.tallies import BYTES, KEYS
from processors.stage import SINCE_MS

_COUNTED: Mapping[str, Gauge] = {
    "held": metrics.HELD,
    "unmatched": metrics.UNMATCHED,
    "incomplete": metrics.INCOMPLETE,
    KEYS: metrics.STATE_KEYS,
    BYTES: metrics.STATE_BYTES,
}
_BY_WHICH: Mapping[str, Gauge] = {
    "disputed": metrics.DISPUTES_OPEN,
    "open": metrics.OPEN,
    "overdue": metrics.OVERDUE,
}
"""Tallies whose second part is a label."""
_OLDEST: Mapping[str, Gauge] = {"held": metrics.HELD_OLDEST, "incomplete": metrics.INCOMPLETE_OLDEST}
"""Tallies whose second part says since when."""
_OF_STAGE: Mapping[str, tuple[str, ...]] = {"identity": ("held", "unmatched"), "record": ("incomplete",)}
"""What a stage tells even while there is none, so that an alert has something to look at."""


class TaskGauges:
    """What one task has told, so that it can be taken back."""

    def __init__(self, stage: str, partition: int) -> None:
        self._stage, self._partition = stage, str(partition)
        self._told: dict[tuple[Gauge, tuple[str, ...]], Gauge] = {}

    def tell(self, gauge: Gauge, value: float) -> None:
        """Set a gauge whose labels are stage and partition."""
        self._set(gauge, (self._stage, self._partition), value)

    def tell_tallies(self, tallies: Mapping[str, int], now_ms: int) -> None:
        """Set what the states hold; what they held and hold no more goes to zero."""
        values: dict[tuple[Gauge, tuple[str, ...]], float] = {}
        for (gauge, labels), _ in self._told.items():
            if gauge in _FROM_TALLIES:
                values[gauge, labels] = 0
        for kind in (*_OF_STAGE.get(self._stage, ()), KEYS, BYTES):
            values.update(dict.fromkeys(self._places(kind, ""), 0.0))
        for name, count in dict(tallies).items():
            kind, _, which = name.partition("/")
            for place in self._places(kind, which):
                if place[0] in _OLDEST.values():
                    age_s = max(0, now_ms - int(which) - SINCE_MS) / 1000
                    values[place] = max(values.get(place, 0), age_s)
                else:
                    values[place] = values.get(place, 0) + count
        for (gauge, labels), value in values.items():
            self._set(gauge, labels, value)

    def _places(self, kind: str, which: str) -> list[tuple[Gauge, tuple[str, ...]]]:
        if kind in (KEYS, BYTES):
            return [(_COUNTED[kind], (self._stage, self._partition))]
        if kind in _BY_WHICH:
            return [(_BY_WHICH[kind], (which, self._partition))]
        gauges = [table[kind] for table in (_COUNTED, _OLDEST) if kind in table]
        return [(gauge, (self._partition,)) for gauge in gauges]

    def _set(self, gauge: Gauge, labels: tuple[str, ...], value: float) -> None:
        child = self._told.get((gauge, labels))
        if child is None:
            child = self._told[gauge, labels] = gauge.labels(*labels)
        child.set(value)

    def forget(self) -> None:
        """Take everything back."""
        for gauge, labels in self._told:
            with suppress(KeyError):
                gauge.remove(*labels)
        self._told.clear()


_FROM_TALLIES = frozenset((*_COUNTED.values(), *_BY_WHICH.values(), *_OLDEST.values()))
