"""W1 on stock faust-streaming, as its docs teach: Records with codecs, an agent a topic, one RocksDB table.

At least once: its exactly once has been broken for years.
"""

from __future__ import annotations

import time
from typing import Any

import faust
from faust.serializers.codecs import Codec, register

from tests.bench.peers.fold import step
from tests.bench.peers.wire import BOOTSTRAP, GROUP, STATE, VIEW, attributes, decode, encode_view
from tests.bench.w1.terms import PARTITIONS, TOPICS


class Avro(Codec):
    """Reads events of one kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def _loads(self, raw: bytes) -> Any:
        return decode(self.kind, raw)


for each in TOPICS:
    register(f"avro_{each}", Avro(each))


class Address(faust.Record, serializer="avro_address"):
    """A council's."""

    nino: str
    address: dict


class Award(faust.Record, serializer="avro_benefit"):
    """The DWP's."""

    nino: str
    benefit: dict


class Registration(faust.Record, serializer="avro_practice"):
    """The NHS's."""

    nino: str
    practice: dict


class Decision(faust.Record, serializer="avro_consent"):
    """A citizen's."""

    nino: str
    subscriber: str
    purpose: str
    categories: list[str]
    state: str
    valid_from: int | None = None
    valid_until: int | None = None


app = faust.App(
    GROUP,
    broker=f"kafka://{BOOTSTRAP}",
    store="rocksdb://",
    topic_partitions=PARTITIONS,
    datadir=STATE,
    web_enabled=False,
    topic_allow_declare=True,
)
people = app.Table("people", default=dict, partitions=PARTITIONS)
views = app.topic(
    VIEW,
    key_type=bytes,
    key_serializer="raw",
    value_type=bytes,
    value_serializer="raw",
    partitions=PARTITIONS,
)


async def fold(kind: str, event: Any) -> None:
    """One step on the citizen's state."""
    citizen = people[event.key]
    data = event.value.to_representation()
    changes = step(citizen, kind, data, *attributes(event.headers), time.time_ns() // 1_000_000)
    if changes is not None:
        people[event.key] = citizen
        for key, view in changes:
            await views.send(key=key.encode(), value=None if view is None else encode_view(view))


def agent_of(kind: str, record: type[faust.Record]) -> None:
    """An agent that folds one topic."""
    topic = app.topic(
        TOPICS[kind], key_type=str, key_serializer="raw", value_type=record, partitions=PARTITIONS
    )

    @app.agent(topic, name=f"{kind}_agent")
    async def agent(stream: Any) -> None:
        async for event in stream.events():
            await fold(kind, event)


for each, kind_of_record in zip(TOPICS, (Address, Award, Registration, Decision), strict=True):
    agent_of(each, kind_of_record)

if __name__ == "__main__":
    app.main()
