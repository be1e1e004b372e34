"""What the notifier owes to delete, and its word that it has (V4): it is a subscriber like any other.

It holds addresses in memory only and drops one as soon as it has read its retraction. So an obligation is
fulfilled once the view's topic was read to its end after the obligation was seen, and is then acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from connectors.kafka_positions import TopicPositions
from connectors.notify.journal import Journal
from connectors.trouble import Trouble

RECORDS_MAX, WAIT_MS = 500, 50

Acknowledge = Callable[[str], None]
"""Writes the acknowledgement of an obligation and waits for the broker; Unreachable."""


class _Owed(msgspec.Struct):
    obligation: str


class UpToDate(Protocol):
    """Addresses that can be brought to the end of their topic."""

    def catch_up(self) -> None:
        """Read the view to its end; Unreachable."""


class Deletions:
    """The obligations of the notifier, from the beginning: what is acknowledged is known to the journal."""

    def __init__(
        self, topic: TopicPositions, journal: Journal, addresses: UpToDate, acknowledge: Acknowledge
    ) -> None:
        self._topic, self._journal = topic, journal
        self._addresses, self._acknowledge = addresses, acknowledge
        topic.go_to_beginning()

    def settle(self) -> int:
        """Acknowledge what was fulfilled; return how many obligations that were."""
        records = self._topic.poll(RECORDS_MAX, WAIT_MS)
        owed = [_obligation(each.value) for each in records]
        new = [each for each in owed if not self._journal.is_acknowledged(each)]
        if new:
            self._addresses.catch_up()
        for each in new:
            self._acknowledge(each)
            self._journal.acknowledged(each)
        return len(new)


def _obligation(value: bytes | None) -> str:
    try:
        return msgspec.json.decode(value or b"", type=_Owed).obligation
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Trouble(
            "a record of the notifier's obligations is none",
            why="only workers write there, so this one or the topic is damaged",
        ) from None
