"""A department's outbox to Kafka, put together: the database, the publisher, and the contracts as they
change.
"""

from __future__ import annotations

import threading
import time

from connectors import Stack, Trouble
from connectors.postgres import outbox_metrics
from connectors.postgres.line import Database
from connectors.postgres.outbox import OutboxTable
from connectors.registry import registry_of
from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.errors import UserError
from postroom.first_series import begin, outbox_series
from postroom.inputs import producing, publisher_on
from postroom.lasting import Progress
from postroom.renewal import fingerprint
from postroom.watched import Watched
from processors.engine.journal import say
from producers import Publisher
from producers.outbox import Relay, Round
from schemas import Contracts

POLL_S = 0.2
"""How long a committed row may wait when nothing was due: a look costs an index page, and costs no writer
anything, which a NOTIFY would (docs/adr/0032).
"""
TURN_S = 1.0
MEND = "`postroom status` says what runs; the rows wait in the outbox"


class RunningOutbox:
    """The relay of one owner's outbox, for as long as it is wanted; rows are parked under the contracts'
    names.
    """

    def __init__(self, settings: Settings, stack: Stack, database: Database, owner: str) -> None:
        self._settings, self._stack, self._database, self._owner = settings, stack, database, owner
        self._contracts = Watched(lambda: fingerprint(settings), self._read)
        self._said: dict[str, str] = {}
        self._answers = True

    def _read(self, _: Contracts | None) -> Contracts:
        contracts = load_rules_files(self._settings.contracts_dir, self._settings.agreements_dir)[0]
        if not any(self._owner in contract.owners for contract in contracts.by_type.values()):
            raise UserError(
                f"{self._owner} owns no contract",
                where=str(self._settings.contracts_dir),
                mend="`postroom contract docs` lists them with their owners",
            )
        begin(outbox_series(self._owner, contracts))
        return contracts

    def waiting_for(self) -> list[str]:
        """A database that stands still; what is away otherwise ends `work`."""
        return ["PostgreSQL to answer"] * (not self._answers)

    def look(self) -> None:
        """Tell how the outbox stands, whoever has the turn and whether Kafka is there or not."""
        try:
            with self._database.connection() as connection:
                standing = OutboxTable(connection).standing()
        except Trouble:
            standing = None
        self._answers = standing is not None
        outbox_metrics.show(self._owner, standing)

    def work(self, stop: threading.Event, progress: Progress) -> None:
        """Relay until told to stop; Trouble or UserError when something that it stands on is away."""
        registry = registry_of(self._stack)
        with self._database.connection() as connection:
            table = OutboxTable(connection)
            table.take()  # what is wrong with the table is said before anything is waited for
            registry.ping()
            if not self._wait_for_turn(table, stop, progress):
                return
            with producing(self._stack, MEND) as producer:

                def publisher() -> Publisher:
                    return publisher_on(producer, self._stack, registry, self._contracts.current, self._owner)

                say("outbox-relays", owner=self._owner, where=self._database.where)
                progress.under_way()
                self._relay(Relay(table, publisher, time.monotonic), stop)

    def _wait_for_turn(self, table: OutboxTable, stop: threading.Event, progress: Progress) -> bool:
        """Stand by while another relay holds the turn: two would mix up the order of an aggregate."""
        told = False
        while not table.is_our_turn():
            if not told:
                say("outbox-stands-by", owner=self._owner, where=self._database.where)
                progress.wait_for("its turn: another relay has it")
                told = True
            if stop.wait(TURN_S):
                return False
        return True

    def _relay(self, relay: Relay, stop: threading.Event) -> None:
        while not stop.is_set():
            if self._contracts.is_renewed():
                relay.renew()
            found = relay.round()
            self._tell(found)
            if found.was_empty:
                stop.wait(POLL_S)

    def _tell(self, found: Round) -> None:
        """Count, and say what was parked and what is held up, the same thing once; never what a row says."""
        for type_, count in found.published.items():
            outbox_metrics.PUBLISHED.labels(self._owner, type_).inc(count)
        for (type_, reason), count in found.parked.items():
            known = type_ if type_ in self._contracts.current.by_type else "unknown"
            outbox_metrics.PARKED.labels(self._owner, known, reason).inc(count)
            say("outbox-parked", type=known, reason=reason, rows=count, mend="`postroom outbox parked`")
        for type_, refused in found.held.items():
            if self._said.get(type_) != refused.why:
                say("outbox-holds", type=type_, why=refused.why, mend=refused.mend)
            self._said[type_] = refused.why
        for type_ in found.published:
            self._said.pop(type_, None)
