"""A citizen of whom much is said: messages and states of several MiB pass every stage, and come back (E7)."""

from __future__ import annotations

import shutil
import signal
import time
from typing import Any

import pytest
from confluent_kafka import Producer

from postroom.config import Settings
from processors import ASSERTIONS_TOPIC
from schemas import frame
from tests.flow.spine import ROOT, Installation, installation, now_ms, registered

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(500)]

TYPE = "uk.gov.health.demographics.v1"
NHS = "9912003888"
EVENTS = 2
PATIENCE_S = 200
EVENT_BYTES = 1 << 20
CONTROL = "\x01"
"""One byte in Avro, six in JSON: the largest that a message between stages becomes of one event."""


def test_a_citizen_of_many_mebibytes_passes_and_is_restored(
    request: pytest.FixtureRequest, stack_settings: Settings
) -> None:
    """Values as large as events may be; then a worker dies, its store with it, and another goes on."""
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as own:
        for number in range(EVENTS):
            say_much(own, number, "x")
        say_much(own, EVENTS, CONTROL)
        own.start("one", "plain")
        wait_for_name(own, f"Garamond-{EVENTS}")
        largest = max(len(record.value or b"") for record in own.read(ASSERTIONS_TOPIC))
        state = max(len(record.value or b"") for record in own.read("postroom.identity.changelog"))
        print(f"largest message {largest >> 20} MiB, largest state {state >> 20} MiB")
        assert largest > 8 * EVENT_BYTES
        assert state > 12 * EVENT_BYTES

        worker, _ = own.workers.pop("one")
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        shutil.rmtree(own.place / "state" / "workers")
        own.start("two", "plain")  # a group takes no other shell while a killed member is still missed
        own.publish([registered(NHS, now_ms() - 1000, "Bembo")])
        wait_for_name(own, "Bembo")
        assert own.exits == []


def say_much(own: Installation, number: int, character: str) -> None:
    """An event of nearly as many bytes as an event may have, in binary mode; each later than the last."""
    contract = own.contracts.by_type[TYPE]
    name = {"given_names": "", "family_name": f"Garamond-{number}", "title": None}
    plain: dict[str, Any] = contract.from_json(
        {"nhs_number": NHS, "name": name, "business_effective_from": f"2024-03-{number + 1:02d}"}
    )
    plain["name"]["given_names"] = character * (EVENT_BYTES - len(contract.to_avro(plain)) - 10)
    schema_id = own.registry.find(f"{TYPE}-value", contract.schema)
    assert schema_id is not None
    value = frame(schema_id, contract.to_avro(plain))
    assert EVENT_BYTES - 10 < len(value) <= EVENT_BYTES
    envelope = {"ce_specversion": "1.0", "ce_id": f"much-{number}", "ce_source": "urn:gov:nhs:pds"}
    envelope |= {"ce_type": TYPE, "ce_time": "2026-01-01T00:00:00Z", "content-type": "application/avro"}
    producer = Producer({"bootstrap.servers": own.stack.kafka, "message.max.bytes": 2 * EVENT_BYTES})
    producer.produce(TYPE, value, headers=[(key, text.encode()) for key, text in envelope.items()])
    assert producer.flush(30) == 0


def wait_for_name(own: Installation, family_name: str) -> None:
    """Wait until a subscriber sees it, while no worker ends."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        views = [record.value for record in own.view_records()["nhs-safeguarding"]]
        if views and (views[-1] or {}).get("name", {}).get("family_name") == family_name:
            return
        for name, (worker, _) in own.workers.items():
            assert worker.poll() is None, own.said(name)
            assert time.monotonic() < deadline, own.said(name)
        time.sleep(0.5)
