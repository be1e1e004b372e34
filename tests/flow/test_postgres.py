"""From an HTTP POST and from an outbox row to a row in a subscriber's table, on a real Kafka and
PostgreSQL.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from connectors.postgres.outbox_ddl import RELAY, WRITER
from connectors.postgres.view_table import ROLE
from postroom.config import Settings
from processors import view_topic
from tests.flow.spine import COMMAND, ROOT, installation
from tests.flow.test_gateway import HOUSING, Gateway, decided, moved
from tests.postgres_kit import Postgres, postgres

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

TABLE = "postroom_views.council_leeds_housing"
CLAIMANT = "uk.gov.benefits.claimant.v1"
COUNT = 40


class Doors:
    """An installation with a worker, a gateway, and a database on either side."""

    def __init__(self, gateway: Gateway, server: Postgres) -> None:
        self.gateway, self.own, self.server = gateway, gateway.own, server
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def prepare(self) -> None:
        """Make both databases as an administrator would, and users with one role each."""
        for database, words, roles in (
            ("dwp", ("outbox", "ddl", "dwp", "--system", "cis"), {"app": WRITER, "relay": RELAY}),
            ("leeds", ("sink", "ddl", HOUSING), {"sink": ROLE, "service": "council_leeds_housing_reader"}),
        ):
            self.server.create(database)
            done = self.own.command(*words)
            assert done.returncode == 0, done.stderr.decode()
            self.server.script(database, done.stdout.decode())
            for user, role in roles.items():
                self.server.login(user, role)
        self.server.script("dwp", "CREATE TABLE claim (nino text PRIMARY KEY); GRANT ALL ON claim TO app")

    def start(self, name: str) -> None:
        """Start the outbox or the sink."""
        words, url = {
            "outbox": (("outbox", "run", "dwp"), self.server.url("dwp", "relay")),
            "sink": (("sink", "run", HOUSING), self.server.url("leeds", "sink")),
        }[name.partition("-")[0]]
        with (self.own.place / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*COMMAND, *words],
                env=self.own.environment() | {"POSTROOM_POSTGRES": url},
                cwd=self.own.place,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """End one as a failing machine would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End all."""
        for name in list(self.processes):
            self.kill(name)

    def insert(self, nino: str, name: str) -> None:
        """What the department's application does: its own business and the event in one transaction, so that
        it can tell after a broken commit whether it was done.
        """
        payload = {"nino": nino, "name": {"given_names": name, "family_name": "Specimen"}}
        with psycopg.connect(self.server.url("dwp", "app"), connect_timeout=5) as connection:
            new = connection.execute("INSERT INTO claim VALUES (%s) ON CONFLICT DO NOTHING", [nino])
            if new.rowcount:
                connection.execute(
                    "INSERT INTO postroom.outbox (aggregatetype, aggregateid, type, payload) "
                    "VALUES ('claimant', %s, %s, %s)",
                    [nino, CLAIMANT, json.dumps(payload)],
                )

    def publish(self, client: str, event: dict[str, Any]) -> None:
        """POST until it is answered with 202, as a client must."""
        for _ in range(300):
            try:
                if self.gateway.publish(client, event).status_code == 202:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError(self.own.said("gateway"))

    def names(self) -> Counter[str]:
        """Whose rows the service reads."""
        query = f"SELECT name ->> 'given_names' FROM {TABLE}"
        with psycopg.connect(self.server.url("leeds", "service"), autocommit=True) as connection:
            return Counter(row[0] for row in connection.execute(query).fetchall())

    def until(self, wanted: Callable[[], bool], what: str) -> None:
        """Wait, while a supervisor starts the worker again when it ended."""
        deadline = time.monotonic() + 120
        while True:
            self.own.tend()
            self._tend()
            try:
                if wanted():
                    return
            except psycopg.OperationalError:
                pass
            logs = "\n".join(f"== {name}\n{self.own.said(name)}" for name in ("outbox", "sink", "gateway"))
            assert time.monotonic() < deadline, f"{what}\n{logs}"
            time.sleep(0.2)

    def _tend(self) -> None:
        """Whatever is away, at their start too: outbox and sink wait for it and do not end."""
        for name, process in list(self.processes.items()):
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{self.own.said(name)}"

    def check(self) -> subprocess.CompletedProcess[bytes]:
        """`postroom sink check`."""
        url = self.server.url("leeds", "sink")
        return self.own.command("sink", "check", HOUSING, "-o", "jsonl", POSTROOM_POSTGRES=url)


@pytest.fixture(scope="module")
def doors(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Doors]:
    agreements = ROOT / "schemas" / "agreements"
    with postgres() as server, installation(request, stack_settings, ROOT / "schemas", agreements) as own:
        made = Doors(Gateway(own), server)
        made.prepare()
        own.start("one", "faust")
        made.gateway.start()
        for name in ("outbox", "sink"):
            made.start(name)
        try:
            yield made
        finally:
            made.stop()
            made.gateway.kill()


def _again(doors: Doors) -> None:
    """Both begin while PostgreSQL is away."""
    for name in ("outbox", "sink"):
        doors.kill(name)
        doors.start(name)


def _nino(number: int) -> str:
    return f"NC{number:06}C"


def test_from_post_and_outbox_row_to_a_row_through_every_kill(doors: Doors):
    """A worker, the gateway, PostgreSQL, the outbox and the sink are killed on the way: nothing is lost,
    nothing doubled (E1, V6), the table equals its view, and a withdrawal empties the row (V7).
    """
    for client in ("leeds-revenues", "consent-web"):
        doors.gateway.auth(client)
    gone = threading.Event()

    def torment() -> None:
        for kill in (
            lambda: (doors.kill("outbox"), doors.start("outbox")),
            lambda: doors.own.kill("one"),
            lambda: (doors.server.kill(), time.sleep(1), doors.server.start()),
            lambda: (doors.server.kill(), _again(doors), time.sleep(2), doors.server.start()),
            lambda: (doors.gateway.kill(), doors.gateway.start()),
            lambda: (doors.kill("sink"), doors.start("sink")),
            lambda: (doors.server.kill(), doors.server.start()),
        ):
            time.sleep(1.5)
            kill()
        gone.set()

    tormentor = threading.Thread(target=torment)
    tormentor.start()
    number = 0
    while number < COUNT or not gone.is_set():
        _patiently(lambda number=number: doors.insert(_nino(number), f"C{number}"))  # type: ignore[misc]
        doors.publish("leeds-revenues", moved(f"E08000035-7{number:07}", _nino(number)))
        doors.publish("consent-web", decided(_nino(number), "GRANTED"))
        number += 1
        assert number < 3000, "the kills took for ever"
    tormentor.join()
    wanted = Counter({f"C{each}": 1 for each in range(number)})
    doors.until(lambda: doors.names() == wanted, "the table never held every citizen once")

    done = doors.check()
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert doors.server.rows("dwp", "SELECT count(*) FROM postroom.outbox") == [(0,)]
    events = Counter(dict(record.headers)["ce_id"] for record in doors.own.read(CLAIMANT))
    assert len(events) == number, "an event was lost, or went out under two ids"
    keys = {record.key for record in doors.own.read(view_topic(HOUSING))}
    assert len(keys) == number, "an event was doubled into another person"

    doors.publish("consent-web", decided(_nino(7), "WITHDRAWN"))
    del wanted["C7"]
    doors.until(lambda: doors.names() == wanted, "the withdrawn row stayed")
    assert doors.check().returncode == 0


def test_the_check_finds_what_somebody_changed(doors: Doors):
    """A row deleted, a value changed, a row of nobody's: exit 1, and no key or value is told."""
    doors.server.script("leeds", f"UPDATE {TABLE} SET name = NULL WHERE name ->> 'given_names' = 'C1'")
    doors.server.script("leeds", f"DELETE FROM {TABLE} WHERE name ->> 'given_names' = 'C2'")
    doors.server.script(
        "leeds", f"INSERT INTO {TABLE} (postroom_key, postroom_sequence) VALUES ('s-nobody', 1)"
    )
    done = doors.check()
    assert done.returncode == 1, done.stderr.decode()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [
        {"difference": "missing", "column": "", "rows": 1},
        {"difference": "surplus", "column": "", "rows": 1},
        {"difference": "different", "column": "name", "rows": 1},
    ]
    assert b"s-nobody" not in done.stdout + done.stderr


