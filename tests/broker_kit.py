"""A broker in memory that a test rules, as kafka-python's producer shows one to the publisher."""

from __future__ import annotations

from typing import Any

from tests.contract.connector_contract import Fuse
from tests.core.test_producers_publisher import FakeProducer


class Kafka(FakeProducer):
    """A broker that outlives a relay; when dead or slow it fails what it is given, slow after taking it."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.fuse = "well", Fuse()
        self.taken: list[str] = []

    def send(self, topic: str, *, value: bytes, headers: Any, partition: int | None = None) -> Any:  # type: ignore[override]
        from kafka.errors import KafkaTimeoutError

        self.fuse.touch()
        if self.state != "dead":
            self.taken.append(dict(headers)["ce_id"].decode())
        if self.state != "well":
            self.fail = {len(self.sent) + 1: KafkaTimeoutError()}
        delivery = super().send(topic, value=value, headers=headers)
        self.fuse.touch()
        return delivery
