"""Memory does not grow with a file: ten times the rows, the same peak."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

from connectors.files.seen import seen_ids
from producers import Publisher
from producers.mapped import Bad, Clerk, Ended, FileFacts, Place, Progress, read_mapping
from tests.core.test_producers_publisher import T, contracts
from tests.files_kit import HEADER, MAPPING, row

ROWS = 600
BAD_EVERY = 10
NOTE = "x" * 300 + ","
SLACK_BYTES = 100_000
"""What garbage may lie about; the larger file is two megabytes longer."""


class Acknowledged:
    """A delivery that is there at once."""

    is_done = True

    def get(self, timeout: float) -> None:
        """Nothing to wait for."""

    def succeeded(self) -> bool:
        return True


class Forgetful:
    """A broker that keeps nothing but the count."""

    def __init__(self) -> None:
        self.count = 0

    def partitions_for(self, topic: str) -> set[int]:
        return {0}

    def send(self, topic: str, **_: Any) -> Acknowledged:
        self.count += 1
        return Acknowledged()


class FileCase:
    """A file on a disk, its bad rows' numbers in another."""

    rules: str | None = None
    acknowledged = Place()

    def __init__(self, path: Path) -> None:
        self.path, self.facts = path, FileFacts(path.name, "0" * 64)
        self.bad = path.with_suffix(".bad")

    def opened(self) -> Any:
        return self.path.open("rb")

    def sorting(self, _: object) -> Any:
        return _Tray(self.bad)

    def bad_rows(self) -> Any:
        with self.bad.open() as lines:
            yield from map(int, lines)

    def judged(self, rules: str, _: object) -> None:
        self.rules = rules

    def note(self, place: Place, _: int) -> None:
        self.acknowledged = place


class _Tray:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Tray:
        self._lines = self._path.open("w")
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def put(self, bad: Bad) -> None:
        self._lines.write(f"{bad.row.place.row}\n")


def peak_bytes(path: Path, count: int) -> int:
    """Judge and publish a file of so many rows, a tenth of them bad; the most that Python held meanwhile."""
    with path.open("w") as lines:
        lines.write("note," + HEADER)
        for number in range(count):
            lines.write(NOTE + row(f"r-{number}", "no" if number % BAD_EVERY == 0 else "NC000001C"))
    mapping, broker = read_mapping(MAPPING, contracts(), lambda _: b""), Forgetful()
    publisher = Publisher(broker, contracts(), lambda _: 1, lambda: 2 * T)
    clerk = Clerk(mapping, contracts(), "these", lambda: 2 * T, seen_ids)
    tracemalloc.start()
    try:
        assert clerk.handle(FileCase(path), publisher, Progress()) == Ended()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert broker.count == count - count // BAD_EVERY


def test_ten_times_the_rows_take_the_same_memory(tmp_path: Path):
    """Both ways through, with ids to remember and bad rows to skip. What is kept of ids is on a disk."""
    peak_bytes(tmp_path / "warm.csv", 100)  # what is looked up once and kept
    few, many = (peak_bytes(tmp_path / f"{count}.csv", count) for count in (ROWS, 10 * ROWS))
    assert many - few < SLACK_BYTES
