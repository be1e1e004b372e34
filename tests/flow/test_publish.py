"""From a file to a real Kafka, and back out with nobody's code but theirs (E2)."""

import json
import shutil
import struct
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from connectors import Stack
from connectors.registry import Registry
from postroom.cli import run
from postroom.settings import settings
from producers import (
    Event,
    NotPublished,
    Published,
    Publisher,
    connect,
    disconnect,
    disordered,
    lives,
    read_lines,
    to_lines,
)
from schemas import Contract, Contracts, load_contracts, parse_instant

pytestmark = [pytest.mark.flow, pytest.mark.timeout(500)]

ROOT = Path(__file__).resolve().parents[2]
UNTIL = parse_instant("2026-11-23T10:00:00Z")
PARTITIONS = 3


def of_this_test(contracts: Contracts) -> Contracts:
    """The demo's contracts under a domain of this run's own, so that tests on one stack do not meet."""
    run = f"t{uuid.uuid4().hex[:8]}"
    renamed = {}
    for contract in contracts.by_type.values():
        type_ = f"uk.gov.{run}-{contract.domain}.{contract.fact}.v{contract.version}"
        renamed[type_] = replace(contract, type=type_)
    return replace(contracts, by_type=renamed)


class TheirRegistry:
    """The registry as any client meets it: the Confluent-compatible API over HTTP, nothing of ours."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/apis/ccompat/v7", trust_env=False, timeout=20)

    def register(self, contract: Contract) -> int:
        body = {"schema": json.dumps(contract.schema)}
        answer = self.http.post(f"/subjects/{contract.type}-value/versions", json=body)
        answer.raise_for_status()
        return int(answer.json()["id"])

    def schema(self, schema_id: int) -> dict[str, Any]:
        answer = self.http.get(f"/schemas/ids/{schema_id}")
        answer.raise_for_status()
        schema: dict[str, Any] = json.loads(answer.json()["schema"])
        return schema


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return of_this_test(load_contracts(ROOT / "schemas"))


@pytest.fixture(scope="module")
def registry(stack: Stack) -> TheirRegistry:
    return TheirRegistry(stack.registry)


@pytest.fixture(scope="module")
def schema_ids(stack: Stack, contracts: Contracts, registry: TheirRegistry) -> Iterator[dict[str, int]]:
    """Schemas registered and topics there, as `contract register` and `topics apply` would do."""
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka.split(","))
    settings = {"message.timestamp.type": "LogAppendTime"}
    topics = [NewTopic(type_, PARTITIONS, 1, topic_configs=settings) for type_ in contracts.by_type]
    try:
        admin.create_topics(topics)
        yield {contract.type: registry.register(contract) for contract in contracts.by_type.values()}
        admin.delete_topics(list(contracts.by_type))
    finally:
        admin.close()


def under(contracts: Contracts, events: list[Event]) -> list[Event]:
    """The same events under the names of this test's contracts."""
    names = {type_.partition("-")[2]: type_ for type_ in contracts.by_type}
    return [event | {"type": names[event["type"].removeprefix("uk.gov.")]} for event in events]


