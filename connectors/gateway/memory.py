"""The ports without a broker: for tests of what the gateway does with requests. It ships with the product."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from connectors.gateway.ports import Away, Change, Expired, Full, Headers, Obligation, Page, Positions
from schemas import Contract

PARTITIONS = 3


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


class MemoryViews:
    """View topics as lists; `away` as if the broker were."""

    def __init__(self) -> None:
        self.topics: dict[str, list[list[Change]]] = {}
        self.away = False
        self._changed = asyncio.Event()

    def write(
        self,
        agreement: str,
        key: str,
        value: dict[str, Any] | None,
        headers: Sequence[tuple[str, str]] = (),
        timestamp_ms: int = 0,
        partition: int | None = None,
    ) -> None:
        """Append one record."""
        partitions = self._partitions(agreement)
        number = sum(key.encode()) % PARTITIONS if partition is None else partition
        offset = len(partitions[number])
        partitions[number].append(Change(key, value, tuple(headers), timestamp_ms, number, offset))
        self._changed.set()
        self._changed = asyncio.Event()

    async def page(self, agreement: str, positions: Positions, limit: int) -> Page:
        """Return changes from there on."""
        self._there()
        partitions = self._partitions(agreement)
        reached = [*positions, *([0] * (PARTITIONS - len(positions)))]
        beyond = any(at > len(records) for at, records in zip(reached, partitions, strict=False))
        if beyond or len(positions) > PARTITIONS:
            raise Expired
        changes: list[Change] = []
        for number, records in enumerate(partitions):
            found = records[reached[number] :][: limit - len(changes)]
            changes += found
            reached[number] += len(found)
        at_end = all(at == len(records) for at, records in zip(reached, partitions, strict=True))
        return Page(changes, tuple(reached), at_end)

    async def wait(self, agreement: str, positions: Positions, seconds: float) -> None:
        """Wait for the next record of any topic."""
        self._there()
        if self._beyond(agreement, positions):
            return
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    async def latest(self, agreement: str, key: str) -> Change | None:
        """Return the last record under a key."""
        self._there()
        found = [each for records in self._partitions(agreement) for each in records if each.key == key]
        return found[-1] if found else None

    def _beyond(self, agreement: str, positions: Positions) -> bool:
        reached = [*positions, *([0] * PARTITIONS)]
        return any(len(records) > reached[n] for n, records in enumerate(self._partitions(agreement)))

    def _partitions(self, agreement: str) -> list[list[Change]]:
        return self.topics.setdefault(agreement, [[] for _ in range(PARTITIONS)])

    def _there(self) -> None:
        if self.away:
            raise Away("the broker is away")


class MemoryLedger:
    """Obligations as a list."""

    def __init__(self) -> None:
        self.entries: list[Obligation] = []

    async def of(self, subscriber: str) -> Sequence[Obligation]:
        """Return one subscriber's."""
        return [each for each in self.entries if each.subscriber == subscriber and not each.acknowledged_ms]

    async def find(self, obligation: str) -> Obligation | None:
        """Return one."""
        return next((each for each in self.entries if each.obligation == obligation), None)
