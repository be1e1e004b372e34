"""What tests of drops share: a drop on a real disk, a broker in memory, and a life that may end anywhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from connectors.files.journal import Journal
from connectors.files.place import Drop
from connectors.files.spool import Spool
from postroom.files import case as files_case
from postroom.files import round as files_round
from postroom.files.round import Office, Round, Ruled, Told, logged
from producers import BrokerUnreachable, Publisher
from producers.mapped import Event, FileFacts, read_mapping
from tests.broker_kit import Kafka
from tests.contract.connector_contract import Fuse
from tests.core.test_producers_publisher import T, contracts

TYPE = "uk.gov.benefits.claimant.v1"
MAPPING = f"""\
contract: {TYPE}
source: urn:gov:dwp:cis
id: {{columns: [ref]}}
time: {{column: at}}
fields: {{nino: {{column: nino}}}}
refuse_above_percent: 100
"""
IN_FLIGHT_MAX = 20
HEADER = "ref,nino,at\n"
AT = "2025-02-10T11:00:00Z"


def row(ref: str, nino: str = "NC000001C", at: str = AT) -> str:
    """One row of a file."""
    return f"{ref},{nino},{at}\n"


NIGHT = HEADER + "".join(row(f"r-{number}") for number in range(9)) + row("bad", "NC999999Z!") + row("r-3")
AGAIN = HEADER + row("r-3") + row("r-9")


class World:
    """One drop, what outlives a process, and the life at hand."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch, mapping: str = MAPPING) -> None:
        self.directory, self.state = place / "drops" / "cis", place / "state"
        self.directory.mkdir(parents=True)
        (self.directory / "mapping.yaml").write_text(mapping)
        self.kafka, self.said = Kafka(), list[dict[str, Any]]()
        self.fuse, self.is_stopped = Fuse(), lambda: False
        self.journal: Journal | None = None
        self.told, self.where = Told(), "127.0.0.1:1"
        monkeypatch.setattr(files_round, "say", self._hear)
        monkeypatch.setattr(files_case, "say", self._hear)
        self._fuse_disk(monkeypatch)
        self.live(mapping)

    def _hear(self, event: str, level: str = "info", **fields: Any) -> None:
        self.said.append({"event": event, "level": level} | fields)

    def _fuse_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a life end before and after each change of the disk."""

        def fused(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*words: Any, **named: Any) -> Any:
                self.fuse.touch()
                found = real(*words, **named)
                self.fuse.touch()
                return found

            return call

        for name in ("rename", "replace", "unlink", "fsync", "mkdir"):
            monkeypatch.setattr(os, name, fused(getattr(os, name)))

    def live(self, mapping: str = MAPPING) -> None:
        """Begin a new life with what outlives a process, and nothing else."""
        if self.journal is not None:
            self.journal.close()
        self.kafka.fuse = self.fuse = Fuse()
        self.mapping = read_mapping(mapping, contracts(), lambda _: b"k" * 32)
        self.journal = Journal(self.state / "journal.db")
        self.journal._db = _FusedDb(self.journal._db, lambda: self.fuse)  # type: ignore[assignment]
        ruled = Ruled(Drop(self.directory), self.mapping, hashlib.sha256(mapping.encode()).hexdigest(), T)
        office = Office(
            contracts(),
            Spool(self.state),
            self.journal,
            self._publisher,
            logged,
            lambda: self.is_stopped(),  # noqa: PLW0108 - a test sets another one later
            self.told,
        )
        self.round = Round(ruled, office)

    def _publisher(self, owner: str) -> Publisher:
        return Publisher(
            self.kafka,
            contracts(),
            lambda _: 1,
            lambda: 2 * T,
            where=self.where,
            in_flight_max=IN_FLIGHT_MAX,
            speaks_for=owner,
        )

    def hand_in(self, name: str, content: str | bytes, checksum: str | None = None) -> None:
        """Put a file and its checksum into the drop, as a department does."""
        raw = content.encode() if isinstance(content, str) else content
        incoming = self.directory / "incoming"
        if not incoming.exists():
            incoming.mkdir()
        (incoming / name).write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest() if checksum is None else checksum
        (incoming / f"{name}.sha256").write_text(f"{digest}  {name}\n")

    def work(self, *, lies_still: bool = False) -> None:
        """Let it do all that it can now; a broker that is away is what a peer does."""
        with suppress(BrokerUnreachable):
            while self.round.run(lies_still=lies_still):
                pass

    def names(self, directory: str) -> list[str]:
        """What lies in one of the drop's directories."""
        return sorted(path.name for path in (self.directory / directory).glob("*"))

    def id_of(self, ref: str, nino: str = "NC000001C") -> str:
        """The id of a row's event."""
        found = self.mapping.event({"ref": ref, "nino": nino, "at": AT}, 2, FileFacts("x", "0" * 64))
        assert isinstance(found, Event)
        return found.id

    def events(self) -> list[str]:
        """What it said to the log."""
        return [each["event"] for each in self.said]


def expected(world: World) -> set[str]:
    """The events of both nights' good rows."""
    return {world.id_of(f"r-{number}") for number in range(10)}


class _FusedDb:
    """A connection whose changes may be the last thing that a life does."""

    def __init__(self, db: Any, fuse: Callable[[], Fuse]) -> None:
        self._db, self._fuse = db, fuse

    def execute(self, query: str, *values: Any) -> Any:
        if query.startswith("SELECT"):
            return self._db.execute(query, *values)
        self._fuse().touch()
        found = self._db.execute(query, *values)
        self._fuse().touch()
        return found

    def close(self) -> None:
        self._db.close()
