"""The demo's subscribers: one reader for each view topic, with what it has read and when it had it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from connectors import Stack
from connectors.kafka_views import AvroReader, ReadRecord
from connectors.registry import Registry
from postroom.errors import Exit, UserError

LOOK_AGAIN_S = 0.2
Found = TypeVar("Found")


class Watched(Protocol):
    """The worker whose results are waited for: its log, and a check that raises when waiting is vain."""

    log: Path

    def check(self) -> None:
        """Raise UserError when it has ended, KeyboardInterrupt when the demo shall."""


class Seen(NamedTuple):
    """A record and when its reader had it, by this machine's clock (UTC ms)."""

    record: ReadRecord
    received_ms: int


class Readers:
    """Every subscriber follows its own topic, read committed, decoded by the registry's schema alone."""

    def __init__(self, stack: Stack, registry: Registry, topics: Iterable[str]) -> None:
        self._stack, self._registry = stack, registry
        self._news = threading.Condition()
        self._seen: dict[str, list[Seen]] = {topic: [] for topic in topics}
        self._failure: Exception | None = None
        self.last_news = time.monotonic()
        """When any of them read anything last, by the monotonic clock."""

    def start(self) -> None:
        """Begin to follow; the threads end with the process."""
        for topic in self._seen:
            threading.Thread(target=self._follow, args=(topic,), daemon=True, name=topic).start()

    def seen(self, topic: str, key: str | None = None) -> list[Seen]:
        """What the topic's reader has read so far, in its order."""
        with self._news:
            return [seen for seen in self._seen[topic] if key in (None, seen.record.key)]

    def people(self, topic: str) -> int:
        """How many views stand in the topic now."""
        latest = {seen.record.key: seen.record.value for seen in self.seen(topic)}
        return sum(value is not None for value in latest.values())

    def until(self, found: Callable[[], Found | None], what: str, seconds: float, worker: Watched) -> Found:
        """Wait until ``found`` has found it; UserError after so many seconds, or when the worker ended."""
        deadline = time.monotonic() + seconds
        while True:
            with self._news:
                if (result := found()) is not None:
                    return result
                self._news.wait(LOOK_AGAIN_S)
                if self._failure is not None:
                    raise self._failure
            worker.check()
            if time.monotonic() > deadline:
                raise UserError(
                    f"{what}: it did not come within {seconds:.0f} s",
                    where=str(worker.log),
                    why="the worker runs and its log may say what holds it up; so may a very busy machine",
                    mend="`postroom demo` again: every run invents its citizen anew",
                    code=Exit.FOUND,
                )

    def quiet(self, seconds: float) -> bool:
        """Whether no reader has read anything for so long."""
        return time.monotonic() - self.last_news > seconds

    def _follow(self, topic: str) -> None:
        try:
            for record in AvroReader(self._stack.access, self._registry).read(topic, follow=True):
                with self._news:
                    self._seen[topic].append(Seen(record, time.time_ns() // 1_000_000))
                    self.last_news = time.monotonic()
                    self._news.notify_all()
        except Exception as error:  # told to whoever waits
            self._failure = error
