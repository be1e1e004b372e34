"""What the demo stands on: a stack, registered contracts, topics, a worker; and its orderly end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from connectors import Stack, ensure_stack, stack_status, stop_stack
from connectors.progress import Advance
from connectors.registry import Registry
from connectors.state_files import locked
from postroom.composition import load_rules_files, register_views
from postroom.config import Settings
from postroom.console import ConsoleReport, counted, say
from postroom.errors import Exit, UserError
from postroom.interruption import Interruption
from postroom.kafka_plan import apply, wanted_of
from schemas import Agreement, Contracts, check_directory

WORKER_NAME = "demo"  # always the same, so that the next run finds this worker's store
WORKER_ENDS_S = 15.0


class TimedReport(ConsoleReport):
    """Progress on the terminal that remembers how long downloads took."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self.fetched_bytes = 0

    @property
    def download_s(self) -> float:
        """Seconds from the beginning of the first download to the end of the last; 0 if there was none."""
        return 0.0 if self._first is None else self._last - self._first

    @contextmanager
    def transfer(self, title: str, total_bytes: int) -> Iterator[Advance]:
        """Show a download, and time it."""
        self._first = time.monotonic() if self._first is None else self._first
        self.fetched_bytes += total_bytes
        try:
            with super().transfer(title, total_bytes) as advance:
                yield advance
        finally:
            self._last = time.monotonic()


@contextmanager
def alone(current: Settings) -> Iterator[None]:
    """One demo at a time on one state directory: its worker has one name and one store."""
    with locked(current.state_dir / "demo.lock", lambda: say("another demo plays on this stack; waiting")):
        yield


@contextmanager
def standing_stack(
    current: Settings, report: TimedReport, interruption: Interruption, *, keep: bool
) -> Iterator[tuple[Stack, bool]]:
    """A stack that answers, and whether it ran before; what ran before, or shall be kept, is not stopped."""
    ran_before = any(part.state in ("running", "silent", "reachable") for part in stack_status(current))
    try:
        yield ensure_stack(current, report), ran_before
    finally:
        if not (ran_before or keep or current.kafka):
            with interruption.gently():
                stop_stack(current, report)


def registered(
    current: Settings, registry: Registry, interruption: Interruption
) -> tuple[Contracts, dict[str, Agreement]]:
    """Let the contracts through the gate and register them and the views' schemas (E6, V1)."""
    contracts, agreements = load_rules_files(current.contracts_dir, current.agreements_dir)
    _, problems = check_directory(current.contracts_dir)
    if problems:
        raise UserError(
            "the gate refuses the contracts",
            where=str(current.contracts_dir),
            why=f"{counted(len(problems), 'problem')}, the first: {problems[0].file}: {problems[0].why}",
            mend="`postroom contract check` names each of them",
        )
    for contract in contracts.by_type.values():
        interruption.heed()
        registry.register(f"{contract.type}-value", contract.schema)
    register_views(registry, contracts, agreements)
    return contracts, agreements


def topics_as_planned(
    current: Settings, stack: Stack, contracts: Contracts, agreements: Mapping[str, Agreement]
) -> tuple[int, int]:
    """Make the topics what the rules need; return how many there are and how many are new."""
    wanted = wanted_of(current, contracts, agreements)
    changes = apply(stack.access, wanted).topics
    return len(wanted.topics), len({change.topic for change in changes if change.action == "create"})


class Worker:
    """`postroom run all` in a process of its own, with its log in the state directory."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, interruption: Interruption) -> None:
        self.process, self.log, self._interruption = process, log, interruption

    def check(self) -> None:
        """UserError when the worker has ended by itself, KeyboardInterrupt when the demo shall end."""
        self._interruption.heed()
        code = self.process.poll()
        if code is not None:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit {code}"
            raise UserError(
                f"the worker {how}",
                where=str(self.log),
                why=_last_words(self.log),
                mend="the log says more; then try again, nothing is lost",
                code=Exit.FOUND,
            )


@contextmanager
def working(current: Settings, shell: str, interruption: Interruption) -> Iterator[Worker]:
    """A worker for all stages, ended whatever happens; interruptions must be gentle here."""
    log = current.state_dir / "workers" / f"{WORKER_NAME}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        worker = Worker(_start(sink, shell), log, interruption)
        try:
            yield worker
        finally:
            _end(worker.process)


def _start(sink: IO[bytes], shell: str) -> subprocess.Popen[bytes]:
    # -P: a file of the user's directory must not stand in for one of ours.
    command = [sys.executable, "-P", "-c", "from postroom.cli import main; main()"]
    command += ["run", "all", "--instance", WORKER_NAME, "--shell", shell]
    return subprocess.Popen(  # noqa: S603 - our own command, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for the demo, which then ends its worker in order
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(WORKER_ENDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    """Why the worker says that it ended, in its last line: a message of the engine, or an error's end."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else ""
    if not last.startswith("{"):
        return last
    return str(json.loads(last).get("message", ""))
