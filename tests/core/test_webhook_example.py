"""The receiver in the documentation works as it stands there: against a real courier, with a retraction."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connectors.ports import free_port
from connectors.webhook.addresses import read_networks
from connectors.webhook.courier import Courier
from connectors.webhook.desk import Desk
from connectors.webhook.journal import Journal
from connectors.webhook.line import Line, trusted
from connectors.webhook.reader import Reader
from tests.webhook_kit import SECRET, Topic, endpoint

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "webhook_receiver.py"
PATIENCE_S = 60


def test_the_page_shows_the_example_as_it_is():
    """And it is under 40 lines, as promised."""
    text = EXAMPLE.read_text()
    assert f"```python\n{text}```" in (ROOT / "docs" / "webhooks.md").read_text()
    assert len(text.splitlines()) < 40


def test_the_example_holds_a_view_and_deletes_it_when_it_is_retracted(tmp_path: Path):
    """It permits us, verifies, keeps two views, ignores what it has, and holds one after a withdrawal."""
    port = free_port()
    said = tmp_path / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE)],
            env=os.environ | {"PORT": str(port), "LEEDS_WEBHOOK_KEY": SECRET},
            stderr=out,
        )
    try:
        asyncio.run(_deliver(port, tmp_path, said))
    finally:
        process.terminate()
        process.wait(20)
    assert "Traceback" not in said.read_text()


async def _deliver(port: int, place: Path, said: Path) -> None:
    made = endpoint(
        url=f"http://127.0.0.1:{port}/postroom", origin="postroom.example.gov.uk", park_after=10_000
    )
    topic, journal = Topic(lambda: time.time_ns() // 1_000_000), Journal(place / "journal.db")

    def desk() -> Desk:
        def readers(outbox):
            return [Reader(made.name, name, topic, journal, outbox) for name in made.agreements]

        return Desk(made, journal, readers, lambda *_: False, random.Random(1))

    line = Line(made.url, trusted(None), read_networks("127.0.0.0/8"), connections_max=2, timeout_s=10)
    task = asyncio.create_task(Courier(made, line, journal.secret, desk).run())
    try:
        topic.publish("s-1", {"name": "Ada"})
        topic.publish("s-2", {"name": "Grace"})
        await _until(said, "holding 2\n")
        topic.publish("s-1", None)
        await _until(said, "holding 1\n", after="holding 2\n")
        assert journal.standing("leeds").rate == 600  # type: ignore[union-attr]
    finally:
        task.cancel()
        await asyncio.wait([task])
        journal.close()


async def _until(said: Path, text: str, after: str = "") -> None:
    async with asyncio.timeout(PATIENCE_S):
        while text not in said.read_text()[said.read_text().find(after) :]:
            await asyncio.sleep(0.05)


def test_the_example_takes_nothing_that_is_not_signed(tmp_path: Path):
    """Whoever finds the address and has no key is answered 401."""
    import httpx

    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE)],
        env=os.environ | {"PORT": str(port), "LEEDS_WEBHOOK_KEY": SECRET},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}/", json={"data": {}}, trust_env=False)
                break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    pytest.fail("the example does not start")
                time.sleep(0.1)
        assert answer.status_code == 401
    finally:
        process.terminate()
        process.wait(20)
