"""A connector that ends in a broker in memory, and what may become of the two."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any

from connectors.publishing.memory import MemorySink, Sent
from tests.contract.connector_contract import Carrier, Fuse


class IntoSink(Carrier):
    """What publishes into a :class:`MemorySink`, which outlives the connector as a broker does."""

    def begin(self) -> None:
        """Start for the first time."""
        self.fuse = Fuse()
        self.told: list[str] = []
        self.rig = self.started()
        self.sent: list[Sent] = self.sink.sent

    @abstractmethod
    def started(self) -> Any:
        """Return a rig around a connector that has just started: its files are there, its memory is not."""

    def stopped(self) -> None:
        """Let go of what a killed process would have let go of."""

    @property
    def sink(self) -> MemorySink:
        found: MemorySink = self.rig.sink
        return found

    @abstractmethod
    def run(self, step: Any) -> None:
        """Run a coroutine in the connector's own loop."""

    def die_at(self, touch: int) -> None:
        self.fuse.left = touch

    def restart(self) -> None:
        away, held = self.sink.away, self.sink.held
        self.stopped()
        self.rig, self.fuse = self.started(), Fuse()
        self.sink.sent = self.sent
        self.sink.away, self.sink.held = away, held

    def peer(self, state: str) -> None:
        self.sink.away, self.sink.held = state == "dead", state == "slow"
        if state == "well":
            self.run(_acknowledged(self.sink))

    def reported(self) -> str:
        return "\n".join(self.told)


async def _acknowledged(sink: MemorySink) -> None:
    sink.acknowledge()
    await asyncio.sleep(0)
