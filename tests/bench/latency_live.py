"""Plays events at a rate to running workers and sees when each has come into a committed view.

Three moments an event: when the broker appended it, when the broker appended the view that shows it, and when
a subscriber that reads committed was given that view. The last is what V7 promises, commit included.
"""

from __future__ import annotations

import io
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from fastavro import parse_schema, schemaless_reader

from processors import view_topic
from schemas import unframe
from tests.bench.ground import Ground
from tests.bench.latency_events import WITHDRAWN, Told, numbers
from tests.bench.topics import ends
from tests.bench.w1.terms import AGREEMENTS

POLL_S = 0.1
FLUSH_S = 60
SLICE_S = 0.002
VIEWS = tuple(view_topic(name) for name in AGREEMENTS.values())


@dataclass
class Shown:
    """One event that reached a view; the broker and the reader have one clock, being on one machine."""

    told: Told
    appended_ms: int
    written_ms: int
    seen_ms: float

    @property
    def withdrawal(self) -> bool:
        """Whether it ended a view."""
        return self.told.part == WITHDRAWN


class Watcher(threading.Thread):
    """A subscriber of every view that reads committed and notes when it was given each record."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(daemon=True)
        self.records: deque[tuple[bytes, bytes | None, int, float]] = deque()
        self._over = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": ground.stack.kafka,
                "log_level": 0,
                "group.id": "bench-watcher",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            }
        )
        self._consumer.assign(
            [TopicPartition(*place, offset) for place, offset in ends(ground, VIEWS).items()]
        )
        self.start()

    def run(self) -> None:
        """Take each record as it comes."""
        while not self._over.is_set():
            message = self._consumer.poll(POLL_S)
            if message is not None and message.error() is None:
                stamp = message.timestamp()[1]
                self.records.append((message.key(), message.value(), stamp, time.time() * 1000))
        self._consumer.close()

    def stop(self) -> None:
        """Stop reading."""
        self._over.set()
        self.join()


@dataclass
class Ledger:
    """Which events have reached a view, and which are still awaited."""

    ground: Ground
    appended_ms: dict[str, int] = field(default_factory=dict)
    """By what identifies the event; filled by acknowledgements."""
    shown: list[Shown] = field(default_factory=list)
    _awaited: dict[tuple[str, str], deque[Told]] = field(default_factory=lambda: defaultdict(deque))
    _schemas: dict[int, Any] = field(default_factory=dict)

    def expect(self, told: Told) -> None:
        """Wait for this event; grants are not awaited, for no view shows them alone."""
        if told.part:
            self._awaited[told.citizen, told.part].append(told)

    @property
    def awaited(self) -> int:
        """How many have not come."""
        return sum(map(len, self._awaited.values()))

    def take(self, watcher: Watcher) -> None:
        """Settle what the records that have come show; a later fact in a view settles the earlier ones."""
        while watcher.records:
            key, value, written_ms, seen_ms = watcher.records.popleft()
            for part, number in numbers(None if value is None else self._decoded(value)).items():
                awaited = self._awaited.get((key.decode(), part), ())
                while awaited and awaited[0].number <= number:
                    told = awaited.popleft()
                    self.shown.append(Shown(told, self.appended_ms[_name(told)], written_ms, seen_ms))

    def _decoded(self, value: bytes) -> Any:
        schema_id, body = unframe(value)
        if schema_id not in self._schemas:
            self._schemas[schema_id] = parse_schema(self.ground.registry.schema_by_id(schema_id))
        return schemaless_reader(io.BytesIO(body), self._schemas[schema_id], None)


def play(ground: Ground, ledger: Ledger, events: Sequence[Told], rate: float | None) -> float:
    """Produce the events, so many a second or as fast as may be; return the seconds it took."""
    producer = Producer(
        {
            "bootstrap.servers": ground.stack.kafka,
            "log_level": 0,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 1,
            "queue.buffering.max.messages": 500_000,
        }
    )
    for told in events:
        ledger.expect(told)
    started = time.perf_counter()
    for number, told in enumerate(events):
        if rate is not None:
            while (early := started + number / rate - time.perf_counter()) > 0:
                producer.poll(0)
                time.sleep(min(early, SLICE_S))
        landed = partial(_landed, ledger, told)
        producer.produce(told.topic, told.value, told.citizen, headers=told.headers, on_delivery=landed)
        if number % 100 == 0:
            producer.poll(0)
    if producer.flush(FLUSH_S):
        raise SystemExit("bench: the broker did not take all events in time")
    return time.perf_counter() - started


def drain(ledger: Ledger, watcher: Watcher, limit_s: float, alive: Callable[[], None]) -> None:
    """Wait until every event has been shown, or for so long."""
    deadline = time.monotonic() + limit_s
    while True:
        ledger.take(watcher)
        alive()
        if not ledger.awaited or time.monotonic() > deadline:
            return
        time.sleep(0.2)


def _landed(ledger: Ledger, told: Told, error: Any, message: Message) -> None:
    if error is not None:
        raise SystemExit(f"bench: an event did not arrive: {error}")
    ledger.appended_ms[_name(told)] = message.timestamp()[1]


def _name(told: Told) -> str:
    return f"{told.citizen}-{told.number}"


def percentiles(latencies_ms: Iterable[float]) -> dict[str, int | None]:
    """The 50th, 99th and 99.9th by nearest rank; None where there are too few to say."""
    ordered = sorted(latencies_ms)
    return {
        name: round(ordered[min(int(len(ordered) * share), len(ordered) - 1)])
        if len(ordered) >= least
        else None
        for name, share, least in (("p50_ms", 0.5, 1), ("p99_ms", 0.99, 100), ("p99.9_ms", 0.999, 1000))
    }
