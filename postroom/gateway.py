"""What the gateway stands on, put together: settings and files to ports, ports to a server."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable

from connectors import Stack
from connectors.gateway import (
    Access,
    Acknowledging,
    Cursors,
    Gateway,
    Judge,
    KeySet,
    Obligation,
    Publishing,
    Rates,
    Subscribing,
    Tokens,
    create_app,
    load_clients,
)
from connectors.gateway.audit import READY
from connectors.gateway.kafka_ledger import TopicLedger
from connectors.gateway.kafka_sink import KafkaSink
from connectors.gateway.kafka_topic_views import TopicViews
from connectors.gateway.registered import RegisteredSchemas
from connectors.gateway.serving import check_transport, listen, server
from connectors.registry import Registry
from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.gateway_settings import GatewaySettings, gateway_settings
from postroom.signals import show_signals
from postroom.topics import changelog
from processors import Intake, Keys, Rules, view_topic
from processors.engine.changelog import TASK_KEY, body_of
from processors.intake import Rejected
from processors.obligations import read_obligation
from schemas import Contracts, Rejection

Say = Callable[[str], None]


def now_ms() -> int:
    """The clock."""
    return time.time_ns() // 1_000_000


def last_word(contracts: Contracts) -> Callable[[bytes, int], Rejection | None]:
    """Intake's own judgement of a CloudEvent in JSON (E7); it needs no key for that, so it is given none."""
    intake = Intake(Rules(contracts, {}, Keys(b"")))

    def judge(line: bytes, at_ms: int) -> Rejection | None:
        verdict = intake.accept_json(line, at_ms)
        return verdict.reason if isinstance(verdict, Rejected) else None

    return judge


def obligation_of(key: bytes, value: bytes) -> Obligation | None:
    """An entry of the ledger's changelog; None for what is owed by nobody (yet)."""
    if key == TASK_KEY:
        return None
    entry = read_obligation(body_of(value))
    owed = entry.owed
    if owed is None:
        return None
    return Obligation(
        owed.obligation,
        owed.subscriber,
        owed.agreement,
        owed.key,
        tuple(owed.attributes),
        owed.since_ms,
        owed.deadline_ms,
        entry.acknowledged_ms(),
    )


class Running:
    """A gateway on a stack: made from settings, then started in a loop."""

    def __init__(self, settings: Settings, stack: Stack) -> None:
        self.own: GatewaySettings = gateway_settings(settings)
        self.contracts, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
        self.clients = load_clients(self.own.clients, agreements)
        self.schemas = RegisteredSchemas(Registry(stack.registry))
        self.sink = KafkaSink(stack.access)
        self.views = TopicViews(stack.access, self.clients.read_agreements, view_topic, self.schemas)
        self.ledger = TopicLedger(stack.access, changelog("obligations"), obligation_of)
        self._settings, self._stack = settings, stack
        READY.set_function(lambda: not self.waiting_for())

    def waiting_for(self) -> list[str]:
        """Name what is not there yet."""
        broker = [] if self.sink.is_ready else ["kafka"]
        return [*broker, *self.views.waiting_for, *self.ledger.waiting_for]

    def gateway(self) -> Gateway:
        """Return the parts of the application."""
        own = self.own
        tokens = Tokens(KeySet(own.keys, time.monotonic), own.issuer, own.audience, time.time)
        return Gateway(
            contracts=self.contracts,
            access=Access(self.clients, tokens),
            rates=Rates(own.events_per_s, time.monotonic),
            judge=Judge(self.contracts, last_word(self.contracts)),
            registered=self.schemas,
            publishing=Publishing(self.sink, self.schemas, time.monotonic, own.acknowledged_within_s),
            subscribing=Subscribing(self.views, Cursors(own.cursor_key), now_ms),
            acknowledging=Acknowledging(self.ledger, self.sink, now_ms, own.acknowledged_within_s),
            now_ms=now_ms,
            waiting_for=self.waiting_for,
        )

    async def serve(self, say: Say) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        own = self.own
        logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what matters of it is said by us
        check_transport(own.host, own.tls, behind_tls=own.behind_tls)
        serving = server(create_app(self.gateway()), own.tls)
        listening = listen(own.host, own.port)
        signals = show_signals("gateway", self._settings, self._stack, self.waiting_for)
        for ending in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(ending, setattr, serving, "should_exit", True)
        parts = (self.sink, self.views, self.ledger)
        for part in parts:
            part.start()
        scheme = "http" if own.tls is None else "https"
        say(f"the gateway listens on {scheme}://{own.host}:{listening.getsockname()[1]}")
        say(f"metrics on {signals.url}/metrics")
        try:
            await serving.serve(sockets=[listening])
        finally:
            await asyncio.gather(*(part.stop() for part in parts))
            signals.close()
