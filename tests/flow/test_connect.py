"""Kafka Connect with the configuration of deploy/connect, as it stands, on a secured Kafka and a PostgreSQL:
Debezium carries a department's outbox, a JDBC sink fills a service's table, and both are killed on the way.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from connectors import Unreachable, find_stack
from connectors.kafka_reader import RawRecord, TopicReader
from connectors.ports import free_port
from connectors.postgres.outbox_ddl import RELAY, WRITER
from connectors.registry import registry_of
from postroom.access import GATEWAY, WORKER
from postroom.composition import load_rules_files
from postroom.config import Settings
from processors import DEAD_LETTERS_TOPIC, Keys, Rules, view_topic
from processors.intake import Intake
from processors.messages import Said
from processors.stage import Record
from tests.flow import connect_jars
from tests.flow.connect_kit import FILES, Connect, Plugins
from tests.flow.secured import Secured, secured
from tests.flow.spine import COMMAND, SHELL, event, now_ms
from tests.postgres_kit import Postgres, postgres

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

DWP, LEEDS = "owner.dwp", "subscriber.council-leeds"
CLAIMANT, HOUSING = "uk.gov.benefits.claimant.v1", "council-leeds-housing"
TABLE = "postroom_connect.council_leeds_housing"
SOURCE_USER, SINK_USER = "postroom_connect_source", "postroom_connect_sink"
PASSWORDS = {SOURCE_USER: "Pw-of-the-source", SINK_USER: "Pw-of-the-sink"}
WITHIN_S = 180
LOCKED_OUT = """\
host  dwp              {source}         127.0.0.1/32  scram-sha-256
host  leeds            {sink}           127.0.0.1/32  scram-sha-256
host  all,replication  {source},{sink}  127.0.0.1/32  reject
"""
"""docs/connect.md: each into its own database, and nobody into physical replication."""


class Bridge:
    """A backbone, a department's database and a service's, and what carries between them."""

    def __init__(self, own: Secured, server: Postgres, plugins: Plugins) -> None:
        self.own, self.server = own, server
        self.relay: subprocess.Popen[bytes] | None = None
        self.inserted: dict[str, list[str]] = {}
        """The ids of events, by what was to carry them."""
        self._count = 0
        self._prepare()
        self.source = self._connect("outbox-source.json", DWP, "dwp", SOURCE_USER, plugins)
        self.sink = self._connect("view-sink.json", LEEDS, "leeds", SINK_USER, plugins)

    def _prepare(self) -> None:
        """What administrators do: databases, the tables of our command and of deploy/connect, users."""
        self.server.create("dwp")
        self.server.create("leeds")
        self.server.script("dwp", self.own.good("outbox", "ddl", "dwp", "--system", "cis"))
        self.server.script("dwp", (FILES / "outbox-source.sql").read_text())
        self.server.script("leeds", (FILES / "view-sink.sql").read_text())
        self.server.login("app", WRITER)
        self.server.login("relay", RELAY)
        for user, password in PASSWORDS.items():
            self.server.script("postgres", f"ALTER ROLE {user} PASSWORD '{password}'")
        file = self.server.place / "data" / "pg_hba.conf"
        file.write_text(LOCKED_OUT.format(source=SOURCE_USER, sink=SINK_USER) + file.read_text())
        self.server.script("postgres", "SELECT pg_reload_conf()")

    def _connect(self, file: str, user: str, database: str, role: str, plugins: Plugins) -> Connect:
        secrets = {
            "kafka.bootstrap": self.own.bootstrap,
            "kafka.user": user,
            "kafka.password": self.own.password(user),
            "kafka.ca": str(self.own.security.ca_file),
            "registry.url": find_stack(self.own.settings).registry,
            "database.host": "127.0.0.1",
            "database.port": str(self.server.port),
            "database.name": database,
            "database.sslmode": "disable",
            "database.password": PASSWORDS[role],
        }
        return Connect(self.own.place / file.partition(".")[0], file, plugins, free_port(), secrets)

    # -- the department ------------------------------------------------------------------------------------

    def insert(self, carrier: str, count: int) -> None:
        """What the department's application does; it knows nothing of who carries it on."""
        with psycopg.connect(self.server.url("dwp", "app")) as connection:
            for _ in range(count):
                nino, self._count = f"NC{self._count:06}C", self._count + 1
                name = {"given_names": f"C{self._count - 1}", "family_name": "Specimen"}
                row = connection.execute(
                    "INSERT INTO postroom.outbox (aggregatetype, aggregateid, type, payload) "
                    "VALUES ('claimant', %s, %s, %s) RETURNING id::text",
                    [str(self._count), CLAIMANT, json.dumps({"nino": nino, "name": name})],
                ).fetchone()
                assert row is not None
                self.inserted.setdefault(carrier, []).append(row[0])

    def start_relay(self) -> None:
        """`postroom outbox run`, as the department."""
        url = self.server.url("dwp", "relay")
        with (self.own.place / "relay.log").open("ab") as log:
            self.relay = subprocess.Popen(
                [*COMMAND, "outbox", "run", "dwp"],
                env=self.own.environment(DWP) | {"POSTROOM_POSTGRES": url},
                cwd=self.own.place,
                stdout=log,
                stderr=log,
            )

    def stop_relay(self) -> None:
        """End it with SIGTERM."""
        if self.relay is not None:
            self.relay.terminate()
            self.relay.wait(60)
            self.relay = None

    def insert_what_nobody_knows(self) -> None:
        """A row of a type that has no topic."""
        with psycopg.connect(self.server.url("dwp", "app")) as connection:
            connection.execute(
                "INSERT INTO postroom.outbox (aggregatetype, aggregateid, type, payload) "
                "VALUES ('nothing', '1', 'uk.gov.nobody.knows.v1', '{}')"
            )

    def rows_left(self) -> int:
        """What lies in the outbox and is not parked."""
        query = "SELECT count(*) FROM postroom.outbox WHERE parked_reason IS NULL"
        return int(self.server.rows("dwp", query)[0][0])

    # -- what a test sees ------------------------------------------------------------------------------

    def read(self, topic: str) -> list[RawRecord]:
        """Every committed record of a topic."""
        return list(TopicReader(find_stack(self.own.settings).access).read([topic]))

    def carried(self) -> dict[str, Counter[str]]:
        """By the event's id how often it came in each mode."""
        found: dict[str, Counter[str]] = {}
        for record in self.read(CLAIMANT):
            mode, name = _mode_and_id(record)
            found.setdefault(name, Counter())[mode] += 1
        return found

    def came(self, mode: str, carriers: Sequence[str]) -> bool:
        """Whether all that was inserted for these has come in this mode."""
        carried = self.carried()
        return all(carried.get(each, {}).get(mode) for name in carriers for each in self.inserted[name])

    def table(self) -> dict[str, tuple[Any, ...]]:
        """The service's table by key."""
        query = f"SELECT postroom_key, postroom_sequence, name_given_names, name_family_name FROM {TABLE}"
        return {row[0]: row[1:] for row in self.server.rows("leeds", query)}

    def view(self) -> dict[str, tuple[Any, ...]]:
        """The view as its subscriber reads it, in the table's form."""
        listed = json.loads(self.own.good("view", HOUSING, "-o", "json", user=LEEDS))
        return {
            each["key"]: (
                int(each["headers"]["postroom_sequence"]),
                each["value"]["name"]["given_names"],
                each["value"]["name"]["family_name"],
            )
            for each in listed
        }

    def until(self, wanted: Callable[[], bool], what: str) -> None:
        """Wait; nothing that runs may end or give up meanwhile."""
        deadline = time.monotonic() + WITHIN_S
        while not wanted():
            assert self.own.workers["one"].poll() is None, self.own.log("one")
            for connect in (self.source, self.sink):
                if connect.own is not None:
                    connect.check()
            said = f"{what}\n== source\n{self.source.said(25)}" if self.source.log.exists() else what
            assert time.monotonic() < deadline, said
            time.sleep(0.3)

    def decide(self, numbers: Sequence[int], state: str) -> None:
        """Citizens grant or withdraw, through the gateway's user."""
        lines = []
        for number in numbers:
            data = {"subject": f"nino:NC{number:06}C", "subscriber": "council-leeds", "state": state}
            data |= {"purpose": "housing-support", "categories": []}  # type: ignore[dict-item]
            name, type_ = f"{state}-{number}", "uk.gov.consent.decision.v1"
            lines.append(event(name, "urn:gov:consent-service:web", type_, now_ms(), data))
        self.own.good("publish", "-", user=GATEWAY, given=b"\n".join(lines) + b"\n")

    def stop(self) -> None:
        """End all that this started."""
        self.source.stop()
        self.sink.stop()
        self.stop_relay()


