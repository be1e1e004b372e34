"""The examples of docs/examples, each run as it stands: published, read in a view, withdrawn, deleted."""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from connectors import Unreachable
from postroom.config import Settings
from tests.flow import examples_java
from tests.flow.spine import ROOT, SHELL, event, installation, now_ms
from tests.flow.test_gateway import Gateway
from tests.programs import program

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

EXAMPLES = ROOT / "docs" / "examples"
ELSEWHERE = {"webhook_receiver.py"}
"""Run by tests/core/test_webhook_example.py and tests/flow/test_webhook.py."""
PROGRAMS = sorted(
    path
    for path in EXAMPLES.rglob("*")
    if path.suffix in {".sh", ".py", ".java", ".mjs"}
    and "node_modules" not in path.parts
    and path.name not in ELSEWHERE
)
OURS = ("schemas", "producers", "processors", "connectors", "postroom")
LINES_MAX = 42
PUBLISHED_S, SEEN_S = 90, 120
AWAY = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH")
"""What npm says when there is no network."""
IN_FILES = {"curl", "confluent-kafka"}
"""Those that keep what they read in files."""


class Owner(Protocol):
    """An installation whose cache of downloads is used."""

    @property
    def settings(self) -> Settings: ...


Commands = tuple[tuple[str, ...], tuple[str, ...]]
"""How to publish (the arguments follow) and how to subscribe."""


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Gateway]:
    """A backbone with a worker and a gateway."""
    agreements = ROOT / "schemas" / "agreements"
    with installation(request, stack_settings, ROOT / "schemas", agreements) as own:
        made = Gateway(own)
        own.start("one", SHELL)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def with_curl(place: Path, own: Owner) -> Commands:
    program("curl", "curl")
    script = str(EXAMPLES / "gateway.sh")
    return (script, "publish"), (script, "subscribe")


def with_python(file: str) -> Callable[[Path, Owner], Commands]:
    def commands(place: Path, own: Owner) -> Commands:
        script = (sys.executable, str(EXAMPLES / file))
        return (*script, "publish"), (*script, "subscribe")

    return commands


def with_java(place: Path, own: Owner) -> Commands:
    sources = [EXAMPLES / "java" / "Publish.java", EXAMPLES / "java" / "Subscribe.java"]
    try:
        publish, subscribe = examples_java.built(sources, own.settings.cache_dir, place)
    except Unreachable as away:
        pytest.skip(f"SKIPPED LOUDLY: not run: the jars could not be fetched ({away})")
    return publish, subscribe


def with_node(place: Path, own: Owner) -> Commands:
    program("node", "nodejs")
    program("npm", "npm")
    for file in ("postroom.mjs", "package.json", "package-lock.json"):
        shutil.copy(EXAMPLES / "node" / file, place)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=240, check=False)
    if any(code in done.stderr for code in AWAY):
        pytest.skip(f"SKIPPED LOUDLY: not run: npm's registry is away; reach it once, then again: {words}")
    assert done.returncode == 0, done.stderr
    return ("node", "postroom.mjs", "publish"), ("node", "postroom.mjs", "subscribe")


RUN = {
    "curl": with_curl,
    "kafka-python": with_python("with_kafka_python.py"),
    "confluent-kafka": with_python("with_confluent_kafka.py"),
    "java": with_java,
    "node": with_node,
}
NINO = {name: f"NC45678{number}C" for number, name in enumerate(RUN)}


