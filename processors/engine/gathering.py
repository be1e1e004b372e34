"""How long the broker gathers before it answers a fetch: aiokafka fixes that at construction, we do not.

While records come, many small answers cost more than waiting a little; while none come, waiting long costs
nothing. This is private of aiokafka (``tests/core/test_faust_private.py``).
"""

from __future__ import annotations

from typing import Any

FETCHER_ATTRIBUTES = ("_fetch_max_wait_ms", "_fetch_min_bytes")


def set_gathering(consumer: Any, wait_ms: int, bytes_min: int) -> None:
    """Set both for the consumer's next requests."""
    consumer._fetcher._fetch_max_wait_ms = wait_ms
    consumer._fetcher._fetch_min_bytes = bytes_min
