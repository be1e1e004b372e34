"""Apache Kafka on this machine: one KRaft node that is broker and controller, on loopback only.

Open, or secured: then clients come by TLS and SCRAM, the broker and the administrator by their certificates,
and whoever is not allowed something may not do it (docs/adr/0031).
"""

from __future__ import annotations

import base64
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

from connectors import class_archive
from connectors.kafka_access import KafkaAccess
from connectors.kafka_users import Users
from connectors.local_security import ADMIN, BROKER, LocalSecurity
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

OPEN: Mapping[str, str] = {
    "listeners": "PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}",
    "advertised.listeners": "PLAINTEXT://{host}:{client}",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
}

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
# No password is in it: SCRAM's are made over the broker's own listener, where certificates say who is who.
SECURED: Mapping[str, str] = {
    "listeners": "CLIENT://{host}:{client},INTERNAL://{host}:{internal},CONTROLLER://{host}:{controller}",
    "advertised.listeners": "CLIENT://{host}:{client},INTERNAL://{host}:{internal}",
    "listener.security.protocol.map": "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL",
    "inter.broker.listener.name": "INTERNAL",
    "sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256",
    "listener.name.client.scram-sha-512.sasl.jaas.config": SCRAM,
    "listener.name.client.scram-sha-256.sasl.jaas.config": SCRAM,
    "ssl.keystore.type": "PEM",
    "ssl.keystore.location": "{security}/{broker}.pem",
    "ssl.truststore.type": "PEM",
    "ssl.truststore.location": "{security}/ca.pem",
    "listener.name.internal.ssl.client.auth": "required",
    "listener.name.controller.ssl.client.auth": "required",
    "ssl.principal.mapping.rules": "RULE:^CN=([a-z0-9.-]+)$/$1/",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    # The broker moves its own records and asks its controller; nobody else but the administrator may all.
    "super.users": "User:{admin};User:{broker}",
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
    port_count = 3  # clients, the controller with itself, and (secured) the broker with itself

    def __init__(self, security: LocalSecurity | None = None) -> None:
        self.security = security

    def prepare(self, home: Path, jars: Path, java: Path, ports: tuple[int, ...]) -> None:
        """Write the configuration, and format the data directory the first time."""
        client, controller, internal = ports
        places = {"host": LOOPBACK, "client": client, "controller": controller, "internal": internal}
        # Relative to the part's home, as all paths here.
        places |= {"security": "../security", "broker": BROKER, "admin": ADMIN}
        listening = OPEN if self.security is None else SECURED
        settings = {**SETTINGS, "controller.quorum.voters": f"1@{LOOPBACK}:{controller}"}
        settings |= {name: value.format(**places) for name, value in listening.items()}
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (home / "server.properties").write_text(lines, encoding="ascii")
        (home / "log4j2.properties").write_text(LOG4J, encoding="ascii")
        if not (home / "data" / "meta.properties").exists():
            self._format(home, jars, java)

    def _format(self, home: Path, jars: Path, java: Path) -> None:
        # 16 bytes in base64url; the first is zero, for an id that begins with "-" is taken for an option
        cluster = base64.urlsafe_b64encode(bytes(1) + secrets.token_bytes(15)).decode().rstrip("=")
        command = [str(java), *class_archive.options(jars), "-Xmx128m", "-XX:+UseSerialGC"]
        command += ["-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
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
            # A laptop's broker lives for minutes: the optimising compiler took half a core for the first of
            # them, see docs/adr/0001.
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
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
        return listens(ports[0]) and kafka_problem(self._own_access(ports), timeout_ms) is None

    def complete(self, ports: tuple[int, ...]) -> None:
        """Let the administrator in by password too, once the broker answers; the others are its business."""
        if self.security is not None:
            Users(self._own_access(ports)).set_password(ADMIN, self.security.password(ADMIN))

    def _own_access(self, ports: tuple[int, ...]) -> KafkaAccess:
        if self.security is None:
            return KafkaAccess(self.address(ports))
        return self.security.internal(f"{LOOPBACK}:{ports[2]}")

    def address(self, ports: tuple[int, ...]) -> str:
        """Return the bootstrap address."""
        return f"{LOOPBACK}:{ports[0]}"
