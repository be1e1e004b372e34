"""What the gateway needs of the ledger of obligations (V4), and knows only by these words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


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