def test_a_reader_that_was_away_too_long_reads_everything_anew(doors: Doors):
    """Retractions may be gone by then (V1): what the topic does not have is deleted, what was lost comes
    back.
    """
    doors.kill("sink")
    doors.server.script("leeds", "UPDATE postroom_sink.views SET at_end = now() - interval '31 days'")
    doors.start("sink")
    doors.until(lambda: doors.check().returncode == 0, "the table was not read anew")
    assert "retractions-may-be-gone" in doors.own.said("sink", 100)


def test_a_sink_that_is_told_to_end_in_the_middle_leaves_no_half_of_it(doors: Doors):
    """Its one transaction would take for ever: SIGTERM ends it in good order all the same, rows and positions
    stay as they were, and no lock of it holds up the next one.
    """
    doors.kill("sink")
    doors.server.script(
        "leeds",
        f"UPDATE {TABLE} SET name = NULL; "
        "UPDATE postroom_sink.views SET at_end = now() - interval '31 days'; "
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN PERFORM pg_sleep(3600); RETURN NEW; END'; "
        f"CREATE TRIGGER dawdle BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION dawdle()",
    )
    before = _held(doors)
    doors.start("sink")
    dawdling = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    doors.until(lambda: doors.server.rows("leeds", dawdling) == [(1,)], "the sink never wrote")
    sink = doors.processes.pop("sink")
    sink.terminate()
    assert sink.wait(60) == 0, doors.own.said("sink")
    assert "sink-broke-off" in doors.own.said("sink", 100)
    assert doors.server.rows("leeds", dawdling) == [(0,)]
    assert _held(doors) == before
    doors.server.script("leeds", "DROP FUNCTION dawdle CASCADE")
    doors.start("sink")
    doors.until(lambda: doors.check().returncode == 0, "the table was not read anew")


