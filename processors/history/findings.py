"""What a history can show to be broken, and where: names that never change, and nobody's data.

A finding names topic, partition and offset, and the event by (source, id). It never holds a payload, a key or
an identifier: whoever may read the topic can look there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

FINDINGS_MAX = 1_000
"""Findings of one kind that are kept; what goes beyond is counted."""


class Anomaly(StrEnum):
    """What went wrong, in the order in which it is reported."""

    LOST_EVENT = "lost-event"
    DUPLICATE_EVENT = "duplicate-event"
    ABORTED_READ = "aborted-read"
    UNREADABLE_MESSAGE = "unreadable-message"
    OUT_OF_ORDER_SEQUENCE = "out-of-order-sequence"
    DUPLICATE_VIEW_WRITE = "duplicate-view-write"
    LOST_VIEW_WRITE = "lost-view-write"
    TWO_WRITERS = "two-writers"
    MISSING_DISCLOSURE = "missing-disclosure"
    DUPLICATE_DISCLOSURE = "duplicate-disclosure"
    WRONG_DISCLOSURE = "wrong-disclosure"
    MISSING_OBLIGATION = "missing-obligation"
    STALE_CONSENT = "stale-consent"
    VIEW_DIFFERS = "view-differs-from-replay"


class Broken(NamedTuple):
    """The promise that an anomaly breaks, and what it means for a person."""

    rule: str
    meaning: str


MEANING: Mapping[Anomaly, Broken] = {
    Anomaly.LOST_EVENT: Broken("V6", "what was said has not reached the next stage"),
    Anomaly.DUPLICATE_EVENT: Broken("V6", "one event was taken in twice, or one message sent twice"),
    Anomaly.ABORTED_READ: Broken("V6", "a stage acted on a record that was never committed"),
    Anomaly.UNREADABLE_MESSAGE: Broken("V6", "a message that no stage can read; its reader stops before it"),
    Anomaly.OUT_OF_ORDER_SEQUENCE: Broken("V3", "a key's sequence does not rise by one"),
    Anomaly.DUPLICATE_VIEW_WRITE: Broken("V1", "a view was written twice, or without a change"),
    Anomaly.LOST_VIEW_WRITE: Broken("V1", "a view was disclosed and is not on its topic"),
    Anomaly.TWO_WRITERS: Broken("V2", "a second person's record wrote a key that the first still held"),
    Anomaly.MISSING_DISCLOSURE: Broken("V5", "a view left the backbone without an entry in the log"),
    Anomaly.DUPLICATE_DISCLOSURE: Broken("V5", "one view write has two entries in the log"),
    Anomaly.WRONG_DISCLOSURE: Broken("V5", "the log's commitment is to another content than was written"),
    Anomaly.MISSING_OBLIGATION: Broken("V4", "a withdrawn value is not owed to be deleted"),
    Anomaly.STALE_CONSENT: Broken("V7", "a view rests on a consent whose withdrawal had been taken in"),
    Anomaly.VIEW_DIFFERS: Broken("V1", "a view is not what the events lead to"),
}
"""Each anomaly with its rule, for operators and for the command's table."""


class Place(NamedTuple):
    """Where a record is."""

    topic: str
    partition: int
    offset: int


class Finding(NamedTuple):
    """One broken promise: which, where, about which event if that is known, and what exactly."""

    anomaly: Anomaly
    place: Place
    what: str
    event: tuple[str, str] | None = None


class Findings:
    """Collects findings, the first of each kind; a broken backbone must not break its checker too."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts: Counter[Anomaly] = Counter()

    def add(self, anomaly: Anomaly, place: Place, what: str, event: tuple[str, str] | None = None) -> None:
        """Note a broken promise."""
        self.counts[anomaly] += 1
        if self.counts[anomaly] <= FINDINGS_MAX:
            self.kept.append(Finding(anomaly, place, what, event))

    def in_order(self) -> list[Finding]:
        """Return what is kept, by kind and then by place."""
        kinds = list(Anomaly)
        return sorted(self.kept, key=lambda finding: (kinds.index(finding.anomaly), finding.place))
