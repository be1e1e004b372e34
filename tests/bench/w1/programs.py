"""The programs that do W1: Postroom in three arrangements, and the peers that can be had on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from postroom.compiled import build
from postroom.errors import UserError
from processors import ASSERTIONS_TOPIC, FRAGMENTS_TOPIC, PAIRS_TOPIC, view_topic
from tests.bench.ground import PLACE, POSTROOM, Ground, say
from tests.bench.measure import Program
from tests.bench.peers import streams
from tests.bench.w1.terms import AGREEMENTS, PARTITIONS

CORES = max(2, min(PARTITIONS, os.cpu_count() or 1))
"""As many processes or threads as this machine has cores, and at least two; no more than partitions."""
STAGES = ("intake", "identity", "persons", "record", "obligations")
INNER = {
    "postroom.identity": (ASSERTIONS_TOPIC,),
    "postroom.persons": (PAIRS_TOPIC,),
    "postroom.record": (FRAGMENTS_TOPIC,),
}
"""Between Postroom's stages: what must be read to its end before the last view is the last."""
PEERS = Path(__file__).resolve().parents[1] / "peers"
PEER_VIEW = "bench.view"
INSTALL_S = 300
SOURCE, COMPILED = {"POSTROOM_COMPILED": "no"}, {"POSTROOM_COMPILED": "yes"}


class NotRun(Exception):  # noqa: N818 - what is so, not what went wrong in code
    """A program that cannot be had here, and why."""


@dataclass(frozen=True)
class Entry:
    """A program of the table: how many events suit it, how it is made on a ground, what it makes."""

    name: str
    events: int
    make: Callable[[Ground, str], Program]
    views: bool = True
    one_stage: bool = True


def postroom_one(ground: Ground, name: str) -> Program:
    """One process of all stages."""
    return _postroom(name, {"one": "all"})


def postroom_cores(ground: Ground, name: str) -> Program:
    """A process of all stages for each core, as an operator would start them."""
    return _postroom(name, {f"worker-{number}": "all" for number in range(CORES)})


def postroom_stages(ground: Ground, name: str) -> Program:
    """A process a stage, so that each stage's CPU is seen."""
    return _postroom(name, {stage: stage for stage in STAGES})


def compiled_one(ground: Ground, name: str) -> Program:
    """One process of all stages, compiled (docs/adr/0079)."""
    return _compiled(ground, postroom_one(ground, name))


def compiled_stages(ground: Ground, name: str) -> Program:
    """A process a stage, compiled."""
    return _compiled(ground, postroom_stages(ground, name))


def _compiled(ground: Ground, program: Program) -> Program:
    try:
        build(ground.settings.cache_dir)
    except UserError as why:
        raise NotRun(str(why)) from why
    return replace(program, environ=COMPILED)


def _postroom(name: str, workers: dict[str, str]) -> Program:
    commands = {worker: (*POSTROOM, "run", what, "--instance", worker) for worker, what in workers.items()}
    views = tuple(view_topic(agreement) for agreement in AGREEMENTS.values())
    return Program(name, commands, "postroom.intake", views, ASSERTIONS_TOPIC, SOURCE, INNER)


def quix(ground: Ground, name: str) -> Program:
    """Quix Streams, in a venv of its own."""
    python = _quix_python()
    return _peer(ground, name, (str(python), "-m", "tests.bench.peers.quix_w1"))


def faust_stock(ground: Ground, name: str) -> Program:
    """Faust as it comes, in our venv."""
    module = "tests.bench.peers.faust_stock"
    return _peer(ground, name, (sys.executable, "-m", module, "worker", "-l", "warn", "--without-web"))


def streams_one(ground: Ground, name: str) -> Program:
    """Kafka Streams, one thread."""
    return _streams(ground, name, 1)


def streams_cores(ground: Ground, name: str) -> Program:
    """Kafka Streams, a thread for each core."""
    return _streams(ground, name, CORES)


def _streams(ground: Ground, name: str, threads: int) -> Program:
    try:
        command = streams.command(ground.settings.cache_dir, PLACE)
    except streams.NotBuilt as why:
        raise NotRun(str(why)) from why
    return _peer(ground, name, command, W1_THREADS=str(threads))


def relay(ground: Ground, name: str) -> Program:
    """A plain aiokafka consumer and producer: the floor of what Kafka costs from Python."""
    return _peer(ground, name, (sys.executable, "-m", "tests.bench.peers.relay"))


def _peer(ground: Ground, name: str, command: tuple[str, ...], **more: str) -> Program:
    schema = json.loads((PEERS / "view.avsc").read_text())
    state = ground.place / "peer-state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    ground.create_topic(PEER_VIEW, PARTITIONS)
    group = f"bench-{time.time_ns()}"  # its own: whoever was killed keeps a group busy for a while
    environ = {
        "W1_BOOTSTRAP": ground.stack.kafka,
        "W1_GROUP": group,
        "W1_STATE": str(state),
        "W1_VIEW": PEER_VIEW,
        "W1_VIEW_ID": str(ground.registry.register(f"{PEER_VIEW}-value", schema)),
    }
    return Program(name, {"peer": command}, group, (PEER_VIEW,), PEER_VIEW, environ | more)


def _quix_python() -> Path:
    """The interpreter of Quix's venv, made on the first run; its name is its content."""
    wanted = PEERS / "requirements-quix.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()[:8]
    home = PLACE / f"quix-{digest}"
    python, stamp = home / "bin" / "python", home / ".installed"
    if stamp.exists():
        return python
    say("installing Quix Streams in a venv of its own")
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", wanted]
    try:
        done = subprocess.run(command, capture_output=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired as late:
        raise NotRun(f"Quix Streams was not installed within {INSTALL_S} s") from late
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["pip said nothing"]
        raise NotRun(f"Quix Streams could not be installed: {said[-1]}")
    stamp.touch()
    return python


QUIX, FAUST = "Quix Streams", "stock Faust"
ENTRIES = (  # Quix three times, for a machine's pace changes within minutes and the bar is set beside it
    Entry(FAUST, 20_000, faust_stock),
    Entry(QUIX, 125_000, quix),
    Entry("Postroom, 1 process", 125_000, postroom_one, one_stage=False),
    Entry("Postroom, 1 process, compiled", 125_000, compiled_one, one_stage=False),
    Entry(QUIX, 125_000, quix),
    Entry(f"Postroom, {CORES} processes", 125_000, postroom_cores, one_stage=False),
    Entry("Postroom, a process a stage", 125_000, postroom_stages, one_stage=False),
    Entry("Postroom, a process a stage, compiled", 125_000, compiled_stages, one_stage=False),
    Entry(QUIX, 125_000, quix),
    Entry("relay (copies each record)", 125_000, relay, views=False),
    Entry("Kafka Streams, 1 thread", 250_000, streams_one),
    Entry(f"Kafka Streams, {CORES} threads", 250_000, streams_cores),
)
