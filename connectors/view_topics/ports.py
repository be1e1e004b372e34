"""The records of a view's topic, in pages, and from where to go on (V1-V3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from connectors.kafka_follower import Positions


class Expired(Exception):  # noqa: N818 - it has expired
    """Positions that the topic no longer has."""


class Change(NamedTuple):
    """One record of a view topic, decoded; `value` None is a retraction. `timestamp_ms` is the broker's."""

    key: str
    value: dict[str, Any] | None
    headers: tuple[tuple[str, str], ...]
    timestamp_ms: int
    partition: int
    offset: int


class Page(NamedTuple):
    """Some changes in order within each partition, where to go on, and whether that is the end for now."""

    changes: Sequence[Change]
    positions: Positions
    at_end: bool


class Views(Protocol):
    """The view topics, read committed. Nothing that it answers is older than the question."""

    async def page(self, agreement: str, positions: Positions, limit: int) -> Page:
        """Return at most `limit` changes from there on; Expired, Away.

        A view that a later record of its key has replaced is left out, whoever asks: its content may no
        longer be permitted (V1). A retraction never is. What a replaced view superseded is told with the
        view that is there now (V2), which then comes again in its own place.
        """

    async def wait(self, agreement: str, positions: Positions, seconds: float) -> None:
        """Return once something lies beyond these positions, or after that time; Away."""

    async def latest(self, agreement: str, key: str) -> Change | None:
        """Return the last record under a key, a retraction too; None when there is none. Away."""