def _held(doors: Doors) -> list[tuple[Any, ...]]:
    """All that the sink keeps."""
    rows = doors.server.rows("leeds", f"SELECT * FROM {TABLE} ORDER BY postroom_key")
    return rows + doors.server.rows("leeds", "SELECT * FROM postroom_sink.views")


def test_nobody_has_more_than_its_role(doors: Doors):
    """The application writes only, the service reads only, the relay and the sink cannot change tables."""
    forbidden = [
        ("dwp", "app", "SELECT payload FROM postroom.outbox"),
        ("dwp", "app", "DELETE FROM postroom.outbox"),
        (
            "dwp",
            "app",
            "INSERT INTO postroom.outbox (aggregatetype, aggregateid, type, event) VALUES ('', '', '', '')",
        ),
        ("dwp", "relay", "UPDATE postroom.outbox SET payload = NULL"),
        (
            "dwp",
            "relay",
            "INSERT INTO postroom.outbox (aggregatetype, aggregateid, type) VALUES ('', '', '')",
        ),
        ("dwp", "relay", "DROP TABLE postroom.outbox"),
        ("leeds", "service", f"DELETE FROM {TABLE}"),
        ("leeds", "service", "SELECT * FROM postroom_sink.views"),
        ("leeds", "sink", f"ALTER TABLE {TABLE} ADD COLUMN more text"),
        ("leeds", "sink", "DELETE FROM postroom_sink.views"),
    ]
    for database, user, statement in forbidden:
        with _refused(doors.server.url(database, user), psycopg.errors.InsufficientPrivilege) as connection:
            connection.execute(statement)
    with _refused(doors.server.url("dwp", "app"), psycopg.errors.CheckViolation) as connection:
        connection.execute(
            "INSERT INTO postroom.outbox (aggregatetype, aggregateid, type, source) "
            "VALUES ('', '', '', 'urn:gov:hmrc:paye')"
        )


@contextmanager
def _refused(url: str, why: type[Exception]) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection, pytest.raises(why):
        yield connection


def test_outbox_and_sink_show_how_they_stand(doors: Doors):
    """Ready, and counted: what went, what is due, how far behind, and that their databases answer; when one
    is away they are not ready.
    """

    def shows(name: str, sample: str) -> None:
        doors.until(lambda: sample in _asked(doors, name, "/metrics")[1], f"{name} never showed {sample}")

    shows("outbox", 'postroom_outbox_rows{owner="dwp",state="due"} 0.0')
    shows("outbox", 'postroom_outbox_database_reachable{owner="dwp"} 1.0')
    shows("sink", f'postroom_sink_behind_records{{agreement="{HOUSING}"}} 0.0')
    shows("sink", f'postroom_sink_reading_anew{{agreement="{HOUSING}"}} 0.0')
    for name in ("outbox", "sink"):
        shows(name, f'postroom_build_info{{process="{name}"')
        shows(name, 'postroom_reachable{system="kafka"} 1.0')
        doors.until(
            lambda name=name: _asked(doors, name, "/health/ready")[0] == 200, f"{name} is never ready"
        )  # type: ignore[misc]
    doors.insert(_nino(900_001), "Counted")
    published = f'postroom_outbox_published_total{{owner="dwp",type="{CLAIMANT}"}}'
    shows("outbox", published)
    doors.server.kill()
    for name in ("outbox", "sink"):
        doors.until(
            lambda name=name: _asked(doors, name, "/health/ready")[0] == 503, f"{name} says it is ready"
        )  # type: ignore[misc]
    doors.server.start()
    for name in ("outbox", "sink"):
        doors.until(
            lambda name=name: _asked(doors, name, "/health/ready")[0] == 200, f"{name} is not ready again"
        )  # type: ignore[misc]


def _asked(doors: Doors, name: str, path: str) -> tuple[int, str]:
    """What the newest process of this name answers."""
    told = [
        line for line in (doors.own.place / f"{name}.log").read_text().splitlines() if '"signals"' in line
    ]
    if not told:
        return 0, ""
    try:
        answer = httpx.get(json.loads(told[-1])["url"] + path, timeout=10)
    except httpx.TransportError:
        return 0, ""
    return answer.status_code, answer.text


def test_the_logs_hold_no_payload(doors: Doors):
    """Nor an identifier, nor a key."""
    for name in ("outbox", "sink", "gateway"):
        log = (doors.own.place / f"{name}.log").read_text()
        assert log, name
        for text in ("NC0000", "Specimen", "Traceback"):
            assert text not in log, (name, text)
        assert re.search(r"s-[0-9a-f]{32}", log) is None, name


def _patiently(insert: Callable[[], None]) -> None:
    """An application tries its transaction again while its database is away."""
    for _ in range(300):
        try:
            insert()
            return
        except psycopg.OperationalError:
            time.sleep(0.2)
    raise AssertionError("PostgreSQL did not come back")
