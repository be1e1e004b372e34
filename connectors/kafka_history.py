"""Reads the history of many topics at once: in order of the brokers' time, read committed, to a fixed end.

The ends are taken so that what is judged is complete although the system goes on (see :class:`Span`): first
the groups' offsets, then the ends, then, when every transaction of that moment is over, the ends once more.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from connectors.kafka_admin import admin_of
from connectors.kafka_reader import POLL_MS, RawRecord, TopicReader, raw_record
from connectors.kafka_refusal import in_our_words
from connectors.trouble import Trouble

HELD_UP_S_MAX = 60.0
"""Longer than any transaction may last and be cleaned up."""
LOOK_AGAIN_S = 0.1
WHATEVER_CAME = 1 << 30
"""Records of one poll: all that were fetched, which fetch.max.bytes bounds. kafka-python 3.0.12 never again
fetches a partition that is paused while part of a fetch is left of it (`_paused_partition_records`).
"""

Where = tuple[str, int]
"""Topic and partition."""


class Span(NamedTuple):
    """What is there of one partition; offsets.

    Records below ``settled`` were there at the first look, and whatever was written with them in one
    transaction is below ``end`` of its own partition. ``since_ms`` is the broker's timestamp of the first
    record, None when there is none.
    """

    begin: int
    settled: int
    end: int
    since_ms: int | None


class HistoryReader(TopicReader):
    """Records of many topics, in order of time across them and in order within each partition."""

    def spans(
        self, topics: Sequence[str], groups: Mapping[str, Sequence[str]]
    ) -> tuple[dict[Where, Span], dict[Where, int]]:
        """Take the ends of topics, and what the groups have committed of the topics that they read.

        Raises Trouble when a topic is not there, or a transaction stays open.
        """
        from kafka import TopicPartition
        from kafka.admin import OffsetSpec

        with admin_of(self.access, "history") as admin:
            found = {each["name"]: each["partitions"] for each in admin.describe_topics(list(topics))}
            for topic in topics:
                if not found.get(topic):
                    raise self._missing(topic)
            where = [TopicPartition(topic, p) for topic in topics for p in range(len(found[topic]))]
            committed = _committed(admin, groups, where)
            settled = _offsets(admin, where, OffsetSpec.LATEST)
            self._wait_for_transactions(admin, settled)
            ends = _offsets(admin, where, OffsetSpec.LATEST)
            begins = _offsets(admin, where, OffsetSpec.EARLIEST)
            firsts = admin.list_partition_offsets(dict.fromkeys(where, 0))
        spans = {}
        for tp in where:
            since_ms = firsts[tp].timestamp if firsts[tp].offset >= 0 else None
            spans[tp.topic, tp.partition] = Span(begins[tp], settled[tp], ends[tp], since_ms)
        return spans, committed

    def begins(self, where: Iterable[Where]) -> dict[Where, int]:
        """The first offset that each partition still has: retention may go on while its records are read."""
        from kafka import TopicPartition
        from kafka.admin import OffsetSpec

        with admin_of(self.access, "history") as admin:
            found = _offsets(admin, [TopicPartition(*each) for each in where], OffsetSpec.EARLIEST)
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def _wait_for_transactions(self, admin: Any, settled: Mapping[Any, int]) -> None:
        """Wait until no transaction is open that was open when these ends were taken."""
        from kafka import IsolationLevel
        from kafka.admin import OffsetSpec

        deadline = time.monotonic() + HELD_UP_S_MAX
        left = list(settled)
        while left:
            stable = _offsets(admin, left, OffsetSpec.LATEST, IsolationLevel.READ_COMMITTED)
            left = [tp for tp in left if stable[tp] < settled[tp]]
            if left and time.monotonic() > deadline:
                raise _held_up(left)
            if left:
                time.sleep(LOOK_AGAIN_S)

    def in_order_of_time(self, spans: Mapping[Where, Span], topics: Sequence[str]) -> Iterator[RawRecord]:
        """Read every span; at one moment records come in the order of ``topics``."""
        from kafka.errors import KafkaError

        try:
            with closing(self._consumer()) as consumer:
                yield from _Merge(consumer, spans, topics)
        except KafkaError as error:
            raise in_our_words(error, self.access) from error


class _Merge:
    """Takes always the earliest of the partitions' next records; partitions that are ahead wait."""

    def __init__(self, consumer: Any, spans: Mapping[Where, Span], topics: Sequence[str]) -> None:
        from kafka import TopicPartition

        self._consumer = consumer
        self._rank = {topic: number for number, topic in enumerate(topics)}
        self._ends = {
            TopicPartition(*where): span.end for where, span in spans.items() if span.begin < span.end
        }
        self._waiting: dict[Any, deque[RawRecord]] = {tp: deque() for tp in self._ends}
        self._hungry = set(self._ends)
        """Partitions of which nothing is here, and something is to come."""
        self._next: list[tuple[int, int, int, Any]] = []
        consumer.assign(list(self._ends))
        for (topic, partition), span in spans.items():
            if span.begin < span.end:
                consumer.seek(TopicPartition(topic, partition), span.begin)

    def __iter__(self) -> Iterator[RawRecord]:
        moved = time.monotonic()
        while self._hungry or self._next:
            if not self._hungry:
                yield self._earliest()
                moved = time.monotonic()
            elif not self._fetch() and time.monotonic() - moved > HELD_UP_S_MAX:
                raise _held_up(sorted(self._hungry))

    def _earliest(self) -> RawRecord:
        tp = heapq.heappop(self._next)[-1]
        record = self._waiting[tp].popleft()
        self._offer(tp)
        return record

    def _offer(self, tp: Any) -> None:
        """Put a partition's next record up, or fetch more of it, unless it was the last."""
        if self._waiting[tp]:
            record = self._waiting[tp][0]
            heapq.heappush(self._next, (record.timestamp_ms, self._rank[tp.topic], tp.partition, tp))
        elif self._consumer.position(tp) < self._ends[tp]:
            self._hungry.add(tp)

    def _fetch(self) -> bool:
        """Fetch for the hungry only; tell whether one of them was helped."""
        ahead = set(self._ends) - self._hungry
        self._consumer.pause(*(ahead - self._consumer.paused()))
        self._consumer.resume(*(self._hungry & self._consumer.paused()))
        for tp, records in self._consumer.poll(timeout_ms=POLL_MS, max_records=WHATEVER_CAME).items():
            end = self._ends[tp]
            self._waiting[tp].extend(raw_record(record) for record in records if record.offset < end)
        helped = False
        for tp in sorted(self._hungry):
            if self._waiting[tp] or self._consumer.position(tp) >= self._ends[tp]:
                helped = True
                self._hungry.discard(tp)
                self._offer(tp)
        return helped


