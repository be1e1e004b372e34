"""Puts the events of W1 on the departments' topics, as they would: framed Avro, CloudEvents headers (E2)."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping

from confluent_kafka import Producer
from fastavro import parse_schema, schemaless_writer

from schemas import frame
from tests.bench.ground import Ground
from tests.bench.w1.oracle import Oracle
from tests.bench.w1.terms import SCHEMAS, TOPICS
from tests.bench.w1.workload import Event, events

POLL_EVERY = 1000


def framed(ids: Mapping[str, int]) -> Callable[[Event], bytes]:
    """Writes an event's data under the registry's ids by kind, in the Confluent wire format."""
    schemas = {kind: parse_schema(json.loads(path.read_text())) for kind, path in SCHEMAS.items()}

    def write(event: Event) -> bytes:
        body = io.BytesIO()
        schemaless_writer(body, schemas[event.kind], event.data)
        return frame(ids[event.kind], body.getvalue())

    return write


def preload(ground: Ground, count: int) -> Oracle:
    """Wipe everything, produce so many events keyed by citizen, and return what must come of them."""
    ground.wipe()
    ground.create()
    ids = {
        kind: ground.registry.register(f"{topic}-value", ground.contracts.by_type[topic].schema)
        for kind, topic in TOPICS.items()
    }
    value_of = framed(ids)
    producer = Producer(
        {
            "bootstrap.servers": ground.stack.kafka,
            "log_level": 0,  # what goes wrong comes as an error
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 20,
            "queue.buffering.max.messages": 500_000,
        }
    )
    oracle, failed = Oracle(), []
    landed = lambda error, _message: failed.append(error) if error else None  # noqa: E731
    for number, event in enumerate(events(count)):
        oracle.take(event)
        value = value_of(event)
        while True:
            try:
                producer.produce(
                    TOPICS[event.kind], value, event.key, headers=event.headers(), on_delivery=landed
                )
                break
            except BufferError:
                producer.poll(0.1)
        if number % POLL_EVERY == 0:
            producer.poll(0)
    producer.flush(60)
    if failed:
        raise SystemExit(f"{len(failed)} events could not be preloaded: {failed[0]}")
    time.sleep(1)  # let the broker settle
    return oracle
