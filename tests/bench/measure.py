"""Runs programs over preloaded topics and measures them: time by the broker's clock, CPU by samples.

The same yardstick for every program. It begins when the first record that the program writes is appended and
ends with the last record of its views, so starting up counts for nobody. CPU is that of the program's
processes between the two moments; the broker's, and what others took of the machine, are told beside it.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench.ground import Ground
from tests.bench.topics import Group, Place, ends, first_ms, latest_values

SAMPLE_S = 0.25
LOOK_S = 1.0
QUIET_S = 2.0
STOP_S = 20
MIB = 2**20
BROKER, MACHINE = "(broker)", "(machine)"
"""What is sampled beside the program's own processes."""


class NotDone(Exception):  # noqa: N818 - what is so, not what went wrong in code
    """A program that ended, or that took too long; what it said last."""


@dataclass(frozen=True)
class Program:
    """What to run: processes by name, the group that reads the input, and where the output is.

    ``begins`` is the topic whose first record starts the clock; ``inner`` are groups with the topics between
    the program's own stages, which must be read to their ends too.
    """

    name: str
    commands: Mapping[str, Sequence[str]]
    group: str
    views: tuple[str, ...]
    begins: str
    environ: Mapping[str, str] = field(default_factory=dict)
    inner: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """At one moment: CPU seconds of each process, broker and machine; events that the group had committed."""

    at_ms: float
    cpu_s: Mapping[str, float]
    rss_mib: float
    committed: int


@dataclass(frozen=True)
class Measured:
    """One run: its moments by the broker's clock, its samples, and the latest record under each view key."""

    program: Program
    events: int
    started_ms: float
    begun_ms: int
    ended_ms: int
    samples: list[Sample]
    writes: int
    latest: dict[tuple[str, str], bytes]

    @property
    def seconds(self) -> float:
        """From the first record written to the last record of the views."""
        return (self.ended_ms - self.begun_ms) / 1000

    @property
    def start_cpu_s(self) -> float:
        """CPU of the program before it wrote anything: imports, connections."""
        return sum(self._cpu_at(self.begun_ms, name) for name in self.program.commands)

    def cpu_s(self, *names: str) -> float:
        """CPU of these processes, or of all of the program's, from the beginning to the end."""
        return self._cpu_since(self.begun_ms, names or tuple(self.program.commands))

    @property
    def others_cores(self) -> float:
        """How many cores somebody else used meanwhile; the bench itself is among them."""
        return (self.cpu_s(MACHINE) - self.cpu_s(BROKER) - self.cpu_s()) / self.seconds

    @property
    def warm(self) -> tuple[int, float]:
        """How many events the second half of the input was, by the group's commits, and their CPU."""
        half = next((each for each in self.samples if each.committed * 2 >= self.events), self.samples[-1])
        return self.events - half.committed, self._cpu_since(half.at_ms, tuple(self.program.commands))

    def _cpu_since(self, since_ms: float, names: Sequence[str]) -> float:
        return sum(self._cpu_at(self.ended_ms, name) - self._cpu_at(since_ms, name) for name in names)

    def _cpu_at(self, at_ms: float, name: str) -> float:
        """Between two samples, in proportion."""
        before = self.samples[0]
        for after in self.samples:
            if after.at_ms >= at_ms:
                share = (at_ms - before.at_ms) / max(after.at_ms - before.at_ms, 1)
                return before.cpu_s[name] + (after.cpu_s[name] - before.cpu_s[name]) * max(share, 0)
            before = after
        return before.cpu_s[name]


def run(program: Program, ground: Ground, limit_s: float) -> Measured:
    """Start the program, wait until it has read everything and writes no more, stop it, read its views.

    NotDone when it ends by itself, takes longer than ``limit_s`` or writes no view.
    """
    last = ends(ground, ground.inputs())  # no transactions wrote the input, so offsets count records
    started_ms = time.time() * 1000
    processes = {name: _start(program, ground, name) for name in program.commands}
    try:
        samples = _watch(program, ground, processes, last, limit_s)
    finally:
        _stop(processes)
    latest, stamps = latest_values(ground, program.views)
    if not stamps:
        raise NotDone(f"wrote no view\n{_said(program, ground)}")
    begun_ms = first_ms(ground, program.begins)
    total = sum(last.values())
    return Measured(program, total, started_ms, begun_ms, max(stamps), samples, len(stamps), latest)


def _start(program: Program, ground: Ground, name: str) -> psutil.Popen:
    with _log(ground, name).open("wb") as log:
        return psutil.Popen(
            list(program.commands[name]),
            env=ground.environment(**program.environ),
            cwd=ground.place,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _watch(
    program: Program,
    ground: Ground,
    processes: Mapping[str, psutil.Popen],
    last: Mapping[Place, int],
    limit_s: float,
) -> list[Sample]:
    """Sample until every group has read everything and no output has grown for a while."""
    samples: list[Sample] = []
    inputs, group = set(ground.inputs()), Group(ground, program.group)
    broker = psutil.Process(ground.broker_pid())
    begun = moved = looked = time.monotonic()
    before: dict[Place, int] = {}
    done = 0
    while True:
        if any(process.poll() is not None for process in processes.values()):
            raise NotDone(f"ended by itself\n{_said(program, ground)}")
        if time.monotonic() - begun > limit_s:
            raise NotDone(f"not done after {limit_s:.0f} s\n{_said(program, ground)}")
        if time.monotonic() - looked > LOOK_S:
            looked, done = time.monotonic(), sum(group.positions(last).values())
            now = ends(ground, sorted(ground.there() - inputs))
            if now != before:
                before, moved = now, looked
            elif done >= sum(last.values()) and looked - moved > QUIET_S:
                if not any(Group(ground, name).behind(topics) for name, topics in program.inner.items()):
                    return samples
                moved = looked
        samples.append(_sample(processes, broker, done))
        time.sleep(SAMPLE_S)


def _sample(processes: Mapping[str, psutil.Popen], broker: psutil.Process, committed: int) -> Sample:
    machine = psutil.cpu_times()
    cpu = {BROKER: _used(broker), MACHINE: machine.user + machine.system + machine.nice}
    cpu |= {name: _used(process) for name, process in processes.items()}
    rss = sum(process.memory_info().rss for process in processes.values())
    return Sample(time.time() * 1000, cpu, rss / MIB, committed)


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _stop(processes: Mapping[str, psutil.Popen]) -> None:
    for process in processes.values():
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes.values():
        try:
            process.wait(STOP_S)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            process.kill()
            process.wait()


def _log(ground: Ground, name: str) -> Path:
    return ground.place / f"{name}.log"


def _said(program: Program, ground: Ground, lines: int = 15) -> str:
    return "\n".join(
        f"== {name}\n" + "\n".join(_log(ground, name).read_text(errors="replace").splitlines()[-lines:])
        for name in program.commands
    )
