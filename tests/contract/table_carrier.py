"""The sink as a carrier: a view topic as lists, the keeper, and a table of a real PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from connectors.kafka_reader import RawRecord
from connectors.postgres.decoder import Decoder
from connectors.postgres.keeper import Keeper
from connectors.postgres.line import Database
from connectors.postgres.sink import SinkTable
from connectors.postgres.view_table import Rows, sink_ddl
from connectors.trouble import Trouble
from postroom.composition import load_rules_files
from schemas import ViewCodec, frame
from tests.contract.connector_contract import Carrier, Fuse
from tests.postgres_kit import Postgres

ROOT = Path(__file__).resolve().parents[2]
HOUSING = "council-leeds-housing"


@cache
def housing() -> tuple[Rows, dict[str, Any], ViewCodec]:
    """The agreement of the examples, its schema, and a writer of it."""
    contracts, agreements = load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")
    codec = ViewCodec(agreements[HOUSING], contracts)
    return Rows(agreements[HOUSING], contracts), codec.schema, codec


class ListTopic:
    """A view topic as lists, for one reader."""

    def __init__(self, partitions: int = 3) -> None:
        self.topic_id = uuid.uuid4().hex
        self.logs: list[list[RawRecord]] = [[] for _ in range(partitions)]
        self.meanwhile: list[Callable[[], None]] = []
        """What somebody does between two polls, one after the other."""
        self.at = [0] * partitions
        self.fuse = Fuse()

    @property
    def count(self) -> int:
        """How many partitions."""
        return len(self.logs)

    def write(self, key: str, value: bytes | None, sequence: int, **headers: str) -> None:
        """Append a record."""
        partition = sum(key.encode()) % self.count
        log = self.logs[partition]
        named = {"postroom_sequence": str(sequence), "postroom_agreement": f"{HOUSING}@1"} | headers
        pairs = tuple((name, text.encode()) for name, text in named.items())
        at_ms = 1_000 * sum(map(len, self.logs))
        log.append(RawRecord("view", partition, len(log), at_ms, key.encode(), value, pairs))

    def go_to(self, positions: Any) -> None:
        self.at = list(positions)

    def go_to_beginning(self) -> None:
        self.at = [0] * self.count

    def poll(self, records_max: int, wait_ms: int) -> list[RawRecord]:
        """Two at most, so that a test has many batches."""
        self.fuse.touch()
        found: list[RawRecord] = []
        for number, log in enumerate(self.logs):
            taken = log[self.at[number] :][: min(2, records_max) - len(found)]
            found += taken
            self.at[number] += len(taken)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return found

    def positions(self) -> list[int]:
        return list(self.at)

    def ends(self) -> list[int]:
        return [len(log) for log in self.logs]


class IntoTable(Carrier):
    """A view topic in memory, the keeper, and a table of a real PostgreSQL."""

    stops_at_malformed = True

    def __init__(self, server: Postgres) -> None:
        self.server, self.database = server, f"sink_{uuid.uuid4().hex[:8]}"
        self.rows, self.schema, self.codec = housing()
        server.create(self.database)
        server.script(self.database, sink_ddl(self.rows.table))
        self.topic, self.fuse, self.told = ListTopic(), Fuse(), list[str]()
        self.seen: list[tuple[str, int]] = []
        self.away = False
        self._asked: list[int] = []
        self.slow: psycopg.Connection[Any] | None = None

    def restart(self) -> None:
        self.topic.fuse = self.fuse = Fuse()

    def value(self, number: int) -> bytes:
        """A framed view."""
        return frame(1, self.codec.encode({"name": {"given_names": str(number)}}))

    def give(self, key: str, number: int) -> None:
        self.topic.write(key, self.value(number), number)

    def give_again(self, key: str, number: int) -> None:
        self.give(key, number)

    def give_malformed(self, secret: str) -> None:
        self.topic.write("a", secret.encode(), 99)

    def work(self) -> None:
        try:
            self._work()
        except Trouble as trouble:
            self.told.append(f"{trouble} {trouble.mend}")
        self._look()

    def _work(self) -> None:
        url = self.server.url(self.database if not self.away else "nowhere")
        with Database(url, "sink").connection() as connection:
            connection.execute("SET lock_timeout = '200ms'")
            table = SinkTable(connection, self.rows.table)

            def touched(write: Callable[..., Any]) -> Callable[..., Any]:
                def wrapped(*words: Any, **named: Any) -> Any:
                    self.fuse.touch()
                    found = write(*words, **named)
                    self._look()
                    if write.__name__ != "take_back":
                        self._require_nothing_replaced()
                    self.fuse.touch()
                    return found

                return wrapped

            for name in ("apply", "take_back", "catch_up", "replace"):
                setattr(table, name, touched(getattr(table, name)))
            keeper = Keeper(self.topic, table, self.rows, Decoder(lambda _: self.schema), self._say)
            self._asked = self.topic.ends()
            keeper.begin()
            while self.topic.at != self.topic.ends():
                self._asked = self.topic.ends()
                keeper.step()

    def _say(self, event: str, **fields: object) -> None:
        """The log; nothing of it is about malformed input."""

    def die_at(self, touch: int) -> None:
        self.topic.fuse = self.fuse
        self.fuse.left = touch

    def peer(self, state: str) -> None:
        """A dead database takes no connection; in a slow one somebody holds the lock that the sink needs."""
        self.away = state == "dead"
        if state == "slow":
            self.slow = psycopg.connect(self.server.url(self.database))
            self.slow.execute("SELECT FROM postroom_sink.views FOR UPDATE")
        elif self.slow is not None:
            self.slow.close()
            self.slow = None

    def table(self) -> dict[str, int]:
        """What the service reads."""
        query = "SELECT postroom_key, name ->> 'given_names' FROM postroom_views.council_leeds_housing"
        return {key: int(name) for key, name in self.server.rows(self.database, query)}

    def _look(self) -> None:
        for key, number in self.table().items():
            if (key, number) not in self.seen[-20:] or self.last(key) != number:
                self.seen.append((key, number))

    def _require_nothing_replaced(self) -> None:
        """No row is a value of which the topic held something newer when the sink began to read on (V1)."""
        rows = self.table()
        for log, end in zip(self.topic.logs, self._asked, strict=True):
            for record in log[:end]:
                shown = rows.get((record.key or b"").decode())
                assert shown is None or shown >= _sequence(record), "a value that had been replaced"

    def last(self, key: str) -> int | None:
        """What the table last showed under a key."""
        return next((number for each, number in reversed(self.seen) if each == key), None)

    def arrived(self) -> list[tuple[str, int]]:
        assert self.table() == {key: self.last(key) for key, _ in self.seen}
        return self.seen

    def waiting(self) -> int:
        positions = self.server.rows(self.database, "SELECT positions FROM postroom_sink.views")[0][0]
        return sum(self.topic.ends()) - sum(positions or [])

    def reported(self) -> str:
        return "\n".join(self.told)


def _sequence(record: RawRecord) -> int:
    return int(dict(record.headers)["postroom_sequence"])
