"""The gateway's line of `make bench`: events a second and the 99th percentile, beside the Kafka publisher's.

`gateway_rows` starts a gateway on an installation and publishes the same number of events in three ways: one
event a request, a hundred a request, and by the publisher that a department without HTTP would use. Each has
as many events on their way at once; latency is from handing over one event (or batch) to its acknowledgement.
Run it alone: `python tests/bench/gateway.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from connectors.ports import free_port  # noqa: E402 - the repository is not installed
from connectors.registry import Registry  # noqa: E402
from postroom.config import load_settings  # noqa: E402
from postroom.inputs import publishing  # noqa: E402
from postroom.output import Form, write_rows  # noqa: E402
from producers import Line  # noqa: E402
from schemas import format_instant  # noqa: E402
from tests.flow.spine import COMMAND, Installation, installed, now_ms  # noqa: E402

COLUMNS = ("what", "events", "seconds", "events_per_s", "p50_ms", "p99_ms")
AT_ONCE = 32
BATCH = 100
TYPE = "uk.gov.benefits.claimant.v1"
Row = dict[str, Any]


def gateway_rows(own: Installation, count: int) -> list[Row]:
    """Measure on a stack whose contracts are registered and whose topics exist."""
    port = free_port()
    clients = own.place / "bench-clients.yaml"
    clients.write_text("clients:\n  bench: {owner: dwp, scopes: [publish], events_per_s: 1000000}\n")
    environ = {"POSTROOM_GATEWAY_PORT": str(port), "POSTROOM_GATEWAY_CLIENTS": str(clients)}
    own.environ |= environ
    token = own.command("gateway", "token", "bench").stdout.decode().strip()
    with (own.place / "bench-gateway.log").open("wb") as log:
        gateway = subprocess.Popen(
            [*COMMAND, "gateway", "run"], env=own.environment(), cwd=own.place, stdout=log, stderr=log
        )
    try:
        asyncio.run(_ready(port))
        single = asyncio.run(_post(port, token, [_event(n, "single") for n in range(count)], 1))
        batched = asyncio.run(_post(port, token, [_event(n, "batch") for n in range(count)], BATCH))
    finally:
        gateway.terminate()
        gateway.wait(30)
    direct = _direct(own, [_event(n, "direct") for n in range(count)])
    return [
        _row("gateway, an event a request", count, *single),
        _row(f"gateway, {BATCH} a request", count, *batched),
        _row("Kafka publisher", count, *direct),
    ]


def _event(number: int, run: str) -> bytes:
    data = {"nino": f"NC{number:06}C", "name": {"given_names": "Ada", "family_name": "Specimen"}}
    event = {"specversion": "1.0", "id": f"{run}-{number}", "source": "urn:gov:dwp:bench", "type": TYPE}
    return json.dumps(event | {"time": format_instant(now_ms()), "data": data}).encode()


async def _ready(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                if await _ask(reader, writer, b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n") == 200:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.2)


async def _post(port: int, token: str, events: Sequence[bytes], size: int) -> tuple[float, list[float]]:
    """Publish everything over some connections; the seconds it took and each request's."""
    kind = "cloudevents+json" if size == 1 else "cloudevents-batch+json"
    head = (
        f"POST /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/{kind}\r\ncontent-length: "
    ).encode()
    chunks = [events[at : at + size] for at in range(0, len(events), size)]
    bodies = iter([chunk[0] if size == 1 else b"[" + b",".join(chunk) + b"]" for chunk in chunks])
    latencies: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in bodies:
            started = time.perf_counter()
            status = await _ask(reader, writer, head + str(len(body)).encode() + b"\r\n\r\n" + body)
            latencies.append(time.perf_counter() - started)
            if status != 202:
                raise SystemExit(f"the gateway answered {status}")
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(AT_ONCE if size == 1 else 2)))
    return time.perf_counter() - started, latencies


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """One request on a connection that stays open; a client library would be most of the time measured."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split(b" ", 2)[1])


def _direct(own: Installation, events: Sequence[bytes]) -> tuple[float, list[float]]:
    """The same by the publisher, with as many on their way at once."""
    handed: dict[int, float] = {}

    def lines() -> Iterator[Line]:
        for number, event in enumerate(events):
            handed[number] = time.perf_counter()
            yield Line(number, event, len(event))

    latencies = []
    with publishing(own.stack, Registry(own.stack.registry), own.contracts, "") as publisher:
        publisher._in_flight_max = AT_ONCE
        started = time.perf_counter()
        for result in publisher.publish(lines()):
            latencies.append(time.perf_counter() - handed[result.number])
        return time.perf_counter() - started, latencies


def _row(what: str, count: int, seconds: float, latencies: list[float]) -> Row:
    ordered = sorted(latencies)
    return {
        "what": what,
        "events": count,
        "seconds": round(seconds, 2),
        "events_per_s": round(count / seconds),
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
    }


def main() -> int:
    """Measure on a stack of its own and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("-o", "--output", choices=[form.value for form in Form], default="table")
    options = parser.parse_args()
    cache = load_settings(os.environ, ROOT).cache_dir
    with installed(cache, ROOT / "schemas", ROOT / "schemas" / "agreements") as own:
        write_rows(gateway_rows(own, options.events), Form(options.output), COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
