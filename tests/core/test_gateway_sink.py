"""What the gateway's way to Kafka does while the broker does not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from connectors.away import Away
from connectors.publishing import kafka_sink
from connectors.publishing.kafka_sink import KafkaSink


class Broker:
    """A producer, and the client in it, of a broker that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.taken: list[bytes] = []
        self.client = self

    async def send(self, topic: str, value: bytes, headers: Any) -> asyncio.Future[None]:
        """Take one record, or run out of time."""
        if self.away:
            raise KafkaTimeoutError
        self.taken.append(value)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def force_metadata_update(self) -> bool:
        """Answer what anybody may ask."""
        return not self.away


def test_an_attempt_that_ran_out_of_time_closes_its_topic_until_the_broker_answers(
    monkeypatch: pytest.MonkeyPatch,
):
    """Until then the next record is refused at once and the gateway is not ready, whoever gave up waiting;
    other topics are tried; afterwards everything is as before.
    """
    monkeypatch.setattr(kafka_sink, "RETRY_S", 0.01)

    async def story() -> None:
        broker, sink = Broker(), KafkaSink(None)  # type: ignore[arg-type]
        sink._producer = broker
        assert sink.is_ready
        broker.away = True
        with pytest.raises(Away):
            await sink.send("a", b"1", ())
        broker_tries = broker.send
        monkeypatch.setattr(broker, "send", None)  # whoever tried now would break
        with pytest.raises(Away):
            await sink.send("a", b"2", ())
        assert not sink.is_ready
        monkeypatch.setattr(broker, "send", broker_tries)
        broker.away = False
        await sink.send("b", b"3", ())
        while not sink.is_ready:
            await asyncio.sleep(0.01)
        await sink.send("a", b"1", ())
        assert broker.taken == [b"3", b"1"]

    asyncio.run(asyncio.wait_for(story(), 60))
