"""Fetch what the local stack needs, and keep the classes that it loads (`python -m postroom.warm_up`).

For machines that start many stacks, as a run of all tests does: a start then takes little more than half of
the CPU. It costs a start of each program, and as much again to write the archives (docs/adr/0001).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from connectors import class_archive, jars, local_part, own_process
from connectors.local_kafka import LocalKafka
from connectors.local_part import Part
from connectors.local_registry import LocalRegistry
from connectors.local_security import LocalSecurity
from connectors.local_stack import java_of_the_wheel
from connectors.progress import Report
from connectors.state_files import locked, private_directory
from connectors.trouble import Trouble

WRITING_S = 300.0
"""A JVM writes its archive when it is ended, and on a busy machine takes its time."""


def warm_up(cache: Path, report: Report) -> None:
    """Fetch Kafka and the registry and make the archives that are missing; raise `Trouble` if one is no good.

    INVARIANT: an archive appears under its name by one rename, when it has been used once; a JVM that is
    killed leaves half of one.
    """
    java, listed = java_of_the_wheel(), jars.programs()
    with (
        locked(private_directory(cache) / "archives.lock", lambda: report.say("another warms up; waiting")),
        tempfile.TemporaryDirectory(prefix=".warming-", dir=cache) as place,
    ):
        state = Path(place)
        security = LocalSecurity(state / "security")
        security.make()  # what TLS and tokens need is loaded too: a stack without them does not miss it
        parts: list[Part] = [LocalKafka(security), LocalRegistry(security)]
        homes = [jars.fetch(listed[part.name], cache, report) for part in parts]
        base = class_archive.base_archive(cache)
        if not base.exists():
            _run([str(java), "-Xshare:dump", f"-XX:SharedArchiveFile={state / base.name}"])
            (state / base.name).replace(base)
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(lambda part, home: _warm(part, home, state, java, report), parts, homes))


def _warm(part: Part, home: Path, state: Path, java: Path, report: Report) -> None:
    archive = class_archive.archive(home)
    if archive.exists():
        return
    report.say(f"{part.title} starts once, to keep the classes that it loads")
    written = state / archive.name
    base = class_archive.base_archive(home.parent)
    recording = (f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={written}", class_archive.QUIET)
    ports = local_part.choose_ports(part, 0, (), frozenset())
    started = local_part.start(part, state, home, java, ports, recording)
    try:
        local_part.wait_ready(part, started, state)
        part.complete(started.ports)
    finally:
        own_process.stop([started.own], WRITING_S)
    command = part.command(home, java, ports, started.own.token)
    classes = next(after for word, after in pairwise(command) if word in ("-cp", "-jar"))
    used = f"-XX:SharedArchiveFile={base}:{written}"
    _run([str(java), used, "-Xshare:on", "-XX:+UseSerialGC", "-cp", classes, "-version"])
    written.replace(archive)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=WRITING_S, check=False)  # noqa: S603
    if done.returncode:
        raise Trouble(
            "the JVM cannot use the classes that it kept",
            where=next(word for word in command if "SharedArchiveFile" in word),
            why=(done.stderr or done.stdout).strip()[-500:],
            mend="nothing depends on it: stacks start without them, and slower",
        )
