"""Apicurio Registry on this machine, its content in an H2 database file, on loopback only."""

from __future__ import annotations

from pathlib import Path

from connectors.local_security import LocalSecurity
from connectors.ports import LOOPBACK, listens
from connectors.reachable import registry_problem
from connectors.registry_users import registry_settings

HEAP = "320m"  # bounded by 512 MiB

# Quarkus and Apicurio settings; as system properties they win over any environment variable.
SETTINGS = {
    "quarkus.http.host": LOOPBACK,
    "apicurio.storage.kind": "sql",
    "apicurio.storage.sql.kind": "h2",
    # A file, so that ids survive `down` and `up`; WRITE_DELAY=0, so that they survive SIGKILL too: an id
    # that a topic uses must never be given to another schema.
    "apicurio.datasource.url": "jdbc:h2:file:./data/registry;DB_CLOSE_ON_EXIT=FALSE;WRITE_DELAY=0",
    "apicurio.datasource.jdbc.initial-size": "2",
    "apicurio.datasource.jdbc.min-size": "2",
    "apicurio.datasource.jdbc.max-size": "20",
    "apicurio.import.work-dir": "tmp",
    "apicurio.storage.snapshot.location": "tmp",
    "quarkus.http.access-log.enabled": "false",
    "quarkus.log.console.enable": "false",
    "quarkus.log.file.enable": "true",
    "quarkus.log.file.path": "registry.log",
    "quarkus.log.file.rotation.max-file-size": "10M",
    "quarkus.log.file.rotation.max-backup-index": "3",
}


class LocalRegistry:
    """How the local stack starts the registry, and asks it whether it is there.

    With ``security`` only who has a token writes; without it whoever reaches the loopback may.
    """

    name = "registry"
    title = "Registry"
    log = "registry.log"
    port_count = 1

    def __init__(self, security: LocalSecurity | None = None) -> None:
        self._security = security

    def prepare(self, home: Path, jars: Path, java: Path, ports: tuple[int, ...]) -> None:
        """Nothing: the database makes itself."""

    def command(self, jars: Path, java: Path, ports: tuple[int, ...], token: str) -> list[str]:
        """Return the command line, to be run in the part's home."""
        runner = next(jars.glob("*-runner.jar"))
        settings = SETTINGS | (registry_settings(self._security) if self._security else {})
        return [
            str(java),
            f"-Xmx{HEAP}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # it answers a few requests a minute: start quickly, optimise never
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Djava.io.tmpdir=tmp",
            *(f"-D{name}={value}" for name, value in settings.items()),
            f"-Dquarkus.http.port={ports[0]}",
            f"-Dpostroom.token={token}",
            "-jar",
            str(runner),
        ]

    def answers(self, ports: tuple[int, ...], timeout_ms: int) -> bool:
        """Tell whether its Confluent-compatible API answers."""
        return listens(ports[0]) and registry_problem(self.address(ports), timeout_ms / 1000) is None

    def complete(self, ports: tuple[int, ...]) -> None:
        """Leave it as it is."""

    def address(self, ports: tuple[int, ...]) -> str:
        """Return the base URL."""
        return f"http://{LOOPBACK}:{ports[0]}"
