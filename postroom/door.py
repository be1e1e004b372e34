"""What an HTTP door that publishes stands on, put together: a server, the broker, and the contracts as they
change. The gateway has its own composition; this one is for the doors of GOV.UK services (ADR 0057).
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp

from connectors import Stack
from connectors.doors import check_transport, listen, server
from connectors.publishing import KafkaSink, Publishing
from connectors.registered_schemas import RegisteredSchemas
from connectors.registry import registry_of
from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.errors import UserError
from postroom.gateway import LOOK_EVERY_S
from postroom.gateway_settings import tls_of
from postroom.renewal import fingerprint, require_registered
from postroom.signals import show_signals
from postroom.watched import Watched
from processors.engine.journal import say
from processors.engine.trouble import stop_process
from schemas import Contract, Contracts

Renew = Callable[[], Awaitable[None]]
"""Takes up what is new in files, every few seconds."""


class PublishingDoor:
    """The part that all such doors share; `name` is the process's, and begins its settings' names."""

    def __init__(self, name: str, settings: Settings, stack: Stack) -> None:
        self.name, self.settings, self._stack = name, settings, stack
        self._registry = registry_of(stack)
        self._contracts = Watched(lambda: fingerprint(settings), self._read)
        self.schemas = RegisteredSchemas(self._registry)
        self.sink = KafkaSink(stack.access.of(name))
        within_s = settings.values[f"{name}_acknowledged_within_ms"].value / 1000
        self.publishing = Publishing(self.sink, self.schemas, time.monotonic, within_s)

    @property
    def contracts(self) -> Contracts:
        """Those in force."""
        return self._contracts.current

    def contract(self, type_: str) -> Contract:
        """Return a contract in force; UserError when it is not there."""
        return require_contract(self.contracts, type_, self.settings, self.name)

    def _read(self, in_force: Contracts | None) -> Contracts:
        newer = load_rules_files(self.settings.contracts_dir, self.settings.agreements_dir)[0]
        if in_force is not None:
            require_registered(self._registry, in_force, newer)
        return newer

    async def contracts_renewed(self) -> bool:
        """Take up newer contracts; tell whether there were any."""
        if not await asyncio.to_thread(self._contracts.is_renewed):
            return False
        # INVARIANT: a contract's present codec goes with the id of its present schema, not an older one.
        self.schemas.forget_ids()
        return True

    def waiting_for(self) -> list[str]:
        """Name what is not there yet."""
        return [] if self.sink.is_ready else ["kafka"]

    async def serve(self, app: ASGIApp, renew: Renew) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what matters of it is said by us
        value = {key: found.value for key, found in self.settings.values.items()}
        host, behind_tls = value[f"{self.name}_host"], value[f"{self.name}_behind_tls"] == "yes"
        what, setting = f"`postroom {self.name.replace('_', '-')} run`", f"POSTROOM_{self.name.upper()}"
        tls = tls_of(self.settings, self.name)
        check_transport(host, tls, behind_tls=behind_tls, what=f"{what} would take data", setting=setting)
        serving = server(app, tls)
        listening = listen(host, value[f"{self.name}_port"], what, setting)
        signals = show_signals(self.name, self.settings, self._stack, self.waiting_for, needed=("kafka",))
        for ending in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(ending, setattr, serving, "should_exit", True)
        self.sink.start()
        scheme = "http" if tls is None else "https"
        say("signals", url=signals.url)
        say("listens", url=f"{scheme}://{host}:{listening.getsockname()[1]}")
        renewing = asyncio.create_task(self._keep_renewing(renew))
        try:
            await serving.serve(sockets=[listening])
        finally:
            renewing.cancel()
            await self.sink.stop()
            signals.close()

    async def _keep_renewing(self, renew: Renew) -> None:
        """Renew until it is cancelled. A defect ends the process with 70, as it ends a worker: a door that
        goes on would let in whoever was taken out of the file.
        """
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                await renew()
        except Exception as error:
            stop_process(self.name, error)


def require_contract(contracts: Contracts, type_: str, settings: Settings, name: str) -> Contract:
    """Return the contract that a door publishes under; UserError when it is not there."""
    found = contracts.by_type.get(type_)
    if found is None:
        raise UserError(
            f"there is no contract {type_}",
            where=str(settings.contracts_dir),
            why=f"`postroom {name.replace('_', '-')} run` publishes under it",
            mend="name a contracts directory that has it with POSTROOM_CONTRACTS",
        )
    return found