@pytest.fixture(scope="module")
def bridge(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Bridge]:
    if request.config.getoption("--stack") != "local":
        pytest.skip(
            "SKIPPED LOUDLY: permissions are tried on the local secured stack; run with --stack local"
        )
    with postgres() as server:
        try:
            names = ("runtime", "debezium", "jdbc", "avro")
            runtime, *others = connect_jars.fetched(stack_settings.cache_dir, *names)
        except Unreachable as away:
            connect_jars.without_network(away)
        plugins = Plugins(runtime, dict(zip(names[1:], others, strict=True)))
        with secured(stack_settings.cache_dir, (DWP, LEEDS, WORKER, GATEWAY)) as own:
            made = Bridge(own, server, plugins)
            own.start("one", SHELL, WORKER)
            try:
                yield made
            finally:
                made.stop()


CARRIED = {"relay": 10, "snapshot": 10, "stream": 10, "both": 10, "relay again": 10}
EVERYBODY = range(sum(CARRIED.values()))


def test_switching_to_debezium_and_back_loses_and_doubles_nothing(bridge: Bridge):
    """Our relay stops, rows pile up, Debezium takes them (its snapshot), streams, is killed and streams on;
    the relay starts beside it and takes over. Every row is an event once (E1), whoever carried it.
    """
    bridge.sink.start()
    bridge.decide(EVERYBODY, "GRANTED")
    bridge.start_relay()
    bridge.insert("relay", CARRIED["relay"])
    bridge.until(lambda: bridge.rows_left() == 0, "the relay left rows")
    bridge.stop_relay()

    bridge.insert("snapshot", CARRIED["snapshot"])
    bridge.source.start()
    bridge.until(lambda: bridge.came("structured", ["snapshot"]), "the snapshot did not come")
    bridge.insert("stream", CARRIED["stream"] // 2)
    bridge.source.kill()
    bridge.insert("stream", CARRIED["stream"] - CARRIED["stream"] // 2)
    bridge.source.start()
    bridge.until(lambda: bridge.came("structured", ["snapshot", "stream"]), "the stream did not come")

    bridge.start_relay()
    bridge.insert("both", CARRIED["both"])
    bridge.until(lambda: bridge.came("structured", ["both"]) and bridge.rows_left() == 0, "not by both")
    bridge.insert_what_nobody_knows()
    wait_failed(
        bridge.source
    )  # it stops before such a row; the relay parks it, and carries what is behind it
    bridge.source.stop()
    bridge.server.script("dwp", "SELECT pg_drop_replication_slot('postroom_outbox')")
    bridge.insert("relay again", CARRIED["relay again"])
    bridge.until(lambda: bridge.rows_left() == 0, "the relay did not take over")
    parked = bridge.server.rows("dwp", "SELECT type, parked_reason FROM postroom.outbox")
    assert parked == [("uk.gov.nobody.knows.v1", "unknown-type")]

    carried = bridge.carried()
    everything = [each for names in bridge.inserted.values() for each in names]
    assert carried.keys() == set(everything), "an event was lost, or is one that nobody inserted"
    modes = {name: {frozenset(carried[each]) for each in ids} for name, ids in bridge.inserted.items()}
    alone, twice = {frozenset({"binary"})}, {frozenset({"binary", "structured"})}
    assert modes == {name: alone if "relay" in name else twice for name in CARRIED}
    assert_one_content_each(bridge)


def assert_one_content_each(bridge: Bridge) -> None:
    """Intake accepts every record, and what it says is the same whoever carried it, digest and all."""
    settings = bridge.own.settings
    rules = Rules(
        *load_rules_files(settings.contracts_dir, settings.agreements_dir), Keys(settings.secret_bytes())
    )
    intake, registry = Intake(rules), registry_of(find_stack(settings))
    records = [Record(*record) for record in bridge.read(CLAIMANT)]
    for number in intake.unknown_schema_ids(records):
        intake.writers[number] = registry.schema_by_id(number)
    contents: dict[str, set[bytes]] = {}
    for record in records:
        said = intake.accept_record(record)
        assert isinstance(said, Said), said
        assert said.content
        unplaced = replace(said, cause=replace(said.cause, published_ms=0))
        contents.setdefault(said.cause.id, set()).add(repr(unplaced).encode())
    assert {len(found) for found in contents.values()} == {1}, "one event with two contents (R2)"


def test_the_sinks_table_becomes_the_view_through_a_kill(bridge: Bridge):
    """Each citizen has one row, with the view's own number, though many events came twice (V6)."""
    bridge.until(lambda: len(bridge.table()) >= len(EVERYBODY) // 2, "the table stayed empty")
    bridge.sink.kill()
    bridge.sink.start()
    bridge.until(lambda: len(bridge.table()) == len(EVERYBODY), "the table never held everybody")
    assert bridge.table() == bridge.view()
    assert {row[1] for row in bridge.table().values()} == {f"C{number}" for number in EVERYBODY}
    written = Counter(record.key for record in bridge.read(view_topic(HOUSING)))
    assert set(written.values()) == {1}, "a repetition wrote a view again (V1, V6)"


def test_a_withdrawal_deletes_the_row(bridge: Bridge):
    """The retraction is a tombstone (V2), and the row of nobody else goes."""
    before = bridge.table()
    (gone,) = [key for key, row in before.items() if row[1] == "C7"]
    bridge.decide([7], "WITHDRAWN")
    bridge.until(lambda: gone not in bridge.table(), "the withdrawn row stayed")
    del before[gone]
    assert bridge.table() == before


def test_the_promises_held_and_nothing_was_rejected(bridge: Bridge):
    """What came by Debezium is no worse than what our relay sends."""
    assert bridge.read(DEAD_LETTERS_TOPIC) == []
    done = bridge.own.command("history", "verify", "-o", "jsonl")
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_the_databases_users_have_no_more_than_they_need(bridge: Bridge):
    """Neither changes what it reads, and the one who may replicate is not let into copying the server."""
    forbidden = [
        ("dwp", SOURCE_USER, "SELECT payload FROM postroom.outbox"),
        ("dwp", SOURCE_USER, "DELETE FROM postroom.outbox"),
        ("dwp", SOURCE_USER, "CREATE PUBLICATION more FOR TABLE postroom.outbox"),
        ("leeds", SINK_USER, f"ALTER TABLE {TABLE} ADD COLUMN more text"),
        ("leeds", SINK_USER, f"TRUNCATE {TABLE}"),
    ]
    for database, user, statement in forbidden:
        with (
            psycopg.connect(_with_password(bridge, database, user), autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)
    for database, user, more in (
        ("leeds", SOURCE_USER, ""),
        ("dwp", SOURCE_USER, "?replication=true"),
        ("dwp", SINK_USER, ""),
    ):
        with pytest.raises(psycopg.OperationalError, match="pg_hba"):
            psycopg.connect(_with_password(bridge, database, user) + more)


def test_no_secret_and_no_payload_is_told_even_when_the_sink_fails(bridge: Bridge):
    """Neither in logs, nor over REST, nor on a command line; a refused row is not quoted."""
    bridge.server.script("leeds", f"ALTER TABLE {TABLE} ADD CHECK (name_given_names <> 'Refused') NOT VALID")
    number = len(EVERYBODY)
    bridge.decide([number], "GRANTED")
    data = {"nino": f"NC{number:06}C", "name": {"given_names": "Refused", "family_name": "Specimen"}}
    line = event("refused", "urn:gov:dwp:cis", CLAIMANT, now_ms(), data)
    bridge.own.good("publish", "-", user=DWP, given=line)
    wait_failed(bridge.sink)
    rest = json.dumps([bridge.sink.asked(path) for path in ("/connectors?expand=info", *_asked(bridge.sink))])
    told = {
        "source": bridge.source.log.read_text(errors="replace"),
        "sink": bridge.sink.log.read_text(errors="replace"),
        "rest": rest,
        "command line": bridge.sink.command_line(),
    }
    assert "secrets.properties" in rest, "the configuration was not told at all"
    secrets = [*PASSWORDS.values(), bridge.own.password(DWP), bridge.own.password(LEEDS)]
    for name, text in told.items():
        for word in (*secrets, "Specimen", "Refused", "NC0000"):
            assert word not in text, (name, word)
        assert re.search(r"s-[0-9a-f]{32}", text) is None, name


def wait_failed(connect: Connect) -> None:
    """Wait until a task has given up."""
    deadline = time.monotonic() + WITHIN_S
    while "FAILED" not in connect.states():
        assert time.monotonic() < deadline, connect.said()
        time.sleep(0.3)


def _asked(connect: Connect) -> tuple[str, ...]:
    name = f"/connectors/{connect.name}"
    return name, f"{name}/config", f"{name}/status", f"{name}/tasks"


def _with_password(bridge: Bridge, database: str, user: str) -> str:
    return bridge.server.url(database, f"{user}:{PASSWORDS[user]}")


def _mode_and_id(record: RawRecord) -> tuple[str, str]:
    """How an event was carried, and its id, read by what the wire says alone (E2)."""
    headers = dict(record.headers)
    if headers["content-type"].startswith(b"application/cloudevents+json"):
        return "structured", str(json.loads(record.value or b"")["id"])
    return "binary", headers["ce_id"].decode()
