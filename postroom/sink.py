"""A subscriber's tables kept equal to their views, put together: the database, the topic, and the
agreements as they change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connectors import Stack
from connectors.kafka_positions import topic_positions
from connectors.postgres import sink_metrics
from connectors.postgres.decoder import Decoder
from connectors.postgres.keeper import Keeper, fitted, take_away
from connectors.postgres.line import Database, Stopped, cut_short
from connectors.postgres.sink import Differences, SinkTable
from connectors.postgres.view_table import Rows
from connectors.registry import registry_of
from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.errors import UserError
from postroom.first_series import begin, sink_series
from postroom.lasting import Progress
from postroom.renewal import fingerprint
from postroom.watched import Watched
from processors import view_topic
from processors.engine.journal import say


def rows_of(settings: Settings, agreement: str) -> Rows:
    """How an agreement's views become rows; UserError when there is no such agreement."""
    contracts, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    if agreement not in agreements:
        raise UserError(
            "there is no such agreement", where=agreement, mend="one of: " + ", ".join(sorted(agreements))
        )
    return Rows(agreements[agreement], contracts)


class RunningSink:
    """The sink of one agreement, for as long as it is wanted."""

    def __init__(self, settings: Settings, stack: Stack, database: Database, agreement: str) -> None:
        self._stack, self._database, self._agreement = stack, database, agreement
        self._rows = Watched(lambda: fingerprint(settings), lambda _: rows_of(settings, agreement))
        begin(sink_series(agreement))
        self._began = False
        self._keeper: Keeper | None = None
        self._answers = True

    def waiting_for(self) -> list[str]:
        """Reading anew, which can take long, and a database that stands still while nothing is written."""
        anew = self._keeper is not None and self._keeper.reads_anew
        return ["its view to be read anew"] * anew + ["PostgreSQL to answer"] * (not self._answers)

    def look(self) -> None:
        """Tell whether the database answers."""
        self._answers = self._database.answers()
        sink_metrics.DATABASE_REACHABLE.labels(self._agreement).set(self._answers)

    def work(self, stop: threading.Event, progress: Progress) -> None:
        """Keep the table until told to stop, or until the agreement is another; Trouble when something that
        it stands on is away.
        """

        def is_told() -> bool:
            """To end; or to begin again: an agreement that grants less does not wait for the view's end."""
            return stop.is_set() or self._rows.is_renewed()

        try:
            with self._open(stop, is_told, partly=self._began, looking=False) as keeper:
                self._began, self._keeper = True, keeper
                keeper.begin()
                say("sink-keeps", agreement=self._agreement, where=self._database.where)
                if lacking := sorted(keeper.lacks()):
                    say("sink-lacks-columns", agreement=self._agreement, columns=lacking, mend="`sink ddl`")
                progress.under_way()
                while not is_told() and not keeper.wants_columns():
                    keeper.step()
        except Stopped:
            say("sink-broke-off", agreement=self._agreement)

    def check(self, within_s: float) -> Differences:
        """What the table and its view do not have alike."""
        with self._open(threading.Event(), lambda: False, partly=False, looking=True) as keeper:
            return keeper.check(within_s)

    @contextmanager
    def _open(
        self, stop: threading.Event, is_told: Callable[[], bool], *, partly: bool, looking: bool
    ) -> Iterator[Keeper]:
        registry = registry_of(self._stack)
        registry.ping()
        rows = self._rows.current
        with self._database.connection() as connection, cut_short(connection, stop):
            table = SinkTable(connection, rows.table)
            if not looking:
                take_away(rows, table, say)
            table = fitted(rows, table, partly=partly)
            with topic_positions(self._stack.access.of("sink"), view_topic(self._agreement)) as topic:
                decoder = Decoder(registry.schema_by_id)
                yield Keeper(topic, table, rows, decoder, say, is_told=is_told)
