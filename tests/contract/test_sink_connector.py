"""The connectors' contract for the sink on a real PostgreSQL, and that no row of its table goes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, count, repeat
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.kafka_reader import RawRecord
from connectors.postgres import keeper as keeping
from connectors.postgres import sink_metrics
from connectors.postgres.decoder import Decoder
from connectors.postgres.keeper import Keeper
from connectors.postgres.line import Database
from connectors.postgres.sink import SinkTable
from connectors.postgres.view_table import Rows, sink_ddl
from connectors.trouble import Misused, Unreachable
from postroom.composition import load_rules_files
from tests.contract.connector_contract import Carrier, ConnectorContract, Died
from tests.contract.table_carrier import HOUSING, ROOT, IntoTable, ListTopic
from tests.postgres_kit import Postgres, postgres


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three records are a batch, so that a test of a few has what is read aside."""
    monkeypatch.setattr(keeping, "RECORDS_MAX", 3)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


class Day(NamedTuple):
    """What is said before the sink works, and between its polls; what befell its positions; where it dies."""

    before: list[tuple[str, str]]
    meanwhile: list[tuple[str, str]]
    accident: str
    dies_at: int


SAID = st.tuples(st.sampled_from("abc"), st.sampled_from(["says", "says", "ends", "carries on"]))
ACCIDENTS = {
    "set back": "UPDATE postroom_sink.views SET positions = '{0,0,0}' WHERE positions IS NOT NULL",
    "long away": "UPDATE postroom_sink.views SET at_end = now() - interval '31 days'",
}
DAY = st.builds(
    Day,
    st.lists(SAID, max_size=12),
    st.lists(SAID, max_size=4),
    st.sampled_from(["", "", *ACCIDENTS]),
    st.integers(0, 20),
)


