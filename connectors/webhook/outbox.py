"""What an endpoint is owed and has in memory: ordered by key, coalesced, bounded. No clock, no network.

A key's changes stand in a lane. At most one of a lane is on its way; the lane waits while it is, and after it
has failed. An update that waits is replaced by whatever comes after it; a retraction never is (V2).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from connectors.kafka_follower import Positions
from connectors.view_topics import SUPERSEDES, Change
from connectors.webhook.envelope import carried_on, sequence_of

OVERHEAD_BYTES = 1_024
"""About what a change costs beside its value."""


class Place(NamedTuple):
    """A lane: one key of one agreement."""

    agreement: str
    key: str


class Parcel(NamedTuple):
    """A change that may be sent now, and how often it was tried in vain."""

    place: Place
    change: Change
    failures: int

    @property
    def is_retraction(self) -> bool:
        """Whether it takes something back."""
        return self.change.value is None

    @property
    def has_vanished(self) -> bool:
        """Whether it is of no record of the topic, but retracts what the topic no longer holds."""
        return self.change.partition < 0


@dataclass(slots=True)
class _Lane:
    queue: deque[tuple[Change, int]] = field(default_factory=deque)
    busy: bool = False
    failures: int = 0


class Outbox:
    """The changes between the topic and the receiver."""

    def __init__(self, records_max: int, bytes_max: int) -> None:
        self._records_max, self._bytes_max = records_max, bytes_max
        self._lanes: dict[Place, _Lane] = {}
        self._ready: deque[Place] = deque()
        self._later: list[tuple[float, int, Place]] = []
        self._turn = count()
        self._offsets: dict[tuple[str, int], dict[int, None]] = {}
        self._passed: dict[Place, Change] = {}
        self.records = self.bytes = self.in_flight = 0

    @property
    def room(self) -> int:
        """How many more changes may be taken."""
        return 0 if self.bytes >= self._bytes_max else max(0, self._records_max - self.records)

    def take(self, agreement: str, change: Change, size_bytes: int) -> None:
        """Owe a change that was read; those of one partition come in the order of their offsets."""
        place = Place(agreement, change.key)
        if (before := self._passed.pop(place, None)) is not None:
            self._offset_left(agreement, before)
            change = carried_on(before, change)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = _Lane()
            self._ready.append(place)
        waiting = len(lane.queue) - lane.busy
        # INVARIANT: only an update is ever replaced. A retraction leaves the lane by being delivered.
        if waiting and lane.queue[-1][0].value is not None:
            dropped, dropped_bytes = lane.queue.pop()
            self._left(agreement, dropped, dropped_bytes)
            change = carried_on(dropped, change)
        size_bytes += OVERHEAD_BYTES
        lane.queue.append((change, size_bytes))
        self.records += 1
        self.bytes += size_bytes
        if change.partition >= 0:
            self._offsets.setdefault((agreement, change.partition), {})[change.offset] = None

    def next(self, now_s: float) -> Parcel | None:
        """Return a change that may be sent now, and count it as on its way; None when there is none."""
        while self._later and self._later[0][0] <= now_s:
            self._ready.append(heapq.heappop(self._later)[2])
        if not self._ready:
            return None
        place = self._ready.popleft()
        lane = self._lanes[place]
        lane.busy = True
        self.in_flight += 1
        return Parcel(place, lane.queue[0][0], lane.failures)

    def delivered(self, parcel: Parcel) -> None:
        """The receiver has it; the lane goes on."""
        lane = self._back(parcel)
        change, size_bytes = lane.queue.popleft()
        self._left(parcel.place.agreement, change, size_bytes)
        lane.failures = 0
        if lane.queue:
            self._ready.append(parcel.place)
        else:
            del self._lanes[parcel.place]

    def failed(self, parcel: Parcel, again_at_s: float) -> int:
        """It may or may not have arrived: the lane waits until then. Return its failures in a row."""
        self._lanes[parcel.place].failures += 1
        return self.put_off(parcel, again_at_s)

    def put_off(self, parcel: Parcel, again_at_s: float) -> int:
        """Let the lane wait until then. Return its failures in a row."""
        lane = self._back(parcel)
        if len(lane.queue) > 1 and lane.queue[0][0].value is not None:
            # What came meanwhile replaces it, as if it had come now.
            dropped, dropped_bytes = lane.queue.popleft()
            self._left(parcel.place.agreement, dropped, dropped_bytes)
            newer, newer_bytes = lane.queue[0]
            lane.queue[0] = (carried_on(dropped, newer), newer_bytes)
        heapq.heappush(self._later, (again_at_s, next(self._turn), parcel.place))
        return lane.failures

    def passed_over(self, parcel: Parcel) -> None:
        """It is not sent: what has replaced it lies further along the topic. What it superseded is told with
        that; until then the topic would be read again from here.
        """
        lane = self._back(parcel)
        change, size_bytes = lane.queue.popleft()
        self._size_left(size_bytes)
        if lane.queue:
            newer, newer_bytes = lane.queue[0]
            lane.queue[0] = (carried_on(change, newer), newer_bytes)
            self._ready.append(parcel.place)
        else:
            del self._lanes[parcel.place]
            if SUPERSEDES in dict(change.headers):
                self._passed[parcel.place] = change._replace(value=None)
                return
        self._offset_left(parcel.place.agreement, change)

    def owes(self, agreement: str, key: str) -> bool:
        """Tell whether something under a key is owed."""
        return Place(agreement, key) in self._lanes

    def low_water(self, agreement: str, read: Sequence[int]) -> Positions:
        """Return the positions before which nothing of an agreement is owed, given how far it was read."""
        return tuple(
            min(at, next(iter(self._offsets.get((agreement, partition), ())), at))
            for partition, at in enumerate(read)
        )

    def wake_s(self) -> float | None:
        """Return when the next lane need no longer wait; None when none waits for a moment."""
        return self._later[0][0] if self._later else None

    def oldest_ms(self, agreement: str | None = None) -> int | None:
        """Return the broker's timestamp of the oldest change that is owed."""
        return min(
            (
                lane.queue[0][0].timestamp_ms
                for place, lane in self._lanes.items()
                if agreement in (None, place.agreement)
            ),
            default=None,
        )

    def _back(self, parcel: Parcel) -> _Lane:
        lane = self._lanes[parcel.place]
        lane.busy = False
        self.in_flight -= 1
        return lane

    def _left(self, agreement: str, change: Change, size_bytes: int) -> None:
        self._size_left(size_bytes)
        self._offset_left(agreement, change)

    def _size_left(self, size_bytes: int) -> None:
        self.records -= 1
        self.bytes -= size_bytes

    def _offset_left(self, agreement: str, change: Change) -> None:
        if change.partition >= 0:
            self._offsets[agreement, change.partition].pop(change.offset, None)


def is_news(change: Change, least: int) -> bool:
    """Tell whether a change has at least this sequence, the least that its receiver may still be sent.

    INVARIANT: what has not is skipped. It would come after its successor, a retraction maybe.
    """
    sequence = sequence_of(change)
    return sequence == 0 or sequence >= least
