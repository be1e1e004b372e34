"""The first way through a file: every row judged before any is published.

A mapping that does not fit, a column that moved, a wrong encoding: each makes many rows bad, and some that
look good and are not. So a file is judged as a whole first, and published then or not at all.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from producers.mapped.conversions import AT_SOURCE
from producers.mapped.mapping import Event, FileFacts, RowMapping
from producers.mapped.problem import RowProblem
from producers.mapped.rows import Row
from producers.ready import Refused, make_ready
from producers.reused import Seen
from schemas import Addressees, Contracts


class Odd(NamedTuple):
    """What most likely says something else than was meant, in a row that may go: by column."""

    column: str
    problem: str


class Good(NamedTuple):
    """A row that becomes an event."""

    row: Row
    event: Event
    odd: tuple[Odd, ...] = ()


class Bad(NamedTuple):
    """A row that cannot, and all that is wrong with it."""

    row: Row
    problems: list[RowProblem]


class Repeated(NamedTuple):
    """A row that says what an earlier one has said under the same id: the same event (E1)."""

    row: Row


Verdict = Good | Bad | Repeated


@dataclass
class Counts:
    """What became of the rows of a file; lines too, because a bad row may have swallowed several."""

    good: int = 0
    bad: int = 0
    repeated: int = 0
    lines: int = 0
    bad_lines: int = 0
    odd_rows: int = 0
    odd: Counter[Odd] = field(default_factory=Counter)
    """How many rows have each of these."""

    def take(self, verdict: Verdict) -> None:
        """Count one."""
        self.lines += verdict.row.lines
        if isinstance(verdict, Bad):
            self.bad += 1
            self.bad_lines += verdict.row.lines
        elif isinstance(verdict, Repeated):
            self.repeated += 1
        else:
            self.good += 1
            self.odd_rows += bool(verdict.odd)
            self.odd.update(verdict.odd)

    @property
    def rows(self) -> int:
        """All of them."""
        return self.good + self.bad + self.repeated

    @property
    def bad_percent(self) -> float:
        """How much of the file is bad."""
        return 100 * self.bad_lines / self.lines if self.lines else 0.0


def judge(
    row: Row,
    mapping: RowMapping,
    file: FileFacts,
    contracts: Contracts,
    now_ms: int,
    addressees: Addressees | None = None,
) -> Good | Bad:
    """What one row is, by the mapping, the contract and intake's checks (E7), itself alone."""
    if row.cells is None:
        return Bad(row, [RowProblem("", row.problem, row.mend)])
    event = mapping.event(row.cells, row.place.row, file)
    if not isinstance(event, Event):
        return Bad(row, event)
    ready = make_ready(event.line, contracts, now_ms, addressees=addressees)
    if isinstance(ready, Refused):
        return Bad(row, mapping.explain(event, ready))
    odd = (Odd(mapping.column_at(path.replace("$.data", "$", 1)), why) for path, why in ready.warnings)
    return Good(row, event, tuple(odd))


def sift(
    rows: Iterable[Row],
    mapping: RowMapping,
    file: FileFacts,
    contracts: Contracts,
    now_ms: Callable[[], int],
    seen: Seen,
    addressees: Addressees | None = None,
) -> Iterator[Verdict]:
    """A verdict for each row; of two that claim to be one event and differ the second is bad."""
    for row in rows:
        verdict = judge(row, mapping, file, contracts, now_ms(), addressees)
        if isinstance(verdict, Bad) or not mapping.ids_are_given:
            yield verdict
            continue
        content = hashlib.blake2b(verdict.event.line, digest_size=16).digest()
        first, is_same = seen.first(verdict.event.id, content, row.place.row)
        if first == row.place.row:
            yield verdict
        elif is_same:
            yield Repeated(row)
        else:
            expected = f"another event than row {first}, which has the same"
            mend = f"name columns in `id` that tell the two apart, or {AT_SOURCE}"
            yield Bad(row, [RowProblem(", ".join(mapping.id_columns), expected, mend)])
