"""GOV.UK Pay's door on its application alone: a broker in memory, a file of services, real signatures."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from connectors.pay import PAYMENT_TYPE, PayDoor, Service, create_app, load_services
from connectors.publishing import Publishing
from connectors.publishing.memory import MemoryRegistry, MemorySink
from postroom.gateway import last_word
from postroom.private_files import read_secret
from schemas import Contract
from tests.gateway_kit import rules

SECRET, NEXT_SECRET = "a-signing-secret-of-the-webhook", "the-secret-that-comes-after-it"
ACCOUNT = "E08000035-10000001"
FILE = """\
services:
  leeds-council-tax:
    owner: council-leeds
    payer: {scheme: ctax, metadata: council_tax_account}
    secrets: [leeds.secret]
  dvla-renewals:
    owner: dvla
    system: renewals
    payer: {scheme: driver, reference: true}
    secrets: [dvla.secret]
"""
LEEDS = "/pay/leeds-council-tax"


def contract() -> Contract:
    """The contract that payments go by."""
    return rules()[0].by_type[PAYMENT_TYPE]


def write_services(directory: Path, text: str = FILE, **secrets: str) -> Path:
    """The file of services, and secrets' files of mode 600."""
    for name, secret in ({"leeds": SECRET, "dvla": NEXT_SECRET} | secrets).items():
        file = directory / f"{name}.secret"
        file.write_text(secret + "\n")
        file.chmod(0o600)
    (directory / "pay.yaml").write_text(text)
    return directory / "pay.yaml"


def services(directory: Path, text: str = FILE) -> dict[str, Service]:
    """Services as they are read from files."""
    return load_services(write_services(directory, text), contract(), read_secret)


@dataclass
class PayRig:
    """The application and what it stands on; `lost` drops answers, as a line does that breaks."""

    app: Starlette
    door: PayDoor
    sink: MemorySink
    runner: asyncio.Runner
    later_ms: int = 0

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """One request to its end."""
        return self.request("POST", path, content=body, headers=headers)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request of any kind."""
        return self.runner.run(self._ask(method, path, **more))

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://pay") as client:
            return await client.request(method, path, **more)

    def send(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """As the stand-in sends."""
        return self.post(path, body, headers).status_code

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.later_ms

    def ids(self) -> list[str]:
        """The ids of the events on the broker, in order."""
        return [dict(each.headers)["ce_id"].decode() for each in self.sink.sent]


def pay_rig(directory: Path, within_s: float = 0.2) -> PayRig:
    """A door for the services of `FILE`, under the repository's contracts."""
    contracts, _ = rules()
    sink, registry = MemorySink(), MemoryRegistry(contracts.by_type)
    publishing = Publishing(sink, registry, time.monotonic, within_s)
    rig = PayRig(None, None, sink, asyncio.Runner())  # type: ignore[arg-type]
    rig.door = PayDoor(services(directory), contracts, last_word(contracts), publishing, rig.now_ms)
    rig.app = create_app(rig.door, list)
    return rig
