"""What the gateway stands on, put together: settings and files to ports, ports to a server."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
import time
from collections.abc import Callable

from connectors import Stack
from connectors.callers import Access, Clients, KeySet, Tokens, load_clients
from connectors.doors import Rates, check_transport, listen, server
from connectors.gateway import Acknowledging, Cursors, Gateway, Obligation, Subscribing, create_app, routes_of
from connectors.gateway.audit import READY
from connectors.gateway.kafka_ledger import TopicLedger
from connectors.kafka_topics import missing_topics
from connectors.publishing import Judge, KafkaSink, Publishing
from connectors.registered_schemas import RegisteredSchemas
from connectors.registry import registry_of
from connectors.view_topics import TopicViews
from postroom.composition import DISCOVER_EVERY_S, load_rules_files
from postroom.config import Settings
from postroom.errors import UserError
from postroom.first_series import begin, gateway_series
from postroom.gateway_settings import GatewaySettings, gateway_settings
from postroom.renewal import fingerprint, require_nothing_vanished, require_registered
from postroom.signals import show_signals
from postroom.topics import changelog
from postroom.traces import spans_of
from postroom.watched import Watched
from processors import Intake, Keys, Rules, view_topic
from processors.engine.changelog import TASK_KEY, body_of
from processors.engine.trouble import stop_process
from processors.intake import Rejected
from processors.obligations import read_obligation
from schemas import Addressees, Contracts, Rejection

LOOK_EVERY_S = DISCOVER_EVERY_S / 5

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
        self._settings, self._stack = settings, stack
        self._rules = Watched(lambda: fingerprint(settings), self._read_rules)
        self._clients = Watched(self._clients_fingerprint, self._read_clients)
        self.contracts, self.clients = self._rules.current.contracts, self._clients.current
        self.schemas = RegisteredSchemas(registry_of(stack))
        access = stack.access.of("gateway")
        self.sink = KafkaSink(access)
        self.views = TopicViews(access, self.clients.read_agreements, view_topic, self.schemas)
        self.ledger = TopicLedger(access, changelog("obligations"), obligation_of)

    def _read_rules(self, in_force: Rules | None) -> Rules:
        """Contracts and agreements; once there are some in force, UserError or Trouble unless everything that
        newer ones need is there.
        """
        contracts, agreements = load_rules_files(self._settings.contracts_dir, self._settings.agreements_dir)
        newer = Rules(contracts, agreements, Keys(b""))
        if in_force is not None:
            require_nothing_vanished(self._settings, in_force, newer)
            require_registered(registry_of(self._stack), in_force.contracts, contracts)
            new = {view_topic(name) for name in agreements.keys() - in_force.agreements.keys()}
            new |= contracts.by_type.keys() - in_force.contracts.by_type.keys()
            if new and (missing := missing_topics(self._stack.access, new)):
                raise UserError(
                    "a topic is missing", where=", ".join(missing[:5]), mend="postroom topics apply"
                )
        return newer

    def _read_clients(self, _: Clients | None) -> Clients:
        return load_clients(self.own.clients, self._rules.current.agreements)

    def _clients_fingerprint(self) -> str:
        """Their file, and the agreements that it was read with."""
        file = self.own.clients
        digest = hashlib.sha256(file.read_bytes() if file.is_file() else b"")
        digest.update(repr(sorted(self._rules.current.agreements.items())).encode())
        return digest.hexdigest()

    def addressees(self) -> Addressees:
        """Whom a statement may name, under the agreements in force."""
        rules = self._rules.current
        return Addressees(rules.agreements, rules.contracts)

    async def renew(self, gateway: Gateway) -> None:
        """Take up what is new in the files: contracts, agreements, and who may do what."""
        if await asyncio.to_thread(self._rules.is_renewed):
            # INVARIANT: a contract's present codec goes with the id of its present schema, not an older one.
            self.schemas.forget_ids()
            contracts = self._rules.current.contracts
            gateway.renew(contracts, last_word(contracts), self.addressees())
        if await asyncio.to_thread(self._clients.is_renewed):
            before, clients = self.clients, self._clients.current
            await self.views.renew(before.read_agreements | clients.read_agreements)
            self.clients = clients
            begin(gateway_series([], clients.read_agreements))
            gateway.access.renew(clients)
            await self.views.renew(clients.read_agreements)

    async def _keep_renewing(self, gateway: Gateway) -> None:
        """Renew until it is cancelled. A defect ends the process with 70, as it ends a worker: a gateway that
        goes on would let in whoever was taken out of the file.
        """
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                await self.renew(gateway)
        except Exception as error:
            stop_process("gateway", error)

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
            judge=Judge(self.contracts, last_word(self.contracts), self.addressees()),
            registered=self.schemas,
            publishing=Publishing(self.sink, self.schemas, time.monotonic, own.acknowledged_within_s),
            subscribing=Subscribing(self.views, Cursors(own.cursor_key), now_ms),
            acknowledging=Acknowledging(self.ledger, self.sink, now_ms, own.acknowledged_within_s),
            now_ms=now_ms,
            waiting_for=self.waiting_for,
            tell=spans_of("gateway", "server", self._settings),
        )

    async def serve(self, say: Say) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        own = self.own
        logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what matters of it is said by us
        check_transport(own.host, own.tls, behind_tls=own.behind_tls)
        gateway = self.gateway()
        app = create_app(gateway)
        serving = server(app, own.tls)
        begin(gateway_series(routes_of(app), self.clients.read_agreements))
        listening = listen(own.host, own.port)
        signals = show_signals("gateway", self._settings, self._stack, self.waiting_for)
        # Not before it runs: a metric outlives a gateway that was only made.
        READY.set_function(lambda: not self.waiting_for())
        for ending in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(ending, setattr, serving, "should_exit", True)
        parts = (self.sink, self.views, self.ledger)
        for part in parts:
            part.start()
        scheme = "http" if own.tls is None else "https"
        say(f"the gateway listens on {scheme}://{own.host}:{listening.getsockname()[1]}")
        say(f"metrics on {signals.url}/metrics")
        renewing = asyncio.create_task(self._keep_renewing(gateway))
        try:
            await serving.serve(sockets=[listening])
        finally:
            renewing.cancel()
            await asyncio.gather(*(part.stop() for part in parts))
            signals.close()