def _offsets(admin: Any, where: Sequence[Any], spec: Any, isolation: Any = None) -> dict[Any, int]:
    from kafka import IsolationLevel

    level = IsolationLevel.READ_UNCOMMITTED if isolation is None else isolation
    found = admin.list_partition_offsets(dict.fromkeys(where, spec), isolation_level=level)
    return {tp: int(each.offset) for tp, each in found.items()}


def _committed(admin: Any, groups: Mapping[str, Sequence[str]], where: Sequence[Any]) -> dict[Where, int]:
    """What each group has committed; where it has committed nothing there is no entry."""
    asked = {group: [tp for tp in where if tp.topic in topics] for group, topics in groups.items()}
    answers = admin.list_group_offsets(asked)
    return {
        (tp.topic, tp.partition): int(found.offset)
        for answer in answers.values()
        for tp, found in answer.items()
        if found.offset >= 0
    }


def _held_up(where: Sequence[Any]) -> Trouble:
    names = ", ".join(f"{tp.topic}-{tp.partition}" for tp in where[:3])
    return Trouble(
        f"partitions that an open transaction holds up: {len(where)}",
        where=names,
        why=f"nothing of them could be read for {HELD_UP_S_MAX:.0f} s",
        mend="kafka-transactions.sh find-hanging names it",
    )
