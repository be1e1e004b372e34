"""What the states of a task hold together, kept with them in one transaction (docs/adr/0040).

A step says by how much it changes that, the engine adds it to the task's memory, and the memory is committed
with the states. So the sums are exactly as consistent as the states: after a crash, a restart or a rebalance
they are right at once, without a look at any state. Only what an earlier release left uncounted is counted
anew, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from processors.engine.changelog import WAKE_BYTES, TaskMemory, body_of
from processors.engine.store import Changes, Store
from processors.stage import Stage

TALLIED = 1
"""Raised when stages begin to tally otherwise: then every task counts anew at its next opening."""

KEYS, BYTES = "keys", "bytes"
"""The engine's own: how many states there are, and the bytes of their values."""

_CHUNK = 2_000


def add(memory: TaskMemory, changes: Mapping[str, int]) -> None:
    """Add what a step changed; what nothing holds any more is left out, so that the memory stays small."""
    for name, change in changes.items():
        total = memory.tallies.get(name, 0) + change
        if total:
            memory.tallies[name] = total
        else:
            memory.tallies.pop(name, None)


def growth(changes: Changes, before: Mapping[bytes, bytes]) -> dict[str, int]:
    """Return by how much changes of states change their number and size; ``before`` has what they replace."""
    keys = size = 0
    for key, value in changes.items():
        old = before.get(key)
        if old is not None:
            keys -= 1
            size -= len(old) - WAKE_BYTES
        if value is not None:
            keys += 1
            size += len(value) - WAKE_BYTES
    return {KEYS: keys, BYTES: size}


def recount(store: Store, stage: Stage) -> dict[str, int]:
    """Count every state of a store: what ``add`` and ``growth`` must have come to."""
    found: Counter[str] = Counter()
    cursor = b""
    while keys := store.keys_after(cursor, _CHUNK):
        cursor = keys[-1]
        for key, packed in store.get_many(keys).items():
            body = body_of(packed)
            found.update(stage.tally(key, body))
            found[KEYS] += 1
            found[BYTES] += len(body)
    return dict(found)


def count_what_nobody_counted(memory: TaskMemory, store: Store, stage: Stage) -> None:
    """Count a state that an earlier release has written; the next step commits it."""
    if memory.tallied != TALLIED:
        memory.tallies, memory.tallied = recount(store, stage), TALLIED
