"""Events to Kafka: idempotent, acknowledged by every replica in sync, a bounded number on its way.

A record that was handed over is never given up here: while the broker is away it waits, and whoever asks
meanwhile hears so at once. Nothing is answered as acknowledged that the broker has not acknowledged.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from connectors.away import Away, Full
from connectors.kafka_access import KafkaAccess
from connectors.log_line import say
from connectors.publishing.ports import Headers
from schemas import EVENT_BYTES_MAX

PENDING_MAX = 5_000
PENDING_BYTES_MAX = 64 * 1_048_576
STALLED_S = 5.0
REQUEST_BYTES_MAX = 2 * EVENT_BYTES_MAX  # the largest value (E7) and its headers
REQUEST_MS = 10_000
RETRY_S = 1.0
STOP_S = 5.0


class KafkaSink:
    """Writes records of any topic."""

    def __init__(
        self,
        access: KafkaAccess,
        pending_max: int = PENDING_MAX,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access = access
        self._pending_max = pending_max
        self._monotonic_s = monotonic_s
        self._producer: Any = None
        self._connecting: asyncio.Task[None] | None = None
        self._pending: dict[str, dict[asyncio.Task[None], float]] = defaultdict(dict)
        self._count = self._bytes = 0
        self._doubted: set[str] = set()
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Tell whether it is connected and the broker keeps up."""
        return self._producer is not None and not any(map(self._is_stalled, [*self._pending, *self._doubted]))

    def start(self) -> None:
        """Begin to connect, and go on trying."""
        self._connecting = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        """Wait a little for what is on its way, then let go of it: nobody was told that it is there."""
        for task in (self._connecting, self._probing):
            if task is not None:
                task.cancel()
        waiting = [task for tasks in self._pending.values() for task in tasks]
        if waiting:
            await asyncio.wait(waiting, timeout=STOP_S)
        await self._close()

    def send(self, topic: str, value: bytes, headers: Headers) -> asyncio.Future[None]:
        """Hand over one record, see `ports.Sink`."""
        size = len(value) + sum(len(name) + len(text) for name, text in headers)
        if self._count >= self._pending_max or self._bytes + size > PENDING_BYTES_MAX:
            raise Full("as much is on its way as may be", retry_after_s=1)
        # INVARIANT: a stalled topic takes nothing more, so that waiting does not pile up behind it.
        if self._producer is None or self._is_stalled(topic):
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(Away("the broker does not acknowledge"))
            failed.exception()  # looked at: nobody need wait for it
            return failed
        task = asyncio.create_task(self._deliver(self._producer, topic, value, headers))
        self._pending[topic][task] = self._monotonic_s()
        self._count += 1
        self._bytes += size
        task.add_done_callback(lambda done: self._settled(topic, done, size))
        return task

    async def _deliver(self, producer: Any, topic: str, value: bytes, headers: Headers) -> None:
        from aiokafka.errors import (
            KafkaError,
            KafkaTimeoutError,
            MessageSizeTooLargeError,
            TopicAuthorizationFailedError,
            UnknownTopicOrPartitionError,
        )

        try:
            # No key: nothing may depend on it (E2), and an identifier has no business in it.
            await (await producer.send(topic, value, headers=list(headers)))
        except KafkaTimeoutError as error:
            self._doubt(topic)
            raise Away(type(error).__name__) from None
        except (
            MessageSizeTooLargeError,
            TopicAuthorizationFailedError,
            UnknownTopicOrPartitionError,
        ) as error:
            raise Away(type(error).__name__) from None
        except KafkaError as error:
            self._reconnect(producer)
            raise Away(type(error).__name__) from None

    def _settled(self, topic: str, task: asyncio.Task[None], size: int) -> None:
        self._pending[topic].pop(task, None)
        if not self._pending[topic]:
            del self._pending[topic]
        self._count -= 1
        self._bytes -= size
        if not task.cancelled():
            task.exception()  # looked at: the request that it was for may have gone

    def _is_stalled(self, topic: str) -> bool:
        if topic in self._doubted:
            return True
        oldest_s = next(iter(self._pending.get(topic, {}).values()), None)
        return oldest_s is not None and self._monotonic_s() - oldest_s > STALLED_S

    def _doubt(self, topic: str) -> None:
        """Remember that a record ran out of time: the topic takes nothing until the broker answers again."""
        self._doubted.add(topic)
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        while not await self._is_answered():
            await asyncio.sleep(RETRY_S)
        self._doubted.clear()

    async def _is_answered(self) -> bool:
        """Ask the broker for its metadata, which it keeps from nobody."""
        from aiokafka.errors import KafkaError

        if self._producer is None:
            return False
        try:
            return bool(
                await asyncio.wait_for(self._producer.client.force_metadata_update(), REQUEST_MS / 1000)
            )
        except (KafkaError, OSError, TimeoutError):
            return False

    def _reconnect(self, producer: Any) -> None:
        """Begin again with another producer: this one's numbering is broken (fenced, or unknown)."""
        if self._producer is producer and (self._connecting is None or self._connecting.done()):
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        from aiokafka import AIOKafkaProducer
        from aiokafka.errors import KafkaError

        await self._close()
        while True:
            producer = AIOKafkaProducer(
                **self._access.settings(),
                client_id=self._access.client_id,
                acks="all",
                enable_idempotence=True,
                max_request_size=REQUEST_BYTES_MAX,
                request_timeout_ms=REQUEST_MS,
                linger_ms=2,
                max_batch_size=131_072,
            )
            try:
                await asyncio.wait_for(producer.start(), REQUEST_MS / 1000)
            except (KafkaError, OSError, TimeoutError) as error:
                say("connects-again", error=type(error).__name__)
                await _let_go(producer)
                await asyncio.sleep(RETRY_S)
                continue
            self._producer = producer
            return

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _let_go(producer)


async def _let_go(producer: Any) -> None:
    from aiokafka.errors import KafkaError

    try:
        await asyncio.wait_for(producer.stop(), STOP_S)
    except (KafkaError, OSError, TimeoutError):
        return
