"""The ledger of obligations without a broker: for tests. It ships with the product."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.gateway.ports import Obligation


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
