"""Delivering every key once after the rules have changed (V9): beside live traffic, and to an end."""

from __future__ import annotations

from processors.engine.changelog import Sweep, TaskMemory
from processors.engine.store import Store


class Sweeper:
    """How far one task has come; all of it is in the task's memory, committed with the steps it delivers."""

    def __init__(self, memory: TaskMemory, store: Store) -> None:
        self._memory = memory
        self._store = store

    def begin(self, version: str | None) -> bool:
        """Tell whether keys are left to deliver for these rules; newer ones begin again from the first."""
        memory = self._memory
        if memory.swept == version:
            memory.sweep = None
            return False
        if memory.sweep is None or memory.sweep.version != version:
            memory.sweep = Sweep(version)
        return True

    def portion(self, limit: int) -> list[bytes]:
        """Return the next keys and move the cursor past them; the last portion ends the sweep.

        What a step changes is committed with the cursor, so a key comes again only if its step was not.
        """
        sweep = self._memory.sweep
        if sweep is None:
            return []
        keys = self._store.keys_after(sweep.cursor, limit)
        sweep.done += len(keys)
        if len(keys) < limit:
            self._memory.swept, self._memory.sweep = sweep.version, None
        else:
            sweep.cursor = keys[-1]
        return keys
