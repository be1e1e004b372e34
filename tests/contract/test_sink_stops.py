"""A sink that is told to end while there is much to do: it ends soon, and nothing of half a way is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from connectors.postgres import keeper as keeping
from connectors.postgres.decoder import Decoder
from connectors.postgres.keeper import Keeper
from connectors.postgres.line import Database, Stopped, cut_short
from connectors.postgres.sink import SinkTable
from tests.contract.table_carrier import IntoTable
from tests.postgres_kit import Postgres, postgres

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture
def carrier(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> IntoTable:
    """A table that holds one row, of which the topic has newer views; three records are a batch."""
    monkeypatch.setattr(keeping, "RECORDS_MAX", 3)
    made = IntoTable(server)
    made.give("b", 1)
    made.work()
    for number in range(2, 12):
        made.give("b", number)
    return made


def positions(carrier: IntoTable) -> object:
    """How far the table says that it is."""
    return carrier.server.rows(carrier.database, "SELECT positions FROM postroom_sink.views")


def work_until_told(carrier: IntoTable, polls: int) -> None:
    """Work, and be told to end after so many polls."""
    told = threading.Event()
    carrier.topic.meanwhile = [*[lambda: None] * polls, told.set]
    with Database(carrier.server.url(carrier.database), "sink").connection() as connection:
        table, decoder = SinkTable(connection, carrier.rows.table), Decoder(lambda _: carrier.schema)
        keeper = Keeper(carrier.topic, table, carrier.rows, decoder, carrier._say, is_told=told.is_set)
        keeper.begin()
        keeper.step()


@pytest.mark.parametrize("anew", [False, True], ids=["behind", "anew"])
@pytest.mark.parametrize("polls", range(5))
def test_told_on_the_way_it_leaves_the_table_as_it_was(carrier: IntoTable, polls: int, anew: bool):
    """Wherever it is told, reading on or reading anew: the next one begins there again and loses nothing."""
    if anew:
        carrier.server.script(
            carrier.database, "UPDATE postroom_sink.views SET at_end = now() - interval '31 days'"
        )
    before = positions(carrier)
    with pytest.raises(Stopped):
        work_until_told(carrier, polls)
    assert (carrier.table(), positions(carrier)) == ({"b": 1}, before)
    carrier.work()
    assert carrier.table() == {"b": 11}


def told_before(statement: str, server: Postgres, first: Callable[[], object] = lambda: None) -> None:
    """Be told to end, and only then let the server work on a statement in a transaction."""
    stop = threading.Event()
    with (
        Database(server.url("postgres"), "sink").connection() as connection,
        cut_short(connection, stop),
        connection.transaction(),
    ):
        first()
        stop.set()
        connection.execute(statement)


def test_a_statement_that_would_take_for_ever_is_given_up(server: Postgres):
    """By the server too: it holds no lock that the next one would wait for, and nothing was done."""
    server.script("postgres", "CREATE TABLE much (number int)")
    with pytest.raises(Stopped):
        told_before("INSERT INTO much SELECT 1 FROM pg_sleep(3600)", server)
    assert server.rows("postgres", "SELECT count(*) FROM much") == [(0,)]
    at_work = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    assert server.rows("postgres", at_work) == [(0,)]


def test_a_server_that_stands_still_does_not_hold_up_the_end(server: Postgres):
    """It is asked in vain, so the line is cut; when it goes on it rolls back."""
    server.script("postgres", "CREATE TABLE little (number int)")
    try:
        with pytest.raises(Stopped):
            told_before("INSERT INTO little VALUES (1)", server, server.pause)
    finally:
        server.go_on()
    assert server.rows("postgres", "SELECT count(*) FROM little") == [(0,)]


def test_who_was_not_told_hears_what_the_server_did(server: Postgres):
    """A statement that somebody else cancelled, or a line that broke, is no end as wished."""
    with (
        pytest.raises(psycopg.errors.QueryCanceled),
        psycopg.connect(server.url("postgres"), options="-c statement_timeout=10") as connection,
        cut_short(connection, threading.Event()),
    ):
        connection.execute("SELECT pg_sleep(3600)")
