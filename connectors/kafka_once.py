"""One record of a topic that is written once and for good, whoever comes first and however many come at once.

Kafka has no "write if nothing is there". A transactional id is what makes one: opening it fences whoever held
it, so between opening and commit nobody else can have written, or the commit fails (adr/0066).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import TopicReader
from connectors.kafka_refusal import in_our_words, not_allowed
from connectors.trouble import NotLetIn, Trouble, Unreachable

PATIENCE_S = 60.0
PAUSE_S = 1.0
ANSWER_S = 30.0
TRANSACTION_MS = 10_000
Make = Callable[[], bytes]
Found = TypeVar("Found")


def read_once(access: KafkaAccess, topic: str, key: bytes, patience_s: float = PATIENCE_S) -> bytes | None:
    """Read the record, None if there is none; what passes is waited for, anything else is raised."""
    return _patiently(lambda: _read(access, topic, key), patience_s)


def write_once(access: KafkaAccess, topic: str, key: bytes, make: Make) -> bytes:
    """Return the record that stands, which is ours only if there was none.

    Raises what `make` raises, Trouble when Kafka refuses, Unreachable when it stays away.
    """

    def try_once() -> bytes:
        if (found := _read(access, topic, key)) is not None:
            return found
        asyncio.run(_write_if_none(access, topic, key, make))
        if (written := _read(access, topic, key)) is not None:
            return written
        raise Unreachable("somebody else is writing the same record", where=topic, mend="look again later")

    return _patiently(try_once, PATIENCE_S)


def _patiently(ask: Callable[[], Found], patience_s: float) -> Found:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except NotLetIn:
            raise
        except Unreachable:
            if time.monotonic() > deadline:
                raise
            # Two that fence each other must not do so in step.
            time.sleep(PAUSE_S * random.uniform(0.2, 1.0))  # noqa: S311 - spreads attempts, hides nothing


def _read(access: KafkaAccess, topic: str, key: bytes) -> bytes | None:
    from kafka.errors import KafkaError

    try:
        found = TopicReader(access).latest(topic).get(key)
    except (KafkaError, OSError) as error:
        raise in_our_words(error, access) from error
    return None if found is None else found.value


async def _write_if_none(access: KafkaAccess, topic: str, key: bytes, make: Make) -> None:
    """Write the record unless somebody has; being fenced is to be second, which the next look shows."""
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    producer = AIOKafkaProducer(
        **access.settings(), transactional_id=topic, transaction_timeout_ms=TRANSACTION_MS, acks="all"
    )
    try:
        await asyncio.wait_for(producer.start(), ANSWER_S)
        # INVARIANT: looked for after the id was opened. What was committed before is seen, and whoever opens
        # it after us makes our commit fail: two cannot both have found nothing and written.
        if await asyncio.to_thread(_read, access, topic, key) is None:
            content = await asyncio.to_thread(make)
            await producer.begin_transaction()
            await asyncio.wait_for(producer.send_and_wait(topic, content, key, partition=0), ANSWER_S)
            await asyncio.wait_for(producer.commit_transaction(), ANSWER_S)
    except (KafkaError, OSError, TimeoutError) as error:
        raise _why_not(error, access) from error
    finally:
        await _let_go(producer)


def _why_not(error: Exception, access: KafkaAccess) -> Trouble:
    """Say what a producer's error means: only that we may not is for good."""
    from aiokafka.errors import (
        ClusterAuthorizationFailedError,
        TopicAuthorizationFailedError,
        TransactionalIdAuthorizationFailed,
    )

    refused = (
        TopicAuthorizationFailedError,
        TransactionalIdAuthorizationFailed,
        ClusterAuthorizationFailedError,
    )
    name = type(error).__name__
    if isinstance(error, refused):
        return not_allowed(access, name)
    return Unreachable("Kafka did not take the record", where=access.bootstrap, why=name, mend="start again")


async def _let_go(producer: Any) -> None:
    from aiokafka.errors import KafkaError

    try:
        await asyncio.wait_for(producer.stop(), ANSWER_S)
    except (KafkaError, OSError, TimeoutError):
        return
