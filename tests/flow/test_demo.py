"""The demo as a user plays it: a command in a terminal, a story on stdout, nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from postroom.config import Settings

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(500)]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from postroom.cli import main; main()", "demo"]
CHAPTERS = (
    "1  The stack answers",
    "2  Departments publish",
    "3  One record from different identifiers",
    "4  A link joins two records",
    "5  A citizen withdraws her consent",
    "6  What rests on a statute goes on",
    "7  Try next",
)


class Played(NamedTuple):
    """What the demo said at its end, and the environment in which it was played."""

    done: subprocess.CompletedProcess[str]
    environ: dict[str, str]


@contextmanager
def at(state: Path, shared: Settings) -> Iterator[dict[str, str]]:
    """An environment with this state directory; downloads are shared. In the end nothing works on it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    try:
        yield kept | {"POSTROOM_STATE": str(state), "POSTROOM_CACHE": str(shared.cache_dir)}
    finally:
        left = _running(state)
        for process in left:
            process.kill()
    assert not left, "the demo left processes behind"


@pytest.fixture
def environ(tmp_path: Path, stack_settings: Settings) -> Iterator[dict[str, str]]:
    """A state directory of one test's own."""
    with at(tmp_path, stack_settings) as made:
        yield made


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, stack_settings: Settings) -> Iterator[Played]:
    """The demo, played once to its end: who reads what it said, and who types on."""
    with at(tmp_path_factory.mktemp("demo"), stack_settings) as made:
        yield Played(
            subprocess.run(
                COMMAND, cwd=ROOT, env=made, capture_output=True, text=True, timeout=280, check=False
            ),
            made,
        )


def test_the_demo_tells_its_story_and_leaves_nothing_running(played: Played):
    """Exit 0, every chapter, a withdrawal that was measured, no flow on a statute taken away."""
    assert played.done.returncode == 0, played.done.stderr
    assert not _running(Path(played.environ["POSTROOM_STATE"])), "the demo left processes behind"
    story = played.done.stdout
    assert [line for line in story.splitlines() if line in CHAPTERS] == list(CHAPTERS)
    assert "value null  ce_type uk.gov.postroom.view-retracted.v1" in story
    measured = re.search(r"that of the retraction: (\d+) ms", story)
    assert measured is not None
    assert (
        int(measured[1]) < 10_000
    )  # that it is prompt is for the bench to show, not for a busy test machine
    assert "no retraction under this key" in story
    assert "the new amount led to no record" in " ".join(story.split())
    assert re.search(r'practice +\{"ods_code": "B99\d{3}"\}', story), (
        "the link brought nothing to the council"
    )
    assert "\x1b" not in story, "colour where there is no terminal"


def test_what_the_demo_says_to_try_next_can_be_typed_as_it_stands(played: Played):
    """Each command, in its order: the worker goes on beside the others, and the last view is there."""
    assert played.done.returncode == 0, played.done.stderr
    environ = played.environ
    named = re.findall(r"^ {5}-c (.+)$", played.done.stdout.partition(CHAPTERS[-1])[2], re.M)
    assert named[0] == "up"
    assert named[-1] == "down"
    worker: subprocess.Popen[bytes] | None = None
    try:
        for words in named:
            if words == "run all":
                worker = subprocess.Popen([*COMMAND[:3], *words.split()], cwd=ROOT, env=environ)
            elif words == "down":
                assert worker is not None
                worker.terminate()
                # On a busy machine it may still be starting: then it has nothing to finish.
                assert worker.wait(60) in (0, -signal.SIGTERM)
                assert typed(words, environ).returncode == 0
            else:
                wants_data = words.split()[0] in {"view", "audit", "identity"}
                assert shows(words, environ) if wants_data else typed(words, environ).returncode == 0, words
    finally:
        if worker is not None and worker.poll() is None:
            worker.kill()
        typed("down", environ)  # whatever went wrong; it says so and does nothing when nothing runs


def typed(words: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One command, as a person types it."""
    return subprocess.run(
        [*COMMAND[:3], *words.split()],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def shows(words: str, environ: dict[str, str]) -> bool:
    """Whether a command shows something, within a minute: a worker needs some seconds to take things up."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done = typed(words, environ)
        if done.returncode == 0 and done.stdout.strip():
            return True
        time.sleep(1)
    return False


def test_an_interrupted_demo_ends_its_worker_and_its_stack(environ: dict[str, str], tmp_path: Path):
    """`kill`, as Ctrl-C, ends what the demo started; the exit says that it was interrupted."""
    demo = subprocess.Popen(COMMAND, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (tmp_path / "workers" / "demo.log").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
        assert demo.poll() is None, demo.communicate()[1].decode()
    demo.send_signal(signal.SIGTERM)
    _, words = demo.communicate(timeout=60)
    assert demo.returncode == 130, words.decode()


def _running(state: Path) -> list[psutil.Process]:
    """Processes that work on this state directory, by what they were started with."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("POSTROOM_STATE") == str(state) or str(state) in " ".join(
                process.cmdline()
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found
