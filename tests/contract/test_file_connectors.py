"""The connectors' contract, for files that a department puts into a drop at night."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.connector_contract import Carrier, ConnectorContract
from tests.files_kit import HEADER, World, row

NINOS = {"a": "NC000001C", "b": "NC000002C", "c": "NC000003C"}


class FromFiles(Carrier):
    """A department that writes a file of what it has to say, the desk and the clerk, a broker in memory."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World(place, monkeypatch)
        self.ids: dict[str, tuple[str, int]] = {}
        self.rows: list[str] = []
        self.files: dict[str, int] = {}

    def give(self, key: str, number: int) -> None:
        ref = f"{key}-{number}"
        self.ids[self.world.id_of(ref, NINOS[key])] = key, number
        self.rows.append(row(ref, NINOS[key]))

    def give_again(self, key: str, number: int) -> None:
        self.give(key, number)

    def give_malformed(self, secret: str) -> None:
        self.rows.append(row("x-1", f"{secret}!"))

    def work(self) -> None:
        if self.rows:
            name = f"night-{len(self.files):03}.csv"
            self.world.hand_in(name, HEADER + "".join(self.rows))
            self.files[name], self.rows = len(self.rows), []
        self.world.work()

    def die_at(self, touch: int) -> None:
        self.world.fuse.left = touch

    def restart(self) -> None:
        self.world.live()

    def peer(self, state: str) -> None:
        self.world.kafka.state, self.world.kafka.fail = state, {}

    def arrived(self) -> list[tuple[str, int]]:
        return [self.ids[name] for name in dict.fromkeys(self.world.kafka.taken)]

    def waiting(self) -> int:
        incoming = self.world.names("incoming")
        return len(self.rows) + sum(count for name, count in self.files.items() if name in incoming)

    def reported(self) -> str:
        told = [path.read_text() for path in (self.world.directory / "quarantine").glob("*.reasons.jsonl")]
        return "\n".join(told + [str(line) for line in self.world.said if line["level"] == "warning"])


class TestFromFiles(ConnectorContract):
    """A drop on a real disk; it is killed at each change of the disk, the journal and the broker."""

    @pytest.fixture
    def carrier(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Carrier:
        return FromFiles(tmp_path, monkeypatch)
