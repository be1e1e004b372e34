"""The way through a secured installation as its tests go it: what they put in, see and await."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from pathlib import Path

from confluent_kafka import Producer

from connectors import find_stack
from connectors.local_security import ADMIN, LocalSecurity
from postroom.access import OPERATOR
from schemas import format_instant
from tests.flow.secured import Secured
from tests.flow.security_deeds import (
    YORK,
)
from tests.flow.spine import now_ms


def took_s(own: Secured, user: str, topic: str, size: int) -> float:
    """How long it takes to write that many bytes, one after the other."""
    producer = Producer(own.client(user, **{"linger.ms": 0}))
    began = time.monotonic()
    for _ in range(size // 10_000):
        producer.produce(topic, os.urandom(10_000))
        producer.flush(60)
    return time.monotonic() - began


def reached(own: Secured) -> dict[str, str]:
    """The settings of an installation that did not make this cluster itself."""
    stack = find_stack(own.settings)
    return {
        "POSTROOM_KAFKA": stack.kafka,
        "POSTROOM_REGISTRY": stack.registry,
        "POSTROOM_KAFKA_SECURITY": "SASL_SSL",
        "POSTROOM_KAFKA_CA_FILE": str(own.security.ca_file),
        "POSTROOM_KAFKA_USERNAME": ADMIN,
        "POSTROOM_KAFKA_PASSWORD": own.password(ADMIN),
    }


def put(own: Secured, value: str) -> str:
    """A value that only the running installation knows."""
    stack = find_stack(own.settings)
    if value == "OTHER":
        other = LocalSecurity(Path(tempfile.mkdtemp(dir=own.place)) / "security")
        other.make()
        return str(other.ca_file)
    if value == "NAMED":
        return f"{socket.gethostname()}:{stack.kafka.rpartition(':')[2]}"
    return stack.registry.removeprefix("http://") if value == "REGISTRY" else value


def views(own: Secured) -> list[dict]:
    said = own.good("view", "council-york-carers", "-o", "json", user=YORK)
    return list(json.loads(said))


def owing(own: Secured) -> list[dict]:
    said = own.good("obligations", "list", "-o", "json", user=OPERATOR)
    return list(json.loads(said))


def acknowledge(own: Secured, obligation: str) -> None:
    """As the subscriber, by its own client (V4)."""
    event = {"specversion": "1.0", "id": f"done-{obligation}", "source": "urn:gov:council-york:care"}
    event |= {"type": "uk.gov.council-york.deleted.v1", "time": format_instant(now_ms())}
    event |= {"data": {"obligation": obligation}}
    producer = Producer(own.client(YORK))
    headers = [("content-type", b"application/cloudevents+json")]
    producer.produce("acknowledgements", json.dumps(event).encode(), headers=headers)
    assert producer.flush(20) == 0


def until(own: Secured, name: str, ask, timeout_s: float = 180):
    """Ask until the answer is one."""
    deadline = time.monotonic() + timeout_s
    while not (answer := ask()):
        assert own.workers[name].poll() is None, own.log(name)
        assert time.monotonic() < deadline, own.log(name)
        time.sleep(0.3)
    return answer
