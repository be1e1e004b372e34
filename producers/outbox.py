"""Rows of a department's outbox to Kafka: at least once, and each aggregate's in order.

Rows go out in waves: of each aggregate the first, and the next only once Kafka has acknowledged the one
before. A row is settled after its acknowledgement and never before, so a relay that is killed anywhere
leaves rows that go out again, and (source, id) counts once (E1).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from producers.files import Line
from producers.publisher import Published, Publisher
from producers.ready import Refused, Undelivered

RETRY_S = 5.0
"""How long a type waits whose contract or topic is not there; the others go meanwhile."""


class Row(Protocol):
    """One row that is due: `event` is a CloudEvent in JSON, None when it is longer than one may be."""

    @property
    def id(self) -> str: ...
    @property
    def aggregate(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def event(self) -> bytes | None: ...


class Rows(Protocol):
    """The outbox."""

    def take(self, waiting: Sequence[str] = ()) -> Sequence[Row]:
        """Read what is due, in order and bounded, but for types that wait and what follows them."""

    def settle(self, done: Sequence[str], parked: Sequence[tuple[str, str, str]]) -> None:
        """Take away what is done, and park the rest by (id, reason, why)."""


@dataclass
class Round:
    """What became of the rows of one batch; `held` maps a type that cannot go yet to why and how to mend
    it.
    """

    published: Counter[str] = field(default_factory=Counter)
    parked: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: dict[str, Refused] = field(default_factory=dict)

    @property
    def was_empty(self) -> bool:
        """Whether nothing was due."""
        return not (self.published or self.parked or self.held)


class Relay:
    """Publishes one outbox. `publisher` makes a publisher that asks anew what is registered."""

    def __init__(
        self, rows: Rows, publisher: Callable[[], Publisher], monotonic_s: Callable[[], float]
    ) -> None:
        self._rows, self._make, self._monotonic_s = rows, publisher, monotonic_s
        self._publisher = publisher()
        self._waiting: dict[str, float] = {}

    def renew(self) -> None:
        """Publish under what is in force now, and ask again for what was missing."""
        self._publisher = self._make()
        self._waiting.clear()

    def round(self) -> Round:
        """Publish what is due; BrokerUnreachable once Kafka has stopped answering."""
        now_s = self._monotonic_s()
        if any(until_s <= now_s for until_s in self._waiting.values()):
            self.renew()
        rows = self._rows.take(sorted(self._waiting))
        found = Round()
        done: list[str] = []
        parked: list[tuple[str, str, str]] = []
        stopped: set[str] = set()
        try:
            for wave in waves(rows):
                # INVARIANT: nothing of an aggregate passes a row of it that could not go.
                for row, refused in self._publish([row for row in wave if row.aggregate not in stopped]):
                    if refused is None:
                        found.published[row.type] += 1
                        done.append(row.id)
                    elif isinstance(refused.reason, Undelivered):
                        stopped.add(row.aggregate)
                        found.held[row.type] = refused
                        self._waiting[row.type] = now_s + RETRY_S
                    else:
                        found.parked[row.type, refused.reason.value] += 1
                        parked.append((row.id, refused.reason.value, refused.why))
        finally:
            # INVARIANT: only what Kafka has acknowledged, and what can never go, leaves those that are due.
            self._rows.settle(done, parked)
        return found

    def _publish(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Refused | None]]:
        for result in self._publisher.publish(_line(number, row) for number, row in enumerate(rows)):
            yield rows[result.number], None if isinstance(result, Published) else result.refused


def _line(number: int, row: Row) -> Line:
    # A blank line says nothing and has no result; a blank row is one that cannot go.
    content = row.event if row.event is None else row.event.strip() or b"{}"
    return Line(number, content, len(content or b""), row.aggregate)


def waves(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in waves: each aggregate at most once in each, and its rows in their order."""
    by_turn: dict[int, list[Row]] = defaultdict(list)
    turns: Counter[str] = Counter()
    for row in rows:
        by_turn[turns[row.aggregate]].append(row)
        turns[row.aggregate] += 1
    yield from by_turn.values()
