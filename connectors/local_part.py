"""One process of the local stack: start it, know it again, wait until it answers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from connectors import class_archive, own_process
from connectors.own_process import OwnProcess
from connectors.ports import free_port, is_free
from connectors.state_files import private_directory
from connectors.trouble import Unreachable

READY_SECONDS = 120.0
POLL_SECONDS = 0.2
TAIL_LINES = 12
ROOM_BYTES_MIN = 16 << 20
"""With less Kafka does not even begin: it writes its own topics first."""
MAKE_ROOM = "make room there, then `postroom up`; delete nothing of it: what is in it was acknowledged"
TAKEN = ("Address already in use", "already bound", "already in use by another process")


class Part(Protocol):
    """What differs between Kafka and the registry."""

    name: str
    title: str
    log: str
    port_count: int

    def prepare(self, home: Path, jars: Path, java: Path, ports: tuple[int, ...]) -> None:
        """Write what the process reads."""

    def command(self, jars: Path, java: Path, ports: tuple[int, ...], token: str) -> list[str]:
        """Return the command line."""

    def answers(self, ports: tuple[int, ...], timeout_ms: int) -> bool:
        """Tell whether it does its work."""

    def complete(self, ports: tuple[int, ...]) -> None:
        """Do what can only be done to a process that answers."""

    def address(self, ports: tuple[int, ...]) -> str:
        """Return where clients find it."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process as `stack.json` has it."""

    own: OwnProcess
    ports: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written."""
        own = self.own
        return {"pid": own.pid, "token": own.token, "started_at": own.started_at, "ports": list(self.ports)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Started | None:
        """Read it; None when nothing was started, or the entry is not ours."""
        try:
            own = OwnProcess(int(entry["pid"]), str(entry["token"]), float(entry["started_at"]))
            return cls(own, tuple(int(port) for port in entry["ports"]))
        except (KeyError, TypeError, ValueError):
            return None


def home_of(part: Part, state_dir: Path) -> Path:
    """Return the part's home: data, configuration, log."""
    return state_dir / part.name


def data_of(part: Part, state_dir: Path) -> Path:
    """Return where the part keeps what it must not lose; it may be a disk of its own."""
    return home_of(part, state_dir) / "data"


def no_room(part: Part, state_dir: Path) -> str:
    """Say that the disk of a part's data is full, by what is free now: a log's words outlive their cause."""
    data = data_of(part, state_dir)
    free = shutil.disk_usage(data).free if data.is_dir() else ROOM_BYTES_MIN
    return f"its disk is full: {free >> 20} MiB are free in {data}" if free < ROOM_BYTES_MIN else ""


def log_of(part: Part, state_dir: Path) -> Path:
    """Return the log that a person should read."""
    return home_of(part, state_dir) / part.log


def choose_ports(
    part: Part, configured: int, last: tuple[int, ...], taken: frozenset[int]
) -> tuple[int, ...]:
    """Return the configured port, or the last ones while they are free, or other free ones."""
    ports: list[int] = []
    for index in range(part.port_count):
        if index == 0 and configured:
            ports.append(configured)
            continue
        preferred = last[index] if index < len(last) else 0
        ports.append(free_port(preferred, taken | frozenset(ports)))
    return tuple(ports)


def start(
    part: Part,
    state_dir: Path,
    jars: Path,
    java: Path,
    ports: tuple[int, ...],
    recording: Sequence[str] = (),
) -> Started:
    """Start the process; it is not ready yet. `recording` are options that keep what classes it loads."""
    home = private_directory(home_of(part, state_dir))
    private_directory(home / "tmp")
    part.prepare(home, jars, java, ports)
    token = own_process.new_token()
    program, *rest = part.command(jars, java, ports, token)
    command = [program, *(recording or class_archive.options(jars)), *rest]
    own = own_process.start(command, token, cwd=home, out=home / "out.log")
    return Started(own, ports)


def wait_ready(part: Part, started: Started, state_dir: Path, ready_seconds: float = READY_SECONDS) -> None:
    """Return when the part answers; raise `Unreachable` with its last words when it dies or is too slow."""
    deadline = time.monotonic() + ready_seconds
    while not part.answers(started.ports, timeout_ms=2000):
        if own_process.find(started.own) is None:
            if full := no_room(part, state_dir):
                what, log = f"{part.title} ended while it started", str(log_of(part, state_dir))
                raise Unreachable(what, where=log, why=full, mend=MAKE_ROOM)
            raise Unreachable(
                f"{part.title} ended while it started",
                where=str(log_of(part, state_dir)),
                why=log_tail(part, state_dir),
                mend="read the log; free memory or disk, or name another port, then `postroom up` again",
            )
        if time.monotonic() > deadline:
            raise Unreachable(
                f"{part.title} does not answer after {ready_seconds:.0f} s",
                where=part.address(started.ports),
                why=log_tail(part, state_dir),
                mend=f"read {log_of(part, state_dir)}",
            )
        time.sleep(POLL_SECONDS)


def port_was_taken(part: Part, ports: tuple[int, ...], state_dir: Path) -> bool:
    """Tell whether the process ended because somebody else took its port in the meantime.

    The log says so, unless its end is the long trace of something that followed; or whoever took it is there.
    """
    said = any(words in log_tail(part, state_dir, lines=40) for words in TAKEN)
    return said or not all(is_free(port) for port in ports)


def log_tail(part: Part, state_dir: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of the log and of what the JVM itself said."""
    tail: list[str] = []
    for path in (log_of(part, state_dir), home_of(part, state_dir) / "out.log"):
        try:
            with path.open("rb") as handle:
                handle.seek(max(0, path.stat().st_size - 16_384))
                tail += handle.read().decode(errors="replace").splitlines()[-lines:]
        except OSError:
            continue
    return "\n".join(tail)
