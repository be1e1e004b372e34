"""What webhooks stand on, put together: settings and files to endpoints, topics and a journal to couriers."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from connectors import Stack
from connectors.registered_schemas import RegisteredSchemas
from connectors.registry import registry_of
from connectors.state_files import locked
from connectors.view_topics import TopicViews, ViewRecords
from connectors.webhook import (
    Courier,
    Desk,
    Endpoint,
    Journal,
    Line,
    Network,
    Reader,
    Rounds,
    Withheld,
    load_endpoints,
    permission,
    read_networks,
    trusted,
)
from connectors.webhook.kafka_pages import TopicPages
from connectors.webhook.outbox import Outbox
from postroom.composition import load_rules_files
from postroom.config import Settings, environment
from postroom.errors import UserError
from postroom.first_series import begin, webhook_series
from postroom.logs import configure_logs
from postroom.private_files import misused, read_secret
from postroom.signals import show_signals
from postroom.traces import spans_of
from processors import view_topic
from processors.engine.journal import say


def journal_of(settings: Settings) -> Journal:
    """Open the journal of this installation; Trouble."""
    return Journal(settings.state_dir / "webhooks" / "journal.db")


def endpoints_of(settings: Settings) -> dict[str, Endpoint]:
    """Read who receives what, with the agreements as their files are now; Misused."""
    try:
        _, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    except UserError as error:
        raise misused(error) from error
    file: Path = settings.values["webhooks"].value
    return load_endpoints(file, agreements, environment(), read_secret, allowed_networks(settings))


def allowed_networks(settings: Settings) -> tuple[Network, ...]:
    """Return what is not public and may be sent to all the same."""
    return read_networks(settings.values["webhook_networks"].value or "")


def line_to(endpoint: Endpoint, settings: Settings) -> Line:
    """Return a line to one receiver."""
    return Line(
        endpoint.url,
        trusted(settings.values["webhook_ca_file"].value),
        allowed_networks(settings),
        connections_max=endpoint.in_flight_max,
        timeout_s=endpoint.timeout_s,
    )


async def ask_each(settings: Settings, endpoints: Mapping[str, Endpoint]) -> dict[str, str]:
    """Ask receivers for permission, as before a first delivery; return what is wrong, by name."""

    async def one(endpoint: Endpoint) -> str:
        line = line_to(endpoint, settings)
        try:
            found = await permission(endpoint, line)
        finally:
            await line.close()
        return found.why if isinstance(found, Withheld) else ""

    answers = await asyncio.gather(*map(one, endpoints.values()))
    return {name: why for name, why in zip(endpoints, answers, strict=True) if why}


class Sending:
    """The couriers on a stack: made from settings, then run in a loop."""

    def __init__(self, settings: Settings, stack: Stack) -> None:
        self._settings, self._access = settings, stack.access.of("webhook")
        schemas = RegisteredSchemas(registry_of(stack))
        self._records = ViewRecords(schemas)
        self._views = TopicViews(self._access, frozenset(), view_topic, schemas)
        self._journal = journal_of(settings)
        self._tell = spans_of("webhook", "client", settings)
        self.rounds = Rounds(lambda: endpoints_of(settings), self._courier)

    def _courier(self, endpoint: Endpoint) -> Courier:
        begin(webhook_series(endpoint.name))
        self._views.follow(frozenset(endpoint.agreements))

        def readers(outbox: Outbox) -> list[Reader]:
            return [
                Reader(
                    endpoint.name,
                    agreement,
                    TopicPages(self._access, view_topic(agreement), self._records),
                    self._journal,
                    outbox,
                )
                for agreement in endpoint.agreements
            ]

        def desk() -> Desk:
            return Desk(endpoint, self._journal, readers, self._views.is_replaced, random.SystemRandom())

        line = line_to(endpoint, self._settings)
        return Courier(endpoint, line, self._journal.secret, desk, self._tell)

    def waiting_for(self) -> list[str]:
        """Name what is waited for: views leave once it is known which of them have been replaced."""
        return [*self.rounds.waiting_for(), *(f"{each} to be read" for each in self._views.waiting_for)]

    async def run(self) -> None:
        """Deliver until SIGTERM or Ctrl-C."""
        logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what matters of it is said by us
        delivering = asyncio.create_task(self.rounds.run())
        for ending in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(ending, delivering.cancel)
        try:
            with suppress(asyncio.CancelledError):
                await delivering
        finally:
            await self._views.stop()
            self._journal.close()


def run(settings: Settings, stack: Stack) -> None:
    """Deliver, as the only process that does with this journal; another waits for the first to end, and is
    not ready meanwhile.
    """
    configure_logs(settings)
    sending: list[Sending] = []

    def waiting_for() -> list[str]:
        return sending[0].waiting_for() if sending else ["its turn: another process delivers"]

    signals = show_signals("webhook", settings, stack, waiting_for, needed=("kafka",))
    say("signals", url=signals.url)
    lock = settings.state_dir / "webhooks" / "sending.lock"
    try:
        with locked(lock, lambda: say("webhooks-stand-by", lock=str(lock)), math.inf):
            sending.append(Sending(settings, stack))
            asyncio.run(sending[0].run())
    finally:
        signals.close()