def read_as_a_stranger(stack: Stack, registry: TheirRegistry, topic: str) -> list[tuple[dict[str, str], Any]]:
    """What confluent-kafka, fastavro and the registry's schema make of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka,
            "group.id": f"stranger-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    found = []
    try:
        partitions = [TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)]
        ends = {p.partition: consumer.get_watermark_offsets(p, timeout=20)[1] for p in partitions}
        consumer.assign(partitions)
        deadline = time.monotonic() + 60
        while len(found) < sum(ends.values()):
            assert time.monotonic() < deadline, f"{len(found)} of {sum(ends.values())} records came"
            message = consumer.poll(1.0)
            if message is None:
                continue
            assert message.error() is None
            magic, schema_id = struct.unpack(">bI", message.value()[:5])
            assert magic == 0
            headers = {name: value.decode() for name, value in message.headers()}
            body = BytesIO(message.value()[5:])
            data = fastavro.schemaless_reader(body, registry.schema(schema_id), None)
            assert not body.read(), "bytes were left over"
            found.append((headers, data))
    finally:
        consumer.close()
    return found


def test_a_stranger_reads_what_a_department_published(
    stack: Stack, contracts: Contracts, registry: TheirRegistry, schema_ids: dict[str, int]
):
    """Every event of a few lives, shuffled and repeated, arrives whole and can be read without our code."""
    events = disordered(under(contracts, list(lives(11, 25, UNTIL))), seed=11)
    producer = connect(stack.kafka)
    try:
        publisher = Publisher(
            producer, contracts, lambda contract: schema_ids[contract.type], lambda: UNTIL, where=stack.kafka
        )
        lines = list(read_lines(BytesIO(b"".join(to_lines(events)))))
        results = list(publisher.publish(lines))
    finally:
        disconnect(producer)
    assert [result for result in results if isinstance(result, NotPublished)] == []
    assert sorted(result.number for result in results) == list(range(1, len(events) + 1))

    for type_ in sorted({event["type"] for event in events}):
        read = read_as_a_stranger(stack, registry, type_)
        expected = [event for event in events if event["type"] == type_]
        assert sorted(headers["ce_id"] for headers, _ in read) == sorted(event["id"] for event in expected)
        by_id = {event["id"]: event for event in expected}
        for headers, data in read:
            event = by_id[headers["ce_id"]]
            assert headers["content-type"] == "application/avro"
            assert headers["ce_specversion"] == "1.0"
            assert (headers["ce_source"], headers["ce_type"]) == (event["source"], event["type"])
            assert parse_instant(headers["ce_time"]) == parse_instant(event["time"])
            subject = contracts.by_type[type_].subject.name
            assert data[subject] == event["data"][subject]  # nothing was normalised away


def test_bad_lines_are_named_and_the_others_are_on_kafka(
    stack: Stack, contracts: Contracts, registry: TheirRegistry, schema_ids: dict[str, int]
):
    """A line with an invalid number and a line that is no JSON stay behind; a null never becomes a record."""
    good = next(
        e for e in under(contracts, list(lives(12, 5, UNTIL))) if "number-superseded" not in e["type"]
    )
    good["id"] = f"good-{uuid.uuid4().hex}"
    lines = [
        json.dumps(good).encode(),
        b"{not json",
        json.dumps(good | {"id": "null", "data": None}).encode(),
        json.dumps(good | {"id": "no-topic", "type": "uk.gov.no.such.v1"}).encode(),
    ]
    producer = connect(stack.kafka)
    try:
        publisher = Publisher(
            producer, contracts, lambda contract: schema_ids[contract.type], lambda: UNTIL, where=stack.kafka
        )
        results = list(publisher.publish(read_lines(BytesIO(b"\n".join(lines)))))
    finally:
        disconnect(producer)
    assert [result for result in results if isinstance(result, Published)] == [Published(1, good["type"])]
    reasons = {r.number: r.refused.reason.value for r in results if isinstance(r, NotPublished)}
    assert reasons == {2: "undecodable", 3: "null-value", 4: "unknown-type"}
    ids = [headers["ce_id"] for headers, _ in read_as_a_stranger(stack, registry, good["type"])]
    assert ids.count(good["id"]) == 1
    assert "null" not in ids


def test_a_topic_that_nobody_created_is_told_by_line_and_not_created(stack: Stack, contracts: Contracts):
    """A publisher never makes a topic: its retention and its access rules are somebody's decision."""
    strange = of_this_test(load_contracts(ROOT / "schemas"))
    (event, *_) = under(strange, list(lives(13, 1, UNTIL)))
    producer = connect(stack.kafka)
    try:
        publisher = Publisher(producer, strange, lambda _: 1, lambda: UNTIL, where=stack.kafka)
        (result,) = publisher.publish(read_lines(BytesIO(b"".join(to_lines([event])))))
    finally:
        disconnect(producer)
    assert isinstance(result, NotPublished)
    assert result.refused.reason == "not-delivered"
    assert "topics apply" in result.refused.mend
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka.split(","))
    try:
        assert event["type"] not in admin.list_topics()
    finally:
        admin.close()


def test_the_command_publishes_a_file_and_names_its_bad_lines(
    stack: Stack,
    registry: TheirRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """`postroom publish` on a real stack: exit 1 for the bad line, and the good one is on Kafka."""
    run_name = f"t{uuid.uuid4().hex[:8]}"
    for table in (ROOT / "schemas").glob("*.yaml"):
        shutil.copy(table, tmp_path)
    shutil.copytree(ROOT / "schemas" / "health", tmp_path / run_name)
    contract = load_contracts(tmp_path).by_type[f"uk.gov.{run_name}.registration.v1"]
    monkeypatch.setenv("POSTROOM_CONTRACTS", str(tmp_path))
    monkeypatch.setenv("POSTROOM_KAFKA", stack.kafka)
    monkeypatch.setenv("POSTROOM_REGISTRY", stack.registry)
    monkeypatch.chdir(tmp_path)
    good = json.loads((ROOT / "docs/examples/first-event.jsonl").read_text().splitlines()[0])
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(good | {"type": contract.type}) + "\n\n{not json\n")

    def publish() -> tuple[int, list[dict[str, Any]]]:
        settings.cache_clear()
        code = run(["publish", str(file), "-o", "jsonl"])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    code, told = publish()
    assert code == 1
    assert [(row["line"], row["reason"]) for row in told[:-1]] == [(1, "not-delivered"), (3, "undecodable")]
    assert "contract register" in told[0]["mend"]

    Registry(stack.registry).register(f"{contract.type}-value", contract.schema)
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka.split(","))
    try:
        admin.create_topics([NewTopic(contract.type, PARTITIONS, 1)])
        code, told = publish()
        assert code == 1
        assert told[-1] == {"published": 1, "refused": 1, "dry_run": False}
        ((headers, data),) = read_as_a_stranger(stack, registry, contract.type)
        assert headers["ce_id"] == good["id"]
        assert data["nhs_number"] == good["data"]["nhs_number"]
        admin.delete_topics([contract.type])
    finally:
        admin.close()
        settings.cache_clear()
