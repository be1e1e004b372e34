"""What publishing needs of the world, and knows only by these words. `postroom` gives it the real things."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from schemas import Contract, Rejection

Headers = tuple[tuple[str, bytes], ...]
"""Kafka headers, in their order."""


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
