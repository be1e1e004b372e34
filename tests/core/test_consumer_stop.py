"""A consumer is stopped while a fetch waits to be tried again: aiokafka's own end breaks off there."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from faust.transport.drivers import aiokafka as driver

from connectors.kafka_follower import let_go
from processors.engine import faust_shell
from processors.engine.consumer_stop import stop_consumer

Stop = Callable[[AIOKafkaConsumer], Awaitable[None]]


async def by_thread(consumer: AIOKafkaConsumer) -> None:
    """As Faust's thread stops its consumer."""

    async def nothing() -> None:
        """Nothing was queued."""

    thread = SimpleNamespace(_consumer=consumer)
    original = faust_shell.QueueServiceThread.on_thread_stop
    faust_shell.QueueServiceThread.on_thread_stop = lambda _: nothing()
    try:
        await faust_shell.Thread.on_thread_stop(thread)
    finally:
        faust_shell.QueueServiceThread.on_thread_stop = original


async def while_a_fetch_waits(stop: Stop) -> bool:
    """Stop such a consumer; return whether its client was closed too."""
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
    fetcher = consumer._fetcher = Fetcher.__new__(Fetcher)  # as much of it as its end looks at
    fetcher._fetch_task, fetcher._fetch_waiters = asyncio.create_task(asyncio.sleep(0)), set()
    fetcher._pending_tasks = {asyncio.create_task(asyncio.sleep(3600))}
    closed = False
    original = consumer._client.close

    async def close() -> None:
        nonlocal closed
        closed = True
        await original()

    consumer._client.close = close
    await asyncio.sleep(0)
    await stop(consumer)
    return closed


def test_aiokafka_breaks_off_its_own_end():
    """When this fails after an upgrade, what is below is not needed any more."""
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(while_a_fetch_waits(AIOKafkaConsumer.stop))


@pytest.mark.parametrize("stop", [stop_consumer, by_thread, let_go])
def test_a_consumer_is_stopped_whole_all_the_same(stop: Stop):
    """A worker ends at SIGTERM, a task that restored goes on, a follower follows again."""
    assert asyncio.run(while_a_fetch_waits(stop))


@pytest.mark.parametrize("stop", [stop_consumer, let_go])
def test_who_is_cancelled_itself_hears_it(stop: Stop):
    """Only what comes from the fetch is kept from the caller."""

    async def never(_: object = None) -> None:
        await asyncio.sleep(3600)

    async def cancelled() -> None:
        stopping = asyncio.create_task(stop(SimpleNamespace(stop=never)))
        await asyncio.sleep(0)
        stopping.cancel()
        await stopping

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


def test_faust_does_no_more_at_the_end_of_its_thread():
    """What ours leaves out of the driver's is the stopping of the consumer, and only that."""
    source = inspect.getsource(driver.AIOKafkaConsumerThread.on_thread_stop)
    code = [line.strip() for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert code[2:] == [
        "await super().on_thread_stop()",
        "if self._consumer is not None:",
        "await self._consumer.stop()",
    ]
