"""Kafka Connect and its plugins as jars: what docs/connect.md names, by coordinate, size and SHA-256.

`python -m tests.flow.connect_jars` writes the list anew. Each plugin has a directory and a class loader of
its own, and what Connect brings is left out of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from connectors import Unreachable, jars
from postroom.console import ConsoleReport

LIST = Path(__file__).resolve().parents[2] / "deploy" / "connect" / "jars.yaml"
LOG4J = [f"org.apache.logging.log4j:log4j-{part}:2.24.3" for part in ("slf4j-impl", "core", "api")]
"""Kafka's own log binding, not in the POM of Connect."""
ROOTS = {
    "runtime": ("Kafka Connect", "org.apache.kafka:connect-runtime:4.1.1"),
    "debezium": ("Debezium for PostgreSQL", "io.debezium:debezium-connector-postgres:3.4.3.Final"),
    "jdbc": ("Debezium's JDBC sink", "io.debezium:debezium-connector-jdbc:3.4.0.Final"),
    "avro": ("Apicurio's Avro converter", "io.apicurio:apicurio-registry-utils-converter:2.6.13.Final"),
}
OF_CONNECT = (
    "org.apache.kafka:",
    "org.slf4j:",
    "com.github.luben:",
    "org.lz4:",
    "org.xerial.snappy:",
    # A plugin with a Jackson of its own finds the modules of Connect's, which do not fit.
    "com.fasterxml.jackson.core:",
    "com.fasterxml.jackson.datatype:jackson-datatype-jdk8:",
)
OF_OTHER_DATABASES = ("com.mysql:", "org.mariadb.jdbc:", "com.microsoft.sqlserver:", "com.oracle.database.")


def fetched(cache: Path, *names: str) -> list[Path]:
    """The directories of these programs, fetched when missing; Unreachable where no jar can be fetched."""
    listed: dict[str, Any] = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return [jars.fetch(_program(name, listed[name]), cache, ConsoleReport()) for name in names]


def _program(name: str, entry: dict[str, Any]) -> jars.Program:
    found = tuple(jars.Jar(**jar) for jar in entry["jars"])
    return jars.Program(f"connect-{name}", entry["title"], entry["version"], found)


def without_network(away: Unreachable) -> NoReturn:
    """Skip, and say how to mend it; in CI, which has a network, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"Kafka Connect could not be fetched: {away}")
    pytest.skip(f"SKIPPED LOUDLY: Kafka Connect could not be fetched: {away}")


def write_listing() -> None:
    """Write the list of jars anew, to be read in review like any lock."""
    listed = {}
    for name, (title, root) in ROOTS.items():
        extra = LOG4J if name == "runtime" else []
        entry = jars.listing(title, root.rpartition(":")[2], [root], extra)
        left_out = () if name == "runtime" else OF_CONNECT + OF_OTHER_DATABASES
        entry["jars"] = [jar for jar in entry["jars"] if not jar["coordinate"].startswith(left_out)]
        listed[name] = entry
    head = "# Kafka Connect and its plugins, as run. Written by `python -m tests.flow.connect_jars`.\n"
    LIST.write_text(head + yaml.safe_dump(listed, sort_keys=False, width=200), encoding="utf-8")


if __name__ == "__main__":
    write_listing()
