"""Bounds on what one client may ask: rate, size, depth. Memory and time are bounded by these numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from connectors.doors.problems import Problem

BATCH_EVENTS_MAX = 500
BATCH_BYTES_MAX = 8 * 1_048_576
SMALL_BYTES_MAX = 16_384  # an acknowledgement, the name of a key
BODY_S_MAX = 60  # for the greatest body, some 140 kB a second
HELD_BYTES_MAX = 64 * 1_048_576  # of one client's bodies, at once
ATTRIBUTES_BYTES_MAX = 16_384
DEPTH_MAX = 32
BURST_SECONDS = 2.0
STREAMS_MAX = 16  # of one client, at once


Hold = Callable[[int], None]
"""Counts so many bytes more; Problem `busy`."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class Rates:
    """A token bucket for each client: so many events or requests a second, twice that at once.

    A batch may overdraw it and is paid off before the next request: a batch is never impossible. Clients are
    those of the file, so there are no more buckets than clients.
    """

    def __init__(self, events_per_s: float, monotonic_s: Callable[[], float]) -> None:
        self._events_per_s = events_per_s
        self._monotonic_s = monotonic_s
        self._buckets: dict[str, _Bucket] = {}

    def take(self, client: str, events_per_s: float | None, count: int = 1) -> None:
        """Count `count` events of a client; Problem `too-many-requests` when nothing is left."""
        rate = events_per_s or self._events_per_s
        burst = max(1.0, rate * BURST_SECONDS)
        now_s = self._monotonic_s()
        bucket = self._buckets.setdefault(client, _Bucket(burst, now_s))
        bucket.tokens = min(burst, bucket.tokens + (now_s - bucket.at_s) * rate)
        bucket.at_s = now_s
        if bucket.tokens < 1:
            bound = f"at most {rate:g} events or requests a second, {burst:g} at once; wait for `Retry-After`"
            raise Problem("too-many-requests", bound, retry_after_s=(1 - bucket.tokens) / rate)
        bucket.tokens -= count

    def spend(self, client: str, count: int) -> None:
        """Count more of what was let in already."""
        self._buckets[client].tokens -= count


class Bodies:
    """How much of requests' bodies each client has here at once: half of a request takes memory, too."""

    def __init__(self) -> None:
        self._held_bytes: dict[str, int] = {}

    @contextmanager
    def of(self, client: str) -> Iterator[Hold]:
        """Give what counts a body's bytes until the request is answered; Problem `busy` beyond the bound."""
        mine = 0

        def hold(size_bytes: int) -> None:
            nonlocal mine
            held = self._held_bytes.get(client, 0) + size_bytes
            if held > HELD_BYTES_MAX:
                raise Problem("busy", f"at most {HELD_BYTES_MAX} bytes under way at once", retry_after_s=1)
            self._held_bytes[client], mine = held, mine + size_bytes

        try:
            yield hold
        finally:
            self._held_bytes[client] = self._held_bytes.get(client, 0) - mine


async def read_body(
    parts: AsyncIterator[bytes],
    declared: str | None,
    bytes_max: int,
    name: str,
    hold: Hold | None = None,
) -> bytes:
    """Return a request's body, never more than allowed: not even when its length was not said, or wrong.

    Problem `name` for more, `too-slow` for what trickles.
    """
    if declared is not None and declared.isascii() and declared.isdigit() and int(declared) > bytes_max:
        raise Problem(name, f"at most {bytes_max} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            async for part in parts:
                body += part
                if len(body) > bytes_max:
                    raise Problem(name, f"at most {bytes_max} bytes")
                if hold is not None:
                    hold(len(part))
    except TimeoutError:
        raise Problem("too-slow", f"at most {BODY_S_MAX} seconds", headers={"connection": "close"}) from None
    return bytes(body)


def is_too_deep(raw: bytes, value: object, depth_max: int = DEPTH_MAX) -> bool:
    """Tell whether parsed JSON is nested deeper than anything that means something."""
    if raw.count(b"[") + raw.count(b"{") <= depth_max:
        return False
    level = [value]
    for _ in range(depth_max):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return False
    return True


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return [part for part in value.values() if isinstance(part, dict | list)]
    if isinstance(value, list):
        return [part for part in value if isinstance(part, dict | list)]
    return []
