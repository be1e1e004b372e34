"""What the gateway needs of the world, and knows only by these words. `postroom` gives it the real things."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from schemas import Contract, Rejection

Headers = tuple[tuple[str, bytes], ...]
"""Kafka headers, in their order."""

Positions = tuple[int, ...]
"""The next offset to read, by partition number; partitions beyond its end are read from their beginning."""


class Away(Exception):  # noqa: N818 - it is away
    """What an answer needs cannot be had now; `retry_after_s` says when to ask again."""

    def __init__(self, why: str, retry_after_s: float = 5.0) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s


class Full(Away):
    """Too much is on its way already."""


class Expired(Exception):  # noqa: N818 - it has expired
    """Positions that the topic no longer has."""


class Sink(Protocol):
    """Where events go."""

    def send(self, topic: str, value: bytes, headers: Headers) -> asyncio.Future[None]:
        """Hand over one record; the future is done once every replica in sync has it, and fails with Away.

        Raises Full at once when it can hold no more. Cancelling the future does not take the record back.
        """


class Registered(Protocol):
    """What the schema registry knows of contracts."""

    async def schema_id(self, contract: Contract) -> int | None:
        """Return the id of a contract's schema, None when it is not registered; Away."""

    async def writer(self, schema_id: int) -> dict[str, Any] | None:
        """Return the schema with this id, None when there is none; Away."""


class LastWord(Protocol):
    """Intake itself (E7), so that the gateway accepts nothing that the backbone would reject."""

    def __call__(self, line: bytes, now_ms: int, /) -> Rejection | None:
        """Return why intake would reject this CloudEvent in JSON, None when it would accept it."""


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
        """Return at most `limit` changes from there on; Expired, Away."""

    async def wait(self, agreement: str, positions: Positions, seconds: float) -> None:
        """Return once something lies beyond these positions, or after that time; Away."""

    async def latest(self, agreement: str, key: str) -> Change | None:
        """Return the last record under a key, a retraction too; None when there is none. Away."""


class Obligation(NamedTuple):
    """One entry of the ledger (V4): `state` open, overdue or done; moments in UTC ms."""

    obligation: str
    subscriber: str
    agreement: str
    key: str
    fields: tuple[str, ...]
    since_ms: int
    deadline_ms: int
    acknowledged_ms: int | None

    def state(self, now_ms: int) -> str:
        """Return open, overdue or done."""
        if self.acknowledged_ms is not None:
            return "done"
        return "overdue" if self.deadline_ms <= now_ms else "open"


class Ledger(Protocol):
    """What subscribers owe. Nothing that it answers is older than the question."""

    async def of(self, subscriber: str) -> Sequence[Obligation]:
        """Return the obligations of one subscriber that are not settled; Away."""

    async def find(self, obligation: str) -> Obligation | None:
        """Return one obligation, settled or not; Away."""
