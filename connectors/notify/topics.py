"""The two topics that notices stand on: the disclosure log, and the notifier's own view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from connectors.kafka_positions import TopicPositions, are_beyond
from connectors.kafka_reader import RawRecord
from connectors.notify.journal import Journal
from connectors.notify.rounds import LogRecord

RECORDS_MAX = 500
WAIT_MS = 200

Value = Callable[[RawRecord], tuple[str, dict[str, Any] | None]]
"""Decodes a record of a view: its key, and its value or None."""


class DisclosureLog:
    """The log, from where the journal has come."""

    def __init__(self, topic: TopicPositions, journal: Journal) -> None:
        self._topic = topic
        topic.go_to(journal.begin(topic.topic_id, topic.begins(), topic.ends()))

    def read(self) -> Sequence[LogRecord]:
        """Return what comes next."""
        found = self._topic.poll(RECORDS_MAX, WAIT_MS)
        return [LogRecord(each.partition, each.offset, each.value) for each in found]


class ViewAddresses:
    """The addresses of the view as it is now; in memory only, and read anew at each start."""

    def __init__(self, topic: TopicPositions, value: Value, attribute: str) -> None:
        self._topic, self._value, self._attribute = topic, value, attribute
        self._held: dict[str, str] = {}
        topic.go_to_beginning()
        self.catch_up()

    def of(self, key: str) -> str | None:
        """Return the address under a key, None when there is none or it was retracted."""
        self.catch_up()
        return self._held.get(key)

    def catch_up(self) -> None:
        """Read the view to its end.

        INVARIANT: as it is now, or a retraction might lie just behind.
        """
        ends = self._topic.ends()
        while not are_beyond(self._topic.positions(), ends):
            for record in self._topic.poll(RECORDS_MAX, WAIT_MS):
                key, value = self._value(record)
                address = (value or {}).get(self._attribute)
                if isinstance(address, str) and address:
                    self._held[key] = address
                else:
                    self._held.pop(key, None)
