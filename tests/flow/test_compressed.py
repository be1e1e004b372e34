"""What a department compresses: read whatever the codec, and no larger inside than it may be outside."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from postroom.config import Settings
from processors import DEAD_LETTERS_TOPIC
from tests.flow.spine import ROOT, SHELL, STRUCTURED, Installation, installation, now_ms, registered

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(500)]

TYPE = "uk.gov.health.demographics.v1"
INVALID_NHS = "9990000019"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
BOMB_BYTES = 64 << 20
"""Some 64 kB compressed."""
PATIENCE_S = 120


def test_every_codec_is_read_and_a_bomb_is_not_stored(
    request: pytest.FixtureRequest, stack_settings: Settings
) -> None:
    """E2, E7: our client knows gzip alone, and makes of a batch whatever it holds; so the broker does."""
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as own:
        own.start("a", SHELL)
        for codec in CODECS:
            assert sent(own, codec, invalid(codec)) is None
        for codec in CODECS[1:]:
            refused = sent(own, codec, b" " * BOMB_BYTES)
            assert refused is not None
            assert refused.code() == KafkaError.MSG_SIZE_TOO_LARGE
        assert sent(own, "none", invalid("after")) is None
        names = {*CODECS, "after"}
        deadline = time.monotonic() + PATIENCE_S
        while rejected(own) != {f"compressed-{name}": "identifier-invalid" for name in names}:
            assert own.workers["a"][0].poll() is None, own.said("a")
            assert time.monotonic() < deadline, rejected(own)
            time.sleep(0.5)
        assert own.exits == []


def invalid(name: str) -> bytes:
    """An event that is read to its end, and rejected for its last fault: its letter says that it was."""
    event = json.loads(registered("9990000018", now_ms() - 60_000))
    event |= {"id": f"compressed-{name}"}
    event["data"] |= {"nhs_number": INVALID_NHS}
    return json.dumps(event).encode()


def sent(own: Installation, codec: str, value: bytes) -> Any:
    """Send one record so compressed; return the broker's refusal."""
    producer = Producer(
        {
            "bootstrap.servers": own.stack.kafka,
            "compression.type": codec,
            "message.max.bytes": 2 * BOMB_BYTES,
        }
    )
    refusals: list[Any] = []
    headers = [(name, text.encode()) for name, text in STRUCTURED.items() if text is not None]
    producer.produce(TYPE, value, headers=headers, on_delivery=lambda error, _: refusals.append(error))
    assert producer.flush(60) == 0
    return refusals[0]


def rejected(own: Installation) -> dict[str, str]:
    """The reasons that dead letters give, by event."""
    letters = [json.loads(record.value or b"") for record in own.read(DEAD_LETTERS_TOPIC)]
    return {letter["id"]: letter["reason"] for letter in letters}
