"""A citizen of whom much is said: no stage stops, whatever one department says of one identifier (E7, R8)."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer

from postroom.config import Settings
from processors import ASSERTIONS_TOPIC, REPORTS_TOPIC
from processors.rules import Limits
from schemas import frame
from tests.flow.spine import ROOT, Installation, installation, now_ms, registered

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(500)]

TYPE = "uk.gov.health.demographics.v1"
NHS = "9912003888"
LARGE_BYTES = 60_000
"""As much as a fragment has room for, several times over."""
EVENTS, TOO_LARGE = 12, 20
"""Twenty values of 1 MiB in one register are what no state could hold."""
PATIENCE_S = 200
EVENT_BYTES = 1 << 20
CONTROL = "\x01"
"""One byte in Avro, six in JSON: the largest that a message between stages becomes of one event."""


def test_no_stage_stops_because_much_is_said_of_one_citizen(
    request: pytest.FixtureRequest, stack_settings: Settings
) -> None:
    """R8: what has no room is refused and reported, the rest goes on; also when the store is lost."""
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as own:
        for number in range(EVENTS):
            say_much(own, number, "x", LARGE_BYTES)
        for number in range(EVENTS, EVENTS + TOO_LARGE):
            say_much(own, number, CONTROL if number == EVENTS else "x", EVENT_BYTES)
        own.start("one", "plain")
        wait_for_name(own, f"Garamond-{EVENTS - 1}")
        wait_until(own, lambda: len(reported(own)) == TOO_LARGE)
        largest = max(len(record.value or b"") for record in own.read(ASSERTIONS_TOPIC))
        state = max(len(record.value or b"") for record in own.read("postroom.identity.changelog"))
        print(f"largest message {largest >> 10} KiB, largest state {state >> 10} KiB")
        assert largest > 5 * EVENT_BYTES
        assert state < Limits().fragment_bytes
        assert reported(own) == {f"much-{number}" for number in range(EVENTS, EVENTS + TOO_LARGE)}

        worker, _ = own.workers.pop("one")
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        shutil.rmtree(own.place / "state" / "workers")
        own.start("two", "plain")  # a group takes no other shell while a killed member is still missed
        own.publish([registered(NHS, now_ms() - 1000, "Bembo")])
        wait_for_name(own, "Bembo")
        assert own.exits == []


def reported(own: Installation) -> set[str]:
    """The events whose source was told that they have no room."""
    return {said["id"] for said in own.documents(REPORTS_TOPIC) if said["report"] == "fragment-full"}


def say_much(own: Installation, number: int, character: str, size_bytes: int) -> None:
    """An event of nearly so many bytes, in binary mode; each later than the last."""
    contract = own.contracts.by_type[TYPE]
    name = {"given_names": "", "family_name": f"Garamond-{number}", "title": None}
    plain: dict[str, Any] = contract.from_json(
        {
            "nhs_number": NHS,
            "name": name,
            "business_effective_from": f"2024-{number // 28 + 1:02d}-{number % 28 + 1:02d}",
        }
    )
    plain["name"]["given_names"] = character * (size_bytes - len(contract.to_avro(plain)) - 10)
    schema_id = own.registry.find(f"{TYPE}-value", contract.schema)
    assert schema_id is not None
    value = frame(schema_id, contract.to_avro(plain))
    assert size_bytes - 10 < len(value) <= size_bytes
    envelope = {"ce_specversion": "1.0", "ce_id": f"much-{number}", "ce_source": "urn:gov:nhs:pds"}
    envelope |= {"ce_type": TYPE, "ce_time": "2026-01-01T00:00:00Z", "content-type": "application/avro"}
    producer = Producer({"bootstrap.servers": own.stack.kafka, "message.max.bytes": 2 * EVENT_BYTES})
    producer.produce(TYPE, value, headers=[(key, text.encode()) for key, text in envelope.items()])
    assert producer.flush(30) == 0


def wait_for_name(own: Installation, family_name: str) -> None:
    """Wait until a subscriber sees it, while no worker ends."""

    def shown() -> bool:
        views = [record.value for record in own.view_records("nhs-safeguarding")["nhs-safeguarding"]]
        return bool(views) and (views[-1] or {}).get("name", {}).get("family_name") == family_name

    wait_until(own, shown)


def wait_until(own: Installation, so: Callable[[], bool]) -> None:
    """Wait until it is so, while no worker ends."""
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        for name, (worker, _) in own.workers.items():
            assert worker.poll() is None, own.said(name)
            assert time.monotonic() < deadline, own.said(name)
        time.sleep(0.5)
