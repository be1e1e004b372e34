"""The ledger of obligations, followed from its changelog (V4, ADR 0004)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from connectors.gateway.ports import Obligation
from connectors.kafka_access import KafkaAccess
from connectors.kafka_follower import Follower

WITHIN_S = 10.0

Decode = Callable[[bytes, bytes], Obligation | None]
"""From a changelog's key and value to an obligation; None for what is none (yet)."""


class _Entries:
    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self.by_id: dict[str, Obligation] = {}
        self.unsettled: dict[str, dict[str, Obligation]] = defaultdict(dict)

    def take(self, record: Any) -> None:
        if record.key is None or record.value is None:
            return
        found = self._decode(record.key, record.value)
        if found is None:
            return
        self.by_id[found.obligation] = found
        mine = self.unsettled[found.subscriber]
        if found.acknowledged_ms is None:
            mine[found.obligation] = found
        else:
            mine.pop(found.obligation, None)

    def start_over(self) -> None:
        self.by_id.clear()
        self.unsettled.clear()


class TopicLedger:
    """What subscribers owe, as the changelog has it when it is asked."""

    def __init__(self, access: KafkaAccess, topic: str, decode: Decode) -> None:
        self._entries = _Entries(decode)
        self._follower = Follower(access, topic, self._entries)

    @property
    def waiting_for(self) -> list[str]:
        """Name the topic while it was not read to its end yet."""
        return [] if self._follower.is_ready else [self._follower.topic]

    def start(self) -> None:
        """Begin to follow."""
        self._follower.start()

    async def stop(self) -> None:
        """End."""
        await self._follower.stop()

    async def of(self, subscriber: str) -> Sequence[Obligation]:
        """Return one subscriber's that are not settled; Away."""
        await self._follower.reached_the_end(WITHIN_S)
        return list(self._entries.unsettled.get(subscriber, {}).values())

    async def find(self, obligation: str) -> Obligation | None:
        """Return one; Away."""
        await self._follower.reached_the_end(WITHIN_S)
        return self._entries.by_id.get(obligation)
