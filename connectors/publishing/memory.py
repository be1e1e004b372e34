"""The ports of publishing without a broker: for tests of doors. It ships with the product."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from connectors.away import Away, Full
from connectors.publishing.ports import Headers
from schemas import Contract


class Sent(NamedTuple):
    """One record as it was handed over."""

    topic: str
    value: bytes
    headers: Headers


class MemorySink:
    """Keeps what it is given; `held` leaves it unacknowledged, `away` fails it, `full` takes nothing."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.held = self.away = self.full = False
        self.waiting: list[asyncio.Future[None]] = []

    def send(self, topic: str, value: bytes, headers: Headers) -> asyncio.Future[None]:
        """Take one record."""
        if self.full:
            raise Full("enough is on its way", retry_after_s=1)
        delivery: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.away:
            delivery.set_exception(Away("the broker is away"))
            delivery.exception()  # looked at, so that nobody who does not wait for it is warned of
            return delivery
        self.sent.append(Sent(topic, value, headers))
        if self.held:
            self.waiting.append(delivery)
        else:
            delivery.set_result(None)
        return delivery

    def acknowledge(self) -> None:
        """Acknowledge what was held."""
        for delivery in self.waiting:
            delivery.set_result(None)
        self.waiting.clear()


class MemoryRegistry:
    """Knows every contract under a number."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self.ids = {type_: number for number, type_ in enumerate(sorted(contracts), start=1)}
        self.schemas: dict[int, dict[str, Any]] = {
            self.ids[type_]: dict(contract.schema) for type_, contract in contracts.items()
        }

    async def schema_id(self, contract: Contract) -> int | None:
        """Return its number."""
        return self.ids.get(contract.type)

    async def writer(self, schema_id: int) -> dict[str, Any] | None:
        """Return the schema under a number."""
        return self.schemas.get(schema_id)
