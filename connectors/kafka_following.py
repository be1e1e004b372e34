"""Follows topics from now on, in a thread of its own, into a queue: what a subscriber hears as it comes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from contextlib import closing

from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import RawRecord, TopicReader
from connectors.trouble import Trouble

AGAIN_S = 2.0


class Following:
    """Records of topics that are committed after :meth:`start`, in order within each partition.

    A cluster that goes away is asked again; what was written meanwhile is not read, as by one who comes anew.
    """

    def __init__(self, access: KafkaAccess, topics: Sequence[str]) -> None:
        self._reader, self._topics = TopicReader(access), topics
        self._arrived: queue.Queue[RawRecord] = queue.Queue(maxsize=10_000)
        self._standing = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="following")

    def start(self, within_s: float) -> bool:
        """Begin; return whether the topics' ends were found in time, from which on nothing is missed."""
        self._thread.start()
        return self._standing.wait(within_s)

    def next(self, within_s: float) -> RawRecord | None:
        """Return the next record, None if none comes in time."""
        try:
            return self._arrived.get(timeout=max(0.0, within_s))
        except queue.Empty:
            return None

    def close(self) -> None:
        """End."""
        self._ended.set()

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                with closing(self._reader.onward(self._topics, from_now=True)) as records:
                    self._standing.set()
                    for record in records:
                        if self._ended.is_set():
                            return
                        if record is not None:
                            self._arrived.put(record)
            except Trouble:
                self._ended.wait(AGAIN_S)
