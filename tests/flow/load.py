"""Departments that publish all the time, whatever happens to the backbone."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from confluent_kafka import Producer

from producers import lives, make_ready, synthetic, to_lines
from producers.ready import Ready
from schemas import frame
from tests.flow.spine import STRUCTURED, Installation, decided, now_ms, registered

DAY_MS = 24 * 3600 * 1000


class Load:
    """Departments that publish all the time, good events and bad, and citizens who grant and withdraw."""

    def __init__(self, own: Installation, rate: float, seed: int) -> None:
        self.own, self.rate, self.chance = own, rate, Random(seed)
        self.seed, self.sent = seed, 0
        self._stopping = threading.Event()
        self._flowing = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ids = {
            type_: own.registry.find(f"{type_}-value", contract.schema)
            for type_, contract in own.contracts.by_type.items()
        }
        # It outlives a broker: what was produced is delivered once, in order, when there is one again.
        self._producer = Producer(
            {
                "bootstrap.servers": own.stack.kafka,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 120_000,
                "log_level": 0,
            },
            logger=logging.getLogger("faults.load"),
        )

    def __enter__(self) -> Load:
        self._flowing.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._flowing.set()
        self._thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Publish nothing for a while; everything until then has landed."""
        self._flowing.clear()
        assert self._failed is None, f"the load failed: {self._failed!r}"
        time.sleep(2 / self.rate)
        assert self._producer.flush(120) == 0, "not all of the load has landed"
        yield
        self._flowing.set()

    def _run(self) -> None:
        try:
            for line in self._lines():
                self._flowing.wait()
                self._publish(line)
                self.sent += 1
                if self._stopping.wait(1 / self.rate):
                    return
        except BaseException as error:
            self._failed = error

    def _lines(self) -> Iterator[bytes]:
        """Lives without end; some events twice, some spoilt, and citizens who grant and withdraw."""
        serial = 0
        for country in range(1 << 30):
            for line in to_lines(lives(self.seed * 1_000 + country, 50, now_ms() - DAY_MS)):
                yield line.rstrip(b"\n")
                if self.chance.random() < 0.05:
                    yield line.rstrip(b"\n")
                if self.chance.random() < 0.02:
                    yield line.replace(b'"time"', b'"when"').rstrip(b"\n")
                if self.chance.random() < 0.05:
                    serial += 1
                    yield from self._decisions(serial)

    def _decisions(self, serial: int) -> Iterator[bytes]:
        nhs = synthetic.nhs_number(200_000 + (self.seed * 977 + serial) % 50_000)
        yield registered(nhs, now_ms())
        yield decided(nhs, "GRANTED", now_ms())
        if self.chance.random() < 0.7:
            yield decided(nhs, "WITHDRAWN", now_ms() + 1)

    def _publish(self, line: bytes) -> None:
        """In binary mode as our publisher does, or in structured mode; what is spoilt only so."""
        ready = make_ready(line, self.own.contracts, now_ms()) if self.chance.random() < 0.7 else None
        if isinstance(ready, Ready):
            schema_id = self._ids[ready.contract.type]
            assert schema_id is not None
            self._produce(ready.contract.type, frame(schema_id, ready.body), list(ready.headers))
        else:
            type_ = json.loads(line).get("type", "")
            self._produce(type_, line, [(name, text.encode()) for name, text in STRUCTURED.items()])

    def _produce(self, topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        while True:
            try:
                self._producer.produce(topic, value, headers=headers)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.5)
