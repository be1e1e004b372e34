"""Which dead letters nobody has dealt with, followed on their topics and told as gauges."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container
from typing import Any, NamedTuple

from connectors.kafka_reader import RawRecord
from postroom.canary_metrics import LETTERS_CLOSED, LETTERS_OLDEST, LETTERS_OPEN
from processors import DEAD_LETTERS_TOPIC

TOPICS = (DEAD_LETTERS_TOPIC,)
"""The letters; a topic beside it that says what became of each is read too."""
CLOSING = ("replayed", "discarded")
KEPT_MS = 90 * 24 * 3_600_000
"""As long as the topic keeps letters (`postroom/topics.py`)."""


class _Letter(NamedTuple):
    type: str
    reason: str
    timestamp_ms: int


class Letters:
    """All that is known of letters: each once, whatever order they and what was decided of them come in."""

    def __init__(self, types: Container[str]) -> None:
        self._types = types
        self._letters: dict[tuple[Any, ...], _Letter] = {}
        self._closed: dict[tuple[Any, ...], str] = {}
        self._told: set[tuple[str, str]] = set()

    def take(self, record: RawRecord) -> None:
        """Take one record; what cannot be read is nobody's letter."""
        try:
            said = json.loads(record.value or b"")
            place = (said["topic"], said["partition"], said["offset"])
            if record.topic == DEAD_LETTERS_TOPIC:
                # INVARIANT: a type that no contract has is the publisher's own text, and no label.
                type_ = said["type"] if said["type"] in self._types else "unknown"
                self._letters[place] = _Letter(type_, said["reason"], said["timestamp_ms"])
            elif said["result"] in CLOSING:
                self._closed.setdefault(place, said["result"])
        except (ValueError, TypeError, KeyError):
            return

    def tell(self, now_ms: int) -> None:
        """Set the gauges; what is as old as the topic keeps is forgotten with it."""
        for place in [p for p, letter in self._letters.items() if letter.timestamp_ms < now_ms - KEPT_MS]:
            del self._letters[place]
            self._closed.pop(place, None)
        waiting = [letter for place, letter in self._letters.items() if place not in self._closed]
        counts = Counter((letter.type, letter.reason) for letter in waiting)
        for labels in self._told | counts.keys():
            LETTERS_OPEN.labels(*labels).set(counts[labels])
        self._told |= counts.keys()
        oldest_ms = min((letter.timestamp_ms for letter in waiting), default=now_ms)
        LETTERS_OLDEST.set(max(0, now_ms - oldest_ms) / 1000)
        closed = Counter(result for place, result in self._closed.items() if place in self._letters)
        for result in CLOSING:
            LETTERS_CLOSED.labels(result).set(closed[result])