@pytest.mark.parametrize("name", RUN)
def test_an_example_publishes_an_event_reads_it_in_a_view_and_deletes_what_is_withdrawn(
    gateway: Gateway, tmp_path: Path, name: str
):
    """E2, V1, V2: DWP's event comes to Leeds as soon as the citizen consents, and goes when she withdraws;
    what the example holds of her is deleted. No line of our code runs in it.
    """
    own, nino, family = gateway.own, NINO[name], f"Specimen-{name}"
    publish, subscribe = RUN[name](tmp_path, own)
    published((*publish, nino, "Ada", family), _environment(gateway, "dwp-cis"), tmp_path)
    own.publish([decided_for_leeds(nino, "GRANTED")])
    with started(subscribe, _environment(gateway, "leeds"), tmp_path) as said:
        kept = line_of(said, lambda line: line.startswith("keep ") and family in line)
        key = kept.split()[1]
        assert key.startswith("s-"), "Leeds knows her by a pseudonym"
        assert nino not in kept
        file = tmp_path / "kept" / key
        assert file.exists() == (name in IN_FILES)
        own.publish([decided_for_leeds(nino, "WITHDRAWN")])
        deleted = line_of(said, lambda line: line.startswith(f"delete {key}"))
    assert not file.exists()
    assert family not in deleted, "those that keep in memory print what is still there"


def published(words: tuple[str, ...], environ: dict[str, str], place: Path) -> None:
    """Run a publisher to its end; it says that it published."""
    done = subprocess.run(
        words, env=environ, cwd=place, capture_output=True, text=True, timeout=PUBLISHED_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "published" in done.stdout


def decided_for_leeds(nino: str, state: str) -> bytes:
    data = {"subject": f"nino:{nino}", "subscriber": "council-leeds", "purpose": "housing-support"}
    name = f"{state}-{nino}"
    source = "urn:gov:consent-service:web"
    return event(
        name, source, "uk.gov.consent.decision.v1", now_ms(), data | {"categories": [], "state": state}
    )


def _environment(gateway: Gateway, client: str) -> dict[str, str]:
    """What an example is told: addresses and a token, nothing else of ours."""
    own = gateway.own
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "KAFKA": own.stack.kafka,
        "REGISTRY": own.stack.registry,
        "GATEWAY": f"http://127.0.0.1:{gateway.port}",
        "TOKEN": gateway.auth(client)["authorization"].removeprefix("Bearer "),
    }


Said = tuple["queue.Queue[str | None]", "list[str]"]


@contextmanager
def started(words: tuple[str, ...], environ: dict[str, str], place: Path) -> Iterator[Said]:
    """A subscriber that runs until it is ended, and the lines that it prints."""
    with (place / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            words,
            env=environ,
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    try:
        yield lines, [str(place / "stderr")]
    finally:
        os.killpg(process.pid, 9)  # its own session: the shell's curl ends with it
        process.wait()
        reading.join(10)
        assert process.stdout is not None
        process.stdout.close()


def line_of(said: Said, wanted: Callable[[str], bool]) -> str:
    """The first line that is wanted; what was printed instead is shown."""
    lines, [errors] = said
    seen: list[str] = []
    deadline = time.monotonic() + SEEN_S
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        if line is None:
            break
        seen.append(line)
        if wanted(line):
            return line
    raise AssertionError(f"not seen in {seen}; it complained: {Path(errors).read_text()[-2000:]}")


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda path: path.name)
def test_an_example_is_short_needs_none_of_our_code_and_is_in_the_list(file: Path):
    """Some forty lines, no import of ours (§9), and its command stands in the README beside it."""
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES_MAX
    assert not any(f"{word} {ours}" in text for ours in OURS for word in ("import", "from"))
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert file.name in readme


def test_maven_fetches_what_the_java_examples_are_run_with():
    """Whoever has Maven gets the libraries, in the versions, that are proved here."""
    pom = (EXAMPLES / "java" / "pom.xml").read_text(encoding="utf-8").partition("<dependencies>")[2]
    told = [re.findall(f"<{name}>(.+)</{name}>", pom) for name in ("groupId", "artifactId", "version")]
    assert [":".join(each) for each in zip(*told, strict=True)] == examples_java.ROOTS


def test_every_example_is_run():
    """A program that nobody runs is not an example."""
    used = {"gateway.sh", "with_kafka_python.py", "with_confluent_kafka.py", "postroom.mjs"}
    assert {path.name for path in PROGRAMS} == used | {"Publish.java", "Subscribe.java"}
