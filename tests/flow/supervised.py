"""Workers that are started again whenever they end, as systemd or Kubernetes would; nobody else helps."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from postroom.composition import STAGES
from processors.engine import EXIT_STOPPED
from tests.flow.spine import Installation

WORKER = Path(__file__).with_name("faults_worker.py")
UNREACHABLE = 3
RESTARTED = {EXIT_STOPPED, UNREACHABLE, -signal.SIGKILL}
"""How a worker may end; anything else is a defect."""
PATIENCE_S_MAX = 10.0
STAYED_S = 20.0
"""Who stayed up so long is not one that keeps on ending."""
CONFINED = 'mount -t tmpfs -o size=48m tmpfs "$1" && shift && exec "$@"'
"""Run in a user and mount namespace of its own: a disk that is only this worker's."""


class Supervisor:
    """Starts workers and starts them again, in the background, until they are stopped."""

    def __init__(self, own: Installation, shell: str) -> None:
        self.own, self.shell = own, shell
        self.exits: list[tuple[str, int]] = []
        self.patience_s = 0.5
        """How long before a worker that has ended is started again; twice as long each time in a row."""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._how: dict[str, tuple[str, bool, dict[str, str]]] = {}
        self._spawned: dict[str, float] = {}
        self._said_before: dict[str, int] = {}
        """How much each worker's earlier lives had said when its present one began, in bytes."""
        self._waited_s: dict[str, float] = {}
        self._lock = threading.RLock()
        self._going = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Supervisor:
        self._going.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going.clear()
        self._thread.join()
        self.stop(*self._processes)

    def start(self, name: str, stage: str = "all", confined: bool = False, **environ: str) -> None:
        """Start a worker of a stage, or of all; a confined one has a small disk of its own."""
        with self._lock:
            self._how[name] = (stage, confined, environ)
            self._spawn(name)

    def _spawn(self, name: str) -> None:
        stage, confined, environ = self._how[name]
        command = [sys.executable, str(WORKER), "run", stage, "--instance", name, "--shell", self.shell]
        if confined:
            store = self.store(name)
            store.mkdir(parents=True, exist_ok=True)
            command = [*in_namespace(), "sh", "-c", CONFINED, "sh", str(store), *command]
        self._spawned[name] = time.monotonic()
        with (self.own.place / f"{name}.log").open("ab") as log:
            self._said_before[name] = log.tell()
            self._processes[name] = subprocess.Popen(
                command, env=self.own.environment() | environ, cwd=self.own.place, stdout=log, stderr=log
            )

    def _supervise(self) -> None:
        due: dict[str, float] = {}
        while self._going.is_set():
            with self._lock:
                for name, process in list(self._processes.items()):
                    if process.poll() is None:
                        continue
                    if name not in due:
                        self.exits.append((name, process.returncode))
                        due[name] = time.monotonic() + self._patience_s(name)
                    elif time.monotonic() > due[name]:
                        del due[name]
                        self._spawn(name)
            time.sleep(0.05)

    def _patience_s(self, name: str) -> float:
        """How long to wait before a worker that has just ended is started again."""
        stayed = time.monotonic() - self._spawned[name] > STAYED_S
        least = self.patience_s / 2
        self._waited_s[name] = min(2 * (least if stayed else self._waited_s.get(name, least)), PATIENCE_S_MAX)
        return self._waited_s[name]

    def names(self) -> list[str]:
        """Who is supervised."""
        return sorted(self._processes)

    def pid(self, name: str) -> int:
        """The process of a worker that lives now."""
        with self._lock:
            return self._processes[name].pid

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal; one that has just ended by itself gets none."""
        with self._lock:
            self._processes[name].send_signal(number)

    def stop(self, *names: str, patience_s: float = 20) -> dict[str, int]:
        """End workers with SIGTERM, for good; return their exit codes."""
        with self._lock:
            stopping = {name: self._processes.pop(name) for name in names}
        for process in stopping.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        codes = {}
        for name, process in stopping.items():
            try:
                codes[name] = process.wait(patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        return codes

    # -- what they did

    def store(self, name: str) -> Path:
        """Where a worker's local stores are."""
        return self.own.settings.state_dir / "workers" / name

    def said(self, name: str, since_bytes: int = 0) -> list[dict[str, Any]]:
        """What a worker said, over all of its lives, or since its log was so long."""
        log = (self.own.place / f"{name}.log").read_bytes()[since_bytes:]
        lines = log.decode(errors="replace").splitlines()
        return [said for line in lines if (said := _last_object(line)) is not None]

    def wait_said(self, name: str, since: int, timeout_s: float = 120, **fields: Any) -> dict[str, Any]:
        """Wait for a line of the log with these fields, after the first ``since`` lines."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for line in self.said(name)[since:]:
                if all(line.get(field) == value for field, value in fields.items()):
                    return line
            time.sleep(0.1)
        raise AssertionError(f"{name} never said {fields}:\n{self.own.said(name)}")

    def wait_ready(self, name: str, timeout_s: float = 120) -> None:
        """Wait until a worker of all stages holds its tasks, in the life that it has now."""
        end = time.monotonic() + timeout_s
        while (ready := self._ready(name)) < set(STAGES):
            assert time.monotonic() < end, f"{name} is not ready, only {ready}:\n{self.own.said(name)}"
            time.sleep(0.1)

    def _ready(self, name: str) -> set[str]:
        """The stages whose tasks a worker holds; the pairs' one task may be another's.

        What an earlier life said does not count: it may have been killed without a word, and the present one
        still be too young to say any.
        """
        with self._lock:
            if self._processes[name].poll() is not None:
                return set()
            since = self._said_before[name]
        ready: set[str] = set()
        for line in self.said(name, since):
            if line["event"] == "stopped":
                ready.clear()
            elif line["event"] == "revoked":
                ready.discard(line["stage"])
            elif line["event"] == "ready" and (line["partitions"] or line["stage"] == "persons"):
                ready.add(line["stage"])
        return ready

    def unexpected(self) -> list[tuple[str, int]]:
        """Ends that no supervisor should have to see."""
        return [(name, code) for name, code in self.exits if code not in RESTARTED]


def _last_object(line: str) -> dict[str, Any] | None:
    """The JSON object that ends a line: who is killed may end within one, and its next life goes on there."""
    start = line.find("{")
    while start >= 0:
        with suppress(ValueError):
            return dict(json.loads(line[start:]))
        start = line.find("{", start + 1)
    return None


def in_namespace() -> list[str]:
    """The prefix that gives a command user and mount namespaces of its own, without being root."""
    return ["unshare", "--user", "--map-root-user", "--mount"]


def can_confine() -> bool:
    """Whether this machine lets us mount a file system in a namespace of our own."""
    if shutil.which("unshare") is None:
        return False
    mount = ["sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    return subprocess.run([*in_namespace(), *mount], capture_output=True, check=False).returncode == 0