@pytest.mark.flow
class TestIntoTable(ConnectorContract):
    """The sink on a real PostgreSQL."""

    @pytest.fixture
    def carrier(self, server: Postgres) -> Carrier:
        return IntoTable(server)

    def test_a_retraction_empties_the_row_and_no_replay_brings_it_back(self, server: Postgres):
        """Guarded by the sequence, read anew or not."""
        carrier = IntoTable(server)
        carrier.give("a", 1)
        carrier.work()
        carrier.topic.write("a", None, 2)
        carrier.work()
        assert carrier.table() == {}
        server.script(carrier.database, "UPDATE postroom_sink.views SET positions = '{0,0,0}'")
        carrier.work()
        assert carrier.table() == {}

    def test_what_became_of_records_is_counted(self, server: Postgres):
        """Once it is committed: written, ignored because the row was as new, deleted; nothing is behind."""
        carrier = IntoTable(server)

        def counts() -> list[float]:
            kinds = ("upserted", "ignored", "deleted")
            return [sink_metrics.ROWS.labels(HOUSING, kind)._value.get() for kind in kinds]

        before, began_s = counts(), time.time()
        carrier.give("a", 1)
        carrier.work()
        carrier.give_again("a", 1)
        carrier.work()
        carrier.topic.write("a", None, 2)
        carrier.work()
        assert [after - was for after, was in zip(counts(), before, strict=True)] == [1, 1, 1]
        assert sink_metrics.BEHIND.labels(HOUSING)._value.get() == 0
        assert sink_metrics.READING_ANEW.labels(HOUSING)._value.get() == 0
        assert began_s - 1 <= sink_metrics.AT_END.labels(HOUSING)._value.get() <= time.time()

    def test_how_old_a_table_is_survives_a_restart(self, server: Postgres):
        """When the table last was all of its view is kept with it; a sink that has not read says no other."""
        carrier = IntoTable(server)
        carrier.give("a", 1)
        carrier.work()
        server.script(carrier.database, "UPDATE postroom_sink.views SET at_end = now() - interval '2 hours'")
        carrier.work()
        aged_s = time.time() - sink_metrics.AT_END.labels(HOUSING)._value.get()
        assert 7_190 < aged_s < 7_200 + 600

    def test_an_older_record_never_replaces_a_newer_row(self, server: Postgres):
        """Whoever set the positions back: a row only goes forward, and in the end equals its view."""
        carrier = IntoTable(server)
        for number in (1, 2, 3):
            carrier.give("a", number)
        carrier.work()
        server.script(carrier.database, "UPDATE postroom_sink.views SET positions = '{0,0,0}'")
        carrier.work()
        assert carrier.seen == [("a", 3)]

    def test_a_first_reading_never_shows_what_was_withdrawn(self, server: Postgres):
        """The topic still has the old view before its retraction; the table never does."""
        carrier = IntoTable(server)
        carrier.give("a", 1)
        for number in range(1, 9):
            carrier.give("b", number)
        carrier.topic.write("a", None, 2)
        carrier.work()
        assert carrier.seen == [("b", 8)]

    def test_after_an_absence_no_value_that_was_taken_back_meanwhile_is_shown(self, server: Postgres):
        """V1: what was granted and withdrawn while the sink was away never stands in the table, however many
        batches lie between; nor does what is withdrawn while it reads.
        """
        carrier = IntoTable(server)
        carrier.give("b", 1)
        carrier.work()
        carrier.give("a", 1)
        for number in range(2, 9):
            carrier.give("b", number)
        carrier.topic.write("a", None, 2)
        carrier.give("c", 1)
        carrier.topic.meanwhile = [lambda: None, lambda: carrier.topic.write("c", None, 2)]
        carrier.work()
        assert carrier.seen == [("b", 1), ("b", 8)]

    def test_a_retraction_does_not_wait_for_what_lies_behind_it(self, server: Postgres):
        """It leaves the table as soon as it is read, however much is read aside; a sink that is killed then
        has taken back nothing that it should not, and goes on from where it was.
        """
        carrier = IntoTable(server)
        for key in "ab":
            carrier.give(key, 1)
        carrier.work()
        carrier.topic.write("a", None, 2)
        for number in range(2, 12):
            carrier.give("b", number)
        rows: list[dict[str, int]] = []
        carrier.topic.meanwhile = [lambda: rows.append(carrier.table()) for _ in range(5)]
        carrier.restart()
        carrier.die_at(8)
        with pytest.raises(Died):
            carrier.work()
        assert rows[-1] == carrier.table() == {"b": 1}
        carrier.restart()
        carrier.topic.meanwhile = []
        carrier.work()
        assert carrier.table() == {"b": 11}

    def test_a_topic_that_stops_answering_on_the_way_is_not_waited_for_in_silence(self, server: Postgres):
        """It says so and is opened again; nothing of half a way is in the table."""
        carrier = IntoTable(server)
        carrier.work()
        for number in range(1, 9):
            carrier.give("b", number)
        minutes, poll = count(), carrier.topic.poll
        answers = chain([poll, poll], repeat(lambda *_: []))

        def polled(records_max: int, wait_ms: int) -> list[RawRecord]:
            return next(answers)(records_max, wait_ms)

        carrier.topic.poll = polled  # type: ignore[method-assign]
        with Database(server.url(carrier.database), "sink").connection() as connection:
            table, decoder = SinkTable(connection, carrier.rows.table), Decoder(lambda _: carrier.schema)
            keeper = Keeper(
                carrier.topic, table, carrier.rows, decoder, carrier._say, lambda: next(minutes) * 60_000
            )
            keeper.begin()
            with pytest.raises(Unreachable, match="stopped answering"):
                keeper.step()
        assert carrier.table() == {}
        carrier.topic.poll = poll  # type: ignore[method-assign]
        carrier.work()
        assert carrier.table() == {"b": 8}

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(days=st.lists(DAY, min_size=1, max_size=4))
    def test_whatever_happens_meanwhile_the_table_goes_from_view_to_view(
        self, server: Postgres, days: list[Day]
    ):
        """Absences, kills anywhere, positions set back, reading anew, and records that come while it reads:
        each commit holds only what was current (asserted at each), in the end it equals the view, and what a
        key superseded is told (V2).
        """
        carrier = IntoTable(server)
        newest: dict[str, int] = {}
        alive: dict[str, set[str]] = {}

        def say(key: str, deed: str) -> None:
            newest[key] = newest.get(key, 0) + 1
            value = None if deed == "ends" else carrier.value(newest[key])
            old = {"a": "c", "b": "a", "c": "b"}[key]
            carrier.topic.write(
                key, value, newest[key], **({"postroom_supersedes": old} if deed == "carries on" else {})
            )
            alive[key] = alive.get(key, set()) | {old} if deed == "carries on" else alive.get(key, set())
            if deed == "ends":
                del alive[key]
            if deed == "carries on" and old in alive:
                say(old, "ends")

        for day in days:
            for key, deed in day.before:
                say(key, deed)
            carrier.topic.meanwhile = [partial(say, *said) for said in day.meanwhile]
            if day.accident in ACCIDENTS:
                server.script(carrier.database, ACCIDENTS[day.accident])
            carrier.restart()
            carrier.die_at(day.dies_at)
            with suppress(Died):
                carrier.work()
        carrier.restart()
        carrier.work()
        assert carrier.table() == {key: newest[key] for key in alive}
        told = "SELECT postroom_key, postroom_supersedes FROM postroom_views.council_leeds_housing"
        for key, supersedes in server.rows(carrier.database, told):
            assert alive[key] <= set(supersedes or [])

    def test_a_key_that_another_carries_on_is_gone(self, server: Postgres):
        """With the view under the new key (V2), and for a row that came later under the old key, never."""
        carrier = IntoTable(server)
        carrier.give("a", 1)
        carrier.work()
        carrier.topic.write("b", carrier.value(2), 1, postroom_supersedes="a")
        carrier.work()
        assert carrier.table() == {"b": 2}
        query = "SELECT postroom_supersedes FROM postroom_views.council_leeds_housing"
        assert server.rows(carrier.database, query) == [(["a"],)]
        carrier.give("b", 3)
        carrier.work()
        assert server.rows(carrier.database, query) == [(["a"],)], "the service can still tell"

    def test_another_topic_of_the_same_name_is_read_anew(self, server: Postgres):
        """What the new one does not have is deleted, though its sequences begin again."""
        carrier = IntoTable(server)
        for number in (1, 2, 3):
            carrier.give("a", number)
        carrier.give("b", 1)
        carrier.work()
        carrier.topic = ListTopic()
        carrier.give("a", 1)
        carrier.work()
        assert carrier.table() == {"a": 1}

    def test_two_sinks_do_not_write_over_each_other(self, server: Postgres):
        """The one that is behind hears of it, and goes on from where the other is."""
        carrier = IntoTable(server)
        url = server.url(carrier.database)
        carrier.give("a", 1)
        with Database(url, "one").connection() as one, Database(url, "two").connection() as two:
            keepers = []
            for connection in (one, two):
                topic = ListTopic()
                topic.topic_id, topic.logs = carrier.topic.topic_id, carrier.topic.logs
                table = SinkTable(connection, carrier.rows.table)
                decoder = Decoder(lambda _: carrier.schema)
                keepers.append(Keeper(topic, table, carrier.rows, decoder, carrier._say))
            for keeper in keepers:
                keeper.begin()
            for number in range(2, 8):
                carrier.give("a", number)
                carrier.give("b", number)
                keepers[number % 2].step()
                carrier._look()
            for _ in range(12):
                for keeper in keepers:
                    keeper.step()
                    carrier._look()
            assert keepers[0].check(5).none
        assert carrier.table() == {"a": 7, "b": 7}
        for key in "ab":
            numbers = [number for each, number in carrier.seen if each == key]
            assert numbers == sorted(numbers), "a row went back"

    def test_what_an_agreement_withdraws_is_emptied_and_what_it_adds_needs_the_ddl(self, server: Postgres):
        """A column that is granted no longer is taken away before anybody has run any DDL; then the DDL
        drops it and adds the new ones, and the table is read anew.
        """
        from dataclasses import replace

        from connectors.postgres.keeper import fitted, take_away
        from schemas import Grant

        carrier = IntoTable(server)
        carrier.give("a", 1)
        carrier.work()
        contracts, agreements = load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")
        grants = (Grant("address", ("postcode",)), Grant("death", None))
        newer = Rows(replace(agreements[HOUSING], attributes=grants, version=2), contracts)
        with Database(server.url(carrier.database), "sink").connection() as connection:
            table = SinkTable(connection, newer.table)
            take_away(newer, table, carrier._say)
            query = "SELECT name FROM postroom_views.council_leeds_housing"
            assert server.rows(carrier.database, query) == [(None,)]
            with pytest.raises(Misused, match="death"):
                fitted(newer, table, partly=False)
            assert fitted(newer, table, partly=True).table.columns.keys() == {"address"}
            meanwhile = Keeper(carrier.topic, table, newer, Decoder(lambda _: carrier.schema), carrier._say)
            assert meanwhile.lacks() == {"death"}
            server.script(carrier.database, sink_ddl(newer.table))
            table = fitted(newer, SinkTable(connection, newer.table), partly=False)
            assert table.present() == newer.table.every_column
            said: list[object] = []
            keeper = Keeper(
                carrier.topic, table, newer, Decoder(lambda _: carrier.schema), lambda e, **f: said.append(f)
            )
            assert keeper.lacks() == set()
            keeper.begin()
            assert [each["why"] for each in said if "why" in each] == ["agreement-changed"]  # type: ignore[operator, index]
            assert keeper.check(5).none

    def test_a_server_that_stands_still_only_delays(self, server: Postgres):
        """It goes on, and so does the sink, with nothing lost."""
        import threading

        carrier = IntoTable(server)
        carrier.give("a", 1)
        server.pause()
        working = threading.Thread(target=carrier.work)
        working.start()
        working.join(1)
        assert working.is_alive()
        server.go_on()
        working.join(60)
        assert carrier.table() == {"a": 1}
