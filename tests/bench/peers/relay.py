"""Copies every record of W1 to one other topic with plain aiokafka, without a transaction or a thought.

No peer but a yardstick: what Kafka costs from Python. Postroom has each event three to five times.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.bench.peers.wire import BOOTSTRAP, GROUP, VIEW
from tests.bench.w1.terms import TOPICS

RECORDS_MAX = 2000


async def relay() -> None:
    """Copy until terminated."""
    consumer = AIOKafkaConsumer(
        *TOPICS.values(),
        bootstrap_servers=BOOTSTRAP,
        group_id=GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", linger_ms=5)
    await consumer.start()
    await producer.start()
    while True:
        acks = []
        for records in (await consumer.getmany(timeout_ms=200, max_records=RECORDS_MAX)).values():
            for each in records:
                acks.append(await producer.send(VIEW, each.value, each.key, headers=list(each.headers)))
        if acks:
            await asyncio.gather(*acks)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(relay())
