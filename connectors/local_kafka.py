"""Apache Kafka on this machine: one KRaft node that is broker and controller, on loopback only."""

from __future__ import annotations

import base64
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

from connectors.ports import LOOPBACK, listens
from connectors.reachable import kafka_problem
from connectors.trouble import Trouble

HEAP = "512m"  # the bound is 768 MiB; idle, the process holds 240 MB (docs/adr/0001)
DIRECT_MEMORY = "128m"

# Why each differs from Kafka's default. Paths are relative to the part's home, so that a state directory
# can be moved and may have any name.
SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": "data",
    # One node: nothing can be replicated.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "unclean.leader.election.enable": "false",
    # Topics are planned, never made by a typing error.
    "auto.create.topics.enable": "false",
    # Few partitions of Kafka's own topics, and no waiting for company: a quick start.
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "8",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "500",
    # A transaction that a killed worker left open holds up its readers: look for such every second (V7).
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # An event of more than 1 MiB must come far enough to be rejected as oversized (E7).
    "message.max.bytes": str(3 * 1024 * 1024),
    "replica.fetch.max.bytes": str(4 * 1024 * 1024),
    # Memory: the default dedupe buffer alone is 128 MiB of heap.
    "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
}

LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = kafka.log
appender.file.filePattern = kafka.log.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d] %p %m (%c)%n
appender.file.policies.type = SizeBasedTriggeringPolicy
appender.file.policies.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


class LocalKafka:
    """How the local stack starts Kafka, and asks it whether it is there."""

    name = "kafka"
    title = "Kafka"
    log = "kafka.log"
    port_count = 2  # clients, and the controller with itself

    def prepare(self, home: Path, jars: Path, java: Path, ports: tuple[int, ...]) -> None:
        """Write the configuration, and format the data directory the first time."""
        client, controller = ports
        settings = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://{LOOPBACK}:{client},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{client}",
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        }
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (home / "server.properties").write_text(lines, encoding="ascii")
        (home / "log4j2.properties").write_text(LOG4J, encoding="ascii")
        if not (home / "data" / "meta.properties").exists():
            self._format(home, jars, java)

    def _format(self, home: Path, jars: Path, java: Path) -> None:
        # 16 bytes in base64url; the first is zero, for an id that begins with "-" is taken for an option
        cluster = base64.urlsafe_b64encode(bytes(1) + secrets.token_bytes(15)).decode().rstrip("=")
        command = [str(java), "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
        command += ["kafka.tools.StorageTool", "format", "--cluster-id", cluster]
        command += ["--config", "server.properties", "--ignore-formatted"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        if done.returncode:
            raise Trouble(
                "Kafka's data directory could not be formatted",
                where=str(home / "data"),
                why=(done.stderr or done.stdout).strip()[-500:],
            )

    def command(self, jars: Path, java: Path, ports: tuple[int, ...], token: str) -> list[str]:
        """Return the command line, to be run in the part's home."""
        del ports  # they are in server.properties
        return [
            str(java),
            f"-Xmx{HEAP}",
            "-Xms128m",
            f"-XX:MaxDirectMemorySize={DIRECT_MEMORY}",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Djava.io.tmpdir=tmp",
            "-Dlog4j2.configurationFile=log4j2.properties",
            f"-Dpostroom.token={token}",
            "-cp",
            f"{jars}/*",
            "kafka.Kafka",
            "server.properties",
        ]

    def answers(self, ports: tuple[int, ...], timeout_ms: int) -> bool:
        """Tell whether a client would find a live broker."""
        return listens(ports[0]) and kafka_problem(self.address(ports), timeout_ms) is None

    def address(self, ports: tuple[int, ...]) -> str:
        """Return the bootstrap address."""
        return f"{LOOPBACK}:{ports[0]}"
