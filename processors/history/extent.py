"""How much of a history there is, and how much of it may be judged (V6 on a running system).

A backbone that runs is never at one moment. So the offsets are taken in this order, and it is the promise
that nothing is called lost which is only on its way:

1. the groups' committed offsets: what lies below has been processed, in transactions that are over;
2. the end of every partition (`settled`): records below it are judged;
3. wait until no transaction is open that was open then;
4. the end of every partition again (`end`): records below it may testify. The disclosure of a view that is
   judged is in the same transaction, so it is among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from processors.history.findings import Place

CLOCKS_MS = 60_000
"""How far the clocks of two brokers may be apart, where moments of two partitions are compared."""

NOTHING_LEFT_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is there of one partition; offsets, and a broker's timestamp in UTC ms.

    ``since_ms`` is 0 while nothing was deleted from the front, else the timestamp of the first record that is
    left, or :data:`NOTHING_LEFT_MS`. Compaction does not move the front.
    """

    begin: int
    settled: int
    end: int
    since_ms: int = 0


@dataclass(frozen=True)
class Extent:
    """All partitions that are read, and where the stages stand in their inputs, by (topic, partition).

    A partition of which a stage has committed nothing is missing in ``committed``.
    """

    stretches: Mapping[tuple[str, int], Stretch]
    committed: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def is_settled(self, place: Place) -> bool:
        """Whether a record is judged; else it only testifies."""
        return place.offset < self.stretches[place.topic, place.partition].settled

    def has_processed(self, place: Place) -> bool:
        """Whether the stage that reads this record has read it and committed what follows."""
        return place.offset < self.committed.get((place.topic, place.partition), 0)

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return sum(1 for name, _ in self.stretches if name == topic)

    def since_ms(self, topics: Iterable[str]) -> int:
        """From when on nothing was deleted from any partition of these topics; 0: nothing ever was."""
        wanted = frozenset(topics)
        gone = [s.since_ms for (name, _), s in self.stretches.items() if name in wanted and s.since_ms]
        return max(gone) + CLOCKS_MS if gone else 0

    def shortened(self, topics: Iterable[str]) -> list[str]:
        """The topics among these whose early part is gone, in their order."""
        gone = {name for (name, _), stretch in self.stretches.items() if stretch.begin > 0}
        return [topic for topic in topics if topic in gone]
