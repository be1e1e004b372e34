"""The connectors' contract, for an outbox table in PostgreSQL."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from connectors.postgres import outbox_metrics
from connectors.postgres.line import Database
from connectors.postgres.outbox import OutboxTable
from connectors.postgres.outbox_ddl import outbox_ddl
from connectors.trouble import Misused, Unreachable
from producers import BrokerUnreachable, Publisher
from producers.outbox import Relay
from tests.broker_kit import Kafka
from tests.contract.connector_contract import Carrier, ConnectorContract, Fuse
from tests.core.test_producers_publisher import T, contracts
from tests.postgres_kit import Postgres, postgres

TYPE, HOUSING = "uk.gov.benefits.claimant.v1", "council-leeds-housing"
NINOS = {"a": "NC000001C", "b": "NC000002C", "c": "NC000003C"}

# -- from an outbox --------------------------------------------------------------------------------------


class FromOutbox(Carrier):
    """An application that inserts rows, PostgreSQL, the relay, and a broker in memory."""

    def __init__(self, server: Postgres) -> None:
        self.database = f"outbox_{uuid.uuid4().hex[:8]}"
        server.create(self.database)
        server.script(self.database, outbox_ddl("dwp", "cis"))
        self.server, self.kafka, self.fuse = server, Kafka(), Fuse()
        self.numbers: dict[str, tuple[str, int]] = {}
        self.restart()

    def restart(self) -> None:
        self.kafka.fuse = self.fuse = Fuse()

    def _insert(self, key: str, payload: object, name: str) -> None:
        with psycopg.connect(self.server.url(self.database)) as connection:
            connection.execute(
                "INSERT INTO postroom.outbox (id, aggregatetype, aggregateid, type, payload) "
                "VALUES (%s, 'claimant', %s, %s, %s) ON CONFLICT DO NOTHING",
                [name, key, TYPE, json.dumps(payload)],
            )

    def give(self, key: str, number: int) -> None:
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key}-{number}"))
        self.numbers[name] = key, number
        self._insert(key, {"nino": NINOS[key]}, name)

    def give_again(self, key: str, number: int) -> None:
        self.give(key, number)

    def give_malformed(self, secret: str) -> None:
        self._insert("a", {"nino": f"{secret}!"}, str(uuid.uuid4()))

    def work(self) -> None:
        database = Database(self.server.url(self.database), "outbox")
        with database.connection() as connection:
            table = OutboxTable(connection, rows_max=4)
            settle = table.settle

            def settled(*words: Any) -> None:
                self.fuse.touch()
                settle(*words)
                self.fuse.touch()

            table.settle = settled  # type: ignore[method-assign]
            publisher = Publisher(self.kafka, contracts(), lambda _: 1, lambda: 2 * T, where="127.0.0.1:1")
            try:
                while not Relay(table, lambda: publisher, lambda: 0.0).round().was_empty:
                    pass
            except BrokerUnreachable:
                return

    def die_at(self, touch: int) -> None:
        self.fuse.left = touch

    def peer(self, state: str) -> None:
        self.kafka.state, self.kafka.fail = state, {}

    def arrived(self) -> list[tuple[str, int]]:
        return [self.numbers[name] for name in dict.fromkeys(self.kafka.taken)]

    def waiting(self) -> int:
        query = "SELECT count(*) FROM postroom.outbox WHERE parked_reason IS NULL"
        return int(self.server.rows(self.database, query)[0][0])

    def reported(self) -> str:
        query = "SELECT parked_reason, parked_why FROM postroom.outbox WHERE parked_reason IS NOT NULL"
        return str(self.server.rows(self.database, query))


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.mark.flow
class TestFromOutbox(ConnectorContract):
    """The outbox on a real PostgreSQL."""

    @pytest.fixture
    def carrier(self, server: Postgres) -> Carrier:
        return FromOutbox(server)

    def test_a_transaction_that_commits_late_is_not_skipped(self, server: Postgres):
        """It took its number first, and others with greater ones were published meanwhile."""
        carrier = FromOutbox(server)
        with psycopg.connect(server.url(carrier.database)) as late:
            late.execute(
                "INSERT INTO postroom.outbox (id, aggregatetype, aggregateid, type, payload) "
                "VALUES (%s, 'claimant', 'late', %s, %s)",
                [name := str(uuid.uuid4()), TYPE, json.dumps({"nino": NINOS["a"]})],
            )
            carrier.numbers[name] = "late", 1
            carrier.give("a", 1)
            carrier.work()
            assert carrier.arrived() == [("a", 1)]
        carrier.work()
        assert carrier.arrived() == [("a", 1), ("late", 1)]

    def test_a_transaction_that_fails_publishes_nothing(self, server: Postgres):
        """The event is part of the department's own transaction."""
        carrier = FromOutbox(server)
        with psycopg.connect(server.url(carrier.database)) as connection:
            connection.execute(
                "INSERT INTO postroom.outbox (aggregatetype, aggregateid, type, payload) "
                "VALUES ('claimant', 'a', %s, '{}')",
                [TYPE],
            )
            connection.rollback()
        carrier.work()
        assert (carrier.arrived(), carrier.waiting(), carrier.reported()) == ([], 0, "[]")

    def test_one_relay_works_and_another_stands_by(self, server: Postgres):
        """Two would mix up an aggregate's order; the turn ends with the session that has it."""
        url = server.url(FromOutbox(server).database)
        with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as two:
            assert OutboxTable(one).is_our_turn()
            assert not OutboxTable(two).is_our_turn()
            one.close()
            while not OutboxTable(two).is_our_turn():
                pass

    def test_what_was_mended_goes_out(self, server: Postgres):
        """The department corrects the payload, `outbox retry` makes the row due, and its event is the new
        one.
        """
        carrier = FromOutbox(server)
        carrier.give_malformed("NC999999C")
        carrier.work()
        server.script(carrier.database, 'UPDATE postroom.outbox SET payload = \'{"nino": "NC000001C"}\'')
        name = str(server.rows(carrier.database, "SELECT id::text FROM postroom.outbox")[0][0])
        carrier.numbers[name] = "a", 1
        with psycopg.connect(server.url(carrier.database), autocommit=True) as connection:
            assert OutboxTable(connection).retry("unknown-type") == 0
            assert OutboxTable(connection).retry("identifier-invalid") == 1
        carrier.work()
        assert (carrier.arrived(), carrier.waiting()) == ([("a", 1)], 0)

    def test_how_it_stands_is_told_in_numbers(self, server: Postgres):
        """What is due, what is parked, how old what goes next is; and no more of it while it is away."""
        carrier = FromOutbox(server)
        carrier.give("a", 1)
        carrier.give("b", 1)
        carrier.give_malformed("NC999999C")
        later = "UPDATE postroom.outbox SET \"time\" = now() - interval '1 hour'"
        server.script(carrier.database, later)
        with psycopg.connect(server.url(carrier.database), autocommit=True) as connection:
            found = OutboxTable(connection).standing()
            assert (found.due, found.parked) == (3, 0)
            assert 3600 <= found.oldest_s < 7200
            carrier.work()
            assert OutboxTable(connection).standing() == (0, 1, 0.0)
        outbox_metrics.show("dwp", found)
        assert outbox_metrics.ROWS.labels("dwp", "due")._value.get() == 3
        outbox_metrics.show("dwp", None)
        outbox_metrics.show("dwp", None)
        assert not next(iter(outbox_metrics.ROWS.collect())).samples
        assert outbox_metrics.DATABASE_REACHABLE.labels("dwp")._value.get() == 0

    def test_a_batch_is_bounded_in_bytes_and_a_row_that_is_too_long_is_not_fetched(self, server: Postgres):
        """However much an application writes, the relay holds a bounded part of it."""
        carrier = FromOutbox(server)
        for _ in range(20):
            carrier._insert("a", {"nino": "x" * 1_000_000}, str(uuid.uuid4()))
        carrier._insert("b", {"nino": "x" * 2_000_000}, str(uuid.uuid4()))
        with psycopg.connect(server.url(carrier.database), autocommit=True) as connection:
            found = OutboxTable(connection).take()
            assert len(found) == 17
            OutboxTable(connection).settle([row.id for row in found], [])
            assert [row.event is None for row in OutboxTable(connection).take()] == [False] * 3 + [True]


@pytest.mark.flow
def test_a_password_that_is_refused_is_told_from_a_server_that_is_away(server: Postgres):
    """The first is a wrong setting, which ends a command at once; the second is waited for."""
    server.create("locked")
    server.script("locked", "CREATE ROLE locked LOGIN PASSWORD 'right'")
    rules = server.place / "data" / "pg_hba.conf"
    rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    server.script("locked", "SELECT pg_reload_conf()")
    place = f"host=127.0.0.1 port={server.port} dbname=locked user=locked passfile=/dev/null"
    deadline = time.monotonic() + 60
    while Database(place, "sink").answers():
        assert time.monotonic() < deadline, "the server never read its rules again"
        time.sleep(0.1)
    for given in ("", " password=wrong"):
        with pytest.raises(Misused, match="let this user in"), Database(place + given, "sink").connection():
            pass
    assert Database(place + " password=right", "sink").answers()
    with pytest.raises(Unreachable), Database(place.replace(str(server.port), "1"), "sink").connection():
        pass
