"""What GOV.UK One Login's door stands on, put together: settings and files to services, both to a door."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from pathlib import Path

from connectors import Stack
from connectors.callers import Access, Clients, KeySet, Tokens, load_clients
from connectors.event_types import LINK_TYPE
from connectors.onelogin import (
    LinkDoor,
    Provider,
    UsedTokens,
    Verifier,
    create_app,
    load_provider,
)
from connectors.state_files import locked
from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.door import PublishingDoor
from postroom.first_series import begin, onelogin_series
from postroom.gateway import last_word, now_ms
from postroom.gateway_settings import issuer_of
from postroom.watched import Watched
from processors.engine.journal import say
from schemas import Contracts

Known = tuple[Provider, Clients]


def provider_of(settings: Settings, contracts: Contracts) -> Known:
    """Read whom we believe and who asks; Misused."""
    _, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    clients = load_clients(settings.values["gateway_clients"].value, agreements)
    return load_provider(settings.values["onelogin"].value, contracts, clients), clients


class RunningOneLogin:
    """The door on a stack, the only one with its journal: a second one waits for the first to end."""

    def __init__(self, settings: Settings, stack: Stack) -> None:
        self._settings = settings
        self._door = PublishingDoor("onelogin", settings, stack)
        self._door.contract(LINK_TYPE)
        self._known = Watched(self._fingerprint, lambda _: provider_of(settings, self._door.contracts))
        provider, clients = self._known.current
        issuer, keys = issuer_of(settings)
        tokens = Tokens(
            KeySet(keys, time.monotonic), issuer, settings.values["gateway_audience"].value, time.time
        )
        self._access = Access(clients, tokens)
        begin(onelogin_series(provider.services))

    def _fingerprint(self) -> str:
        """Both files."""
        digest = hashlib.sha256()
        for name in ("onelogin", "gateway_clients"):
            file: Path = self._settings.values[name].value
            digest.update(file.read_bytes() if file.is_file() else b"")
        return digest.hexdigest()

    async def _serve(self, directory: Path) -> None:
        provider, _ = self._known.current
        contracts = self._door.contracts
        used = UsedTokens(directory / "used.db")
        door = LinkDoor(
            provider,
            Verifier(provider, time.time, time.monotonic),
            used,
            contracts,
            last_word(contracts),
            self._door.publishing,
            now_ms,
        )

        async def renew() -> None:
            if await self._door.contracts_renewed():
                door.renew(self._door.contracts, last_word(self._door.contracts))
            if await asyncio.to_thread(self._known.is_renewed):
                newer, clients = self._known.current
                begin(onelogin_series(newer.services))
                self._access.renew(clients)
                door.serve(newer, Verifier(newer, time.time, time.monotonic))

        try:
            await self._door.serve(create_app(door, self._access, self._door.waiting_for), renew)
        finally:
            used.close()

    def serve(self) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        directory = self._settings.state_dir / "onelogin"
        lock = directory / "serving.lock"
        with locked(lock, lambda: say("onelogin-stands-by", lock=str(lock)), math.inf):
            asyncio.run(self._serve(directory))
