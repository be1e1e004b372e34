"""Which dead letters nobody has dealt with, followed on their topics and told as gauges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence

import msgspec

from connectors.kafka_reader import RawRecord
from postroom.canary.metrics import LETTERS_CLOSED, LETTERS_OLDEST, LETTERS_OPEN
from processors import DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC
from processors.dead_letters import (
    CLOSING,
    Decision,
    Letter,
    Standing,
    read_either,
    standings,
)

TOPICS = (DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC)
KEPT_MS = 90 * 24 * 3_600_000
"""As long as the topic keeps letters (`postroom/topics.py`)."""


class Letters:
    """All that is known of letters; what became of each is said as `postroom dlq` says it (E7)."""

    def __init__(self, types: Container[str]) -> None:
        self._types = types
        self._letters: dict[str, Letter] = {}
        self._decisions: dict[tuple[int, int], Decision] = {}
        self._standings: Sequence[Standing] | None = None
        self._told: set[tuple[str, str]] = set()

    def take(self, record: RawRecord) -> None:
        """Take one record; what cannot be read is nobody's letter."""
        match read_either(record.topic, record.value):
            case Letter() as letter:
                self._letters[letter.place] = letter
            case Decision() as decision:
                asked = (decision.request_partition, decision.request_offset)
                # Who did it and why is kept on the topic for years, and needs no room here.
                self._decisions[asked] = msgspec.structs.replace(decision, by="", why="")
        self._standings = None

    def tell(self, now_ms: int) -> None:
        """Set the gauges; what is as old as the topic keeps is forgotten with it."""
        found = self._known(now_ms - KEPT_MS)
        waiting = [each.letter for each in found if each.state == "open"]
        counts = Counter((self._type(letter), letter.reason) for letter in waiting)
        for labels in self._told | counts.keys():
            LETTERS_OPEN.labels(*labels).set(counts[labels])
        self._told |= counts.keys()
        oldest_ms = waiting[0].timestamp_ms if waiting else now_ms
        LETTERS_OLDEST.set(max(0, now_ms - oldest_ms) / 1000)
        closed = Counter(each.state for each in found)
        for result in CLOSING:
            LETTERS_CLOSED.labels(result.value).set(closed[result.value])

    def _known(self, since_ms: int) -> Sequence[Standing]:
        """Put together what is known, once for each change: a flood of letters is not sorted every look."""
        found = self._standings
        if found is None or (found and found[0].letter.timestamp_ms < since_ms):
            self._letters = {place: at for place, at in self._letters.items() if at.timestamp_ms >= since_ms}
            # A decision is later than its letter: the letter of an old one is gone too.
            self._decisions = {asked: at for asked, at in self._decisions.items() if at.at_ms >= since_ms}
            found = self._standings = standings(self._letters.values(), self._decisions.values())
        return found

    def _type(self, letter: Letter) -> str:
        # INVARIANT: a type that no contract has is the publisher's own text, and no label.
        return letter.type if letter.type is not None and letter.type in self._types else "unknown"
