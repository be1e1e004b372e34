"""What GOV.UK Pay's door stands on, put together: settings and files to services, services to a door."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from connectors import Stack
from connectors.pay import PAYMENT_TYPE, PayDoor, Service, create_app, load_services
from connectors.pay.services import files_of
from postroom.config import Settings
from postroom.door import PublishingDoor
from postroom.first_series import begin, pay_series
from postroom.gateway import last_word, now_ms
from postroom.private_files import read_secret
from postroom.watched import Watched
from schemas import Contract


def services_of(settings: Settings, contract: Contract) -> dict[str, Service]:
    """Read who takes payments, and their signing secrets; Misused."""
    return load_services(settings.values["pay"].value, contract, read_secret)


class RunningPay:
    """The door on a stack: made from settings, then served in a loop."""

    def __init__(self, settings: Settings, stack: Stack) -> None:
        self._settings = settings
        self._door = PublishingDoor("pay", settings, stack)
        self._door.contract(PAYMENT_TYPE)
        self._services = Watched(self._fingerprint, self._read)
        begin(pay_series(self._services.current))
        contracts = self._door.contracts
        self.pay = PayDoor(
            self._services.current, contracts, last_word(contracts), self._door.publishing, now_ms
        )

    def _read(self, _: dict[str, Service] | None) -> dict[str, Service]:
        return services_of(self._settings, self._door.contract(PAYMENT_TYPE))

    def _fingerprint(self) -> str:
        """The file, the secrets that it names, and the contract that it was read with."""
        file: Path = self._settings.values["pay"].value
        digest = hashlib.sha256(repr(self._door.contract(PAYMENT_TYPE).schema).encode())
        for each in files_of(file):
            digest.update(each.read_bytes() if each.is_file() else b"")
        return digest.hexdigest()

    async def renew(self) -> None:
        """Take up what is new in the files: contracts, services, and secrets as they are rotated."""
        if await self._door.contracts_renewed():
            self.pay.renew(self._door.contracts, last_word(self._door.contracts))
        if await asyncio.to_thread(self._services.is_renewed):
            begin(pay_series(self._services.current))
            self.pay.serve(self._services.current)

    async def serve(self) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        await self._door.serve(create_app(self.pay, self._door.waiting_for), self.renew)
