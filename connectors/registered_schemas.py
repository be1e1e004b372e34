"""What the schema registry knows, asked once and kept: an id never changes its schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from connectors.away import Away
from connectors.registry import Registry
from connectors.trouble import Trouble
from schemas import Contract

MISSING_S = 5.0
MISSING_MAX = 10_000


class RegisteredSchemas:
    """Ids of contracts and schemas by id. What is missing is asked for again after some seconds."""

    def __init__(self, registry: Registry, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._monotonic_s = monotonic_s
        self._ids: dict[str, tuple[object, int]] = {}
        self._schemas: dict[int, dict[str, Any]] = {}
        self._missing: dict[str | int, float] = {}

    async def schema_id(self, contract: Contract) -> int | None:
        """Return the id of a contract's schema under its topic's subject (E2)."""
        known = self._ids.get(contract.type)
        # INVARIANT: the id is of this very schema. A question that was under way during a renewal may have
        # brought that of the one before.
        found = known[1] if known is not None and known[0] is contract.schema else None
        if found is None and not self._was_missing(contract.type):
            subject = f"{contract.type}-value"
            found = await self._ask(lambda: self._registry.find(subject, contract.schema))
            if found is None:
                self._missing[contract.type] = self._monotonic_s()
            else:
                self._ids[contract.type] = contract.schema, found
        return found

    def forget_ids(self) -> None:
        """Ask again for every contract's id: its schema may be another."""
        self._ids.clear()
        self._missing.clear()

    async def writer(self, schema_id: int) -> dict[str, Any] | None:
        """Return the schema with this id."""
        found = self._schemas.get(schema_id)
        if found is None and not self._was_missing(schema_id):
            found = await self._ask(lambda: self._registry.schema_by_id(schema_id))
            if found is None:
                self._missing[schema_id] = self._monotonic_s()
            else:
                self._schemas[schema_id] = found
        return found

    def _was_missing(self, name: str | int) -> bool:
        if len(self._missing) > MISSING_MAX:
            self._missing.clear()
        at_s = self._missing.get(name)
        return at_s is not None and self._monotonic_s() - at_s < MISSING_S

    async def _ask(self, ask: Callable[[], Any]) -> Any:
        try:
            return await asyncio.to_thread(ask)
        except Trouble:
            raise Away("the schema registry is away") from None
