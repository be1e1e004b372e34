"""Subscribers read with what they have: plain Kafka clients, Avro, and the registry's schema over HTTP.

What reads here uses none of our code (§9); ours only says what there is to find.
"""

from __future__ import annotations

import datetime
import io
import json
import struct
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import confluent_kafka
import fastavro
import kafka
import pytest

from postroom.config import Settings
from processors.replay import replay
from producers import lives, to_lines
from tests.flow.spine import ROOT, SHELL, Installation, installation, now_ms

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(500)]

DAY_MS = 24 * 3600 * 1000


@dataclass
class Published:
    """An installation through which some lives have gone, and what must be on its topics."""

    own: Installation
    events: list[dict[str, Any]]
    views: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def published(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Published]:
    """Twenty lives, published and processed."""
    events = list(lives(21, 20, now_ms() - DAY_MS))
    lines = [line.rstrip(b"\n") for line in to_lines(events)]
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as own:
        own.start("a", SHELL)
        own.publish(lines)
        own.settle()
        secret = own.settings.secret_bytes()
        views = replay(lines, own.contracts, own.agreements, secret, now_ms())["views"]
        yield Published(own, events, views)


# ---- a subscriber's whole program, twice --------------------------------------------------------------

Found = list[tuple[str, dict[str, str], Any]]  # key, headers, value
Read = Callable[[str, str, str], Found]


def with_confluent_kafka(bootstrap: str, registry: str, topic: str) -> Found:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"subscriber-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    found: Found = []
    ended: set[int] = set()
    consumer.subscribe([topic])
    partitions = consumer.list_topics(topic).topics[topic].partitions
    while len(ended) < len(partitions):
        message = consumer.poll(10)
        if message is None:
            raise TimeoutError(topic)
        if message.error():
            if message.error().code() != confluent_kafka.KafkaError._PARTITION_EOF:
                raise confluent_kafka.KafkaException(message.error())
            ended.add(message.partition())
            continue
        headers = {name: value.decode() for name, value in message.headers()}
        found.append(((message.key() or b"").decode(), headers, decoded(message.value(), registry)))
    consumer.close()
    return found


def with_kafka_python(bootstrap: str, registry: str, topic: str) -> Found:
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    partitions = [kafka.TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    found: Found = []
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                headers = {name: value.decode() for name, value in record.headers}
                found.append(((record.key or b"").decode(), headers, decoded(record.value, registry)))
    consumer.close()
    return found


def decoded(value: bytes | None, registry: str) -> Any:
    """Confluent's wire format: a zero byte, the schema's id, Avro."""
    if value is None:
        return None
    magic, schema_id = struct.unpack(">bI", value[:5])
    if magic != 0:
        raise ValueError(magic)
    body = io.BytesIO(value[5:])
    record = fastavro.schemaless_reader(body, schema(registry, schema_id), None)
    if body.read():
        raise ValueError("bytes are left over")
    return record


def schema(registry: str, schema_id: int) -> Any:
    known = SCHEMAS.get((registry, schema_id))
    if known is None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{registry}/apis/ccompat/v7/schemas/ids/{schema_id}", timeout=20) as answer:
            text = json.load(answer)["schema"]
        known = SCHEMAS[registry, schema_id] = fastavro.parse_schema(json.loads(text))
    return known


SCHEMAS: dict[tuple[str, int], Any] = {}

# ---- what they find ---------------------------------------------------------------------------------

READERS = pytest.mark.parametrize("read", [with_confluent_kafka, with_kafka_python])


@READERS
def test_a_subscriber_reads_every_view_without_our_code(published: Published, read: Read):
    """The latest value under each key is the view of `replay`, its names and values as in the agreement."""
    own = published.own
    seen = 0
    for agreement, expected in published.views.items():
        records = read(own.stack.kafka, own.stack.registry, f"view.{agreement}")
        latest = {key: value for key, _, value in records}
        found = {key: written(value) for key, value in latest.items() if value is not None}
        assert found == expected
        seen += len(found)
        for key, headers, value in records:
            assert headers["ce_subject"] == key
            assert headers["postroom_agreement"].startswith(f"{agreement}@")
            kind = "retracted" if value is None else "updated"
            assert headers["ce_type"] == f"uk.gov.postroom.view-{kind}.v1"
            assert ("postroom_reason" in headers) == (value is None)
    assert seen, "a test of nothing"


@READERS
def test_a_department_topic_is_read_without_our_code(published: Published, read: Read):
    """What HMRC and the consent service said is there as they said it, every event once."""
    own = published.own
    for type_ in ("uk.gov.tax.employment.v1", "uk.gov.consent.decision.v1"):
        said = {event["id"]: event for event in published.events if event["type"] == type_}
        records = read(own.stack.kafka, own.stack.registry, type_)
        assert sorted(headers["ce_id"] for _, headers, _ in records) == sorted(said)
        for _, headers, value in records:
            event = said[headers["ce_id"]]
            assert (headers["ce_source"], headers["ce_type"]) == (event["source"], type_)
            data = written(value)
            assert event["data"].items() <= data.items(), "defaults may have been added, nothing changed"


def test_their_schemas_are_the_registrys_latest(published: Published):
    """A subscriber that knows only the topic's name finds its schema, with only the agreed fields in it."""
    own = published.own
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for name, agreement in own.agreements.items():
        url = f"{own.stack.registry}/apis/ccompat/v7/subjects/view.{name}-value/versions/latest"
        with opener.open(url, timeout=20) as answer:
            found = json.loads(json.load(answer)["schema"])
        fields = {field["name"] for field in found["fields"]}
        assert fields == {grant.attribute for grant in agreement.attributes}


def written(value: Any) -> Any:
    """Avro's logical types as JSON writes them."""
    if isinstance(value, dict):
        return {name: written(each) for name, each in value.items()}
    if isinstance(value, list):
        return [written(each) for each in value]
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, datetime.date) else value
