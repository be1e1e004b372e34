"""Stopping an aiokafka consumer, which ends its own end where a fetch had just failed.

Such a fetch sleeps before it is tried again. `Fetcher.close` (0.14.0) cancels it there and awaits it, so
that its CancelledError comes out of `stop` although nobody cancelled us. It passes every `except Exception`
on its way: a Faust worker never ended, a task that was restoring would be lost.
``tests/core/test_consumer_stop.py`` shows it.
"""

from __future__ import annotations

import asyncio
from typing import Any


async def stop_consumer(consumer: Any) -> None:
    """Stop it whole; CancelledError only if the caller is what was cancelled."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        await consumer._client.close()  # what would have followed


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
