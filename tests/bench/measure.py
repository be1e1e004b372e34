"""Runs programs over preloaded topics and measures them: time by the broker's clock, CPU by samples.

The same yardstick for every program. It begins when the first record that the program writes is appended and
ends with the last record of its views, so starting up counts for nobody. CPU is that of the program's
processes between the two moments, the broker's not included.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec

from tests.bench.ground import Ground

SAMPLE_S = 0.25
LOOK_S = 1.0
QUIET_S = 3.0
STOP_S = 20
READ_S = 60
RSS_UNIT = 2**20


@dataclass(frozen=True)
class Program:
    """What to run: processes by name, the group that reads the input, and where the output is.

    ``begins`` is the topic whose first record starts the clock.
    """

    name: str
    commands: Mapping[str, Sequence[str]]
    group: str
    views: tuple[str, ...]
    begins: str
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """CPU seconds and memory of each process at a moment, and how many events the group had committed."""

    at_ms: float
    cpu_s: Mapping[str, float]
    rss_mib: float
    committed: int


@dataclass(frozen=True)
class Measured:
    """One run: its moments by the broker's clock, its samples, and the latest record under each view key."""

    program: str
    events: int
    started_ms: float
    begun_ms: int
    ended_ms: int
    samples: list[Sample]
    writes: int
    latest: dict[tuple[str, str], bytes]

    @property
    def seconds(self) -> float:
        return (self.ended_ms - self.begun_ms) / 1000

    def cpu_s(self, names: Sequence[str] | None = None, since_ms: float = 0.0) -> float:
        """CPU of these processes, or of all, from the beginning (or a later moment) to the end."""
        first = max(since_ms, self.begun_ms)
        return self._cpu_at(self.ended_ms, names) - self._cpu_at(first, names)

    @property
    def start_cpu_s(self) -> float:
        """CPU before the beginning: imports, connections, restoring nothing."""
        return self._cpu_at(self.begun_ms, None)

    def _cpu_at(self, at_ms: float, names: Sequence[str] | None) -> float:
        """Between two samples, in proportion."""
        before = self.samples[0]
        for after in self.samples:
            if after.at_ms >= at_ms:
                share = (at_ms - before.at_ms) / max(after.at_ms - before.at_ms, 1)
                was, now = _total(before, names), _total(after, names)
                return was + (now - was) * max(share, 0)
            before = after
        return _total(before, names)

    def half(self) -> Sample:
        """The first sample at which half of the input was committed."""
        return next(sample for sample in self.samples if sample.committed * 2 >= self.events)


def run(program: Program, ground: Ground, limit_s: float) -> Measured:
    """Start the program, wait until it has read everything and writes no more, stop it, read its views."""
    ends = input_ends(ground)
    total = sum(ends.values())
    logs = {name: ground.place / f"{name}.log" for name in program.commands}
    started_ms = time.time() * 1000
    processes = {name: _start(program, ground, name, logs[name]) for name in program.commands}
    try:
        samples = _watch(program, ground, processes, logs, ends, limit_s)
    finally:
        _stop(processes)
    latest, stamps = read_views(ground, program.views)
    if not stamps:
        raise SystemExit(f"{program.name} wrote no view:\n{_said(logs)}")
    begun_ms = first_ms(ground, program.begins)
    return Measured(program.name, total, started_ms, begun_ms, max(stamps), samples, len(stamps), latest)


def input_ends(ground: Ground) -> dict[tuple[str, int], int]:
    """Where each partition of the input ends: no transactions wrote it, so offsets count records."""
    return _ends(ground, ground.inputs())


def _ends(ground: Ground, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    found = ground.admin.list_topics(timeout=20).topics
    wanted = [TopicPartition(topic, number) for topic in topics for number in found[topic].partitions]
    futures = ground.admin.list_offsets({each: OffsetSpec.latest() for each in wanted})
    return {(each.topic, each.partition): future.result().offset for each, future in futures.items()}


def _start(program: Program, ground: Ground, name: str, log: Path) -> psutil.Popen:
    with log.open("ab") as out:
        return psutil.Popen(
            list(program.commands[name]),
            env=ground.environment(**program.environ),
            cwd=ground.place,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def _watch(
    program: Program,
    ground: Ground,
    processes: Mapping[str, psutil.Popen],
    logs: Mapping[str, Path],
    ends: Mapping[tuple[str, int], int],
    limit_s: float,
) -> list[Sample]:
    """Sample until the group has committed the whole input and no output has grown for a while."""
    samples: list[Sample] = []
    inputs, group = set(ground.inputs()), _reader(ground, program.group)
    begun = moved = looked = time.monotonic()
    before: dict[tuple[str, int], int] = {}
    done = 0
    while True:
        if any(process.poll() is not None for process in processes.values()):
            raise SystemExit(f"{program.name} ended by itself:\n{_said(logs)}")
        if time.monotonic() - begun > limit_s:
            raise SystemExit(f"{program.name} was not done after {limit_s:.0f} s:\n{_said(logs)}")
        if time.monotonic() - looked > LOOK_S:
            looked, done = time.monotonic(), _committed(group, ends)
            now = _ends(ground, sorted(ground.there() - inputs))
            if now != before:
                before, moved = now, looked
            elif done >= sum(ends.values()) and looked - moved > QUIET_S:
                return samples
        samples.append(_sample(processes, done))
        time.sleep(SAMPLE_S)


def _committed(group: Consumer, places: Iterable[tuple[str, int]]) -> int:
    """How much of the input the group has committed. (The admin client's question crashes, 2.16.)"""
    try:
        answer = group.committed([TopicPartition(*place) for place in places], timeout=10)
    except KafkaException:  # its coordinator is not ready
        return 0
    return sum(max(each.offset, 0) for each in answer)


def _sample(processes: Mapping[str, psutil.Popen], committed: int) -> Sample:
    cpu, rss = {}, 0.0
    for name, process in processes.items():
        used = process.cpu_times()
        cpu[name] = used.user + used.system
        rss += process.memory_info().rss / RSS_UNIT
    return Sample(time.time() * 1000, cpu, rss, committed)


def _total(sample: Sample, names: Sequence[str] | None) -> float:
    return sum(used for name, used in sample.cpu_s.items() if names is None or name in names)


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


def _said(logs: Mapping[str, Path], lines: int = 15) -> str:
    return "\n".join(
        f"== {name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
        for name, log in logs.items()
    )


def read_views(ground: Ground, topics: Sequence[str]) -> tuple[dict[tuple[str, str], bytes], list[int]]:
    """The latest value under each (topic, key) that has one, and the broker's time of every record."""
    latest: dict[tuple[str, str], bytes] = {}
    stamps: list[int] = []
    for message in _read(ground, topics):
        place = (message.topic(), message.key().decode())
        stamps.append(message.timestamp()[1])
        if message.value() is None:
            latest.pop(place, None)
        else:
            latest[place] = message.value()
    return latest, stamps


def first_ms(ground: Ground, topic: str) -> int:
    """When the first committed record of a topic was appended."""
    seen: dict[int, int] = {}
    for message in _read(ground, [topic], each=1):
        seen.setdefault(message.partition(), message.timestamp()[1])
    return min(seen.values())


def _read(ground: Ground, topics: Sequence[str], each: int | None = None) -> Iterator[Message]:
    """The committed records of topics to what is now the end, or so many of each partition."""
    consumer = _reader(ground, "bench-reader")
    left = dict.fromkeys(_ends(ground, topics), each)
    consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in left])
    deadline = time.monotonic() + READ_S
    try:
        while left:
            if time.monotonic() > deadline:
                raise SystemExit(f"held up by an open transaction: {sorted(left)[:5]}")
            for message in consumer.consume(10_000, 0.5):
                place = (message.topic(), message.partition())
                if message.error() is not None:
                    left.pop(place, None)
                elif place in left:
                    yield message
                    if left[place] is not None:
                        left[place] -= 1
                        if not left[place]:
                            del left[place]
    finally:
        consumer.close()


def _reader(ground: Ground, group: str) -> Consumer:
    """A consumer that joins no group and commits nothing."""
    return Consumer(
        {
            "bootstrap.servers": ground.stack.kafka,
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )


def load() -> float:
    """The machine's load of the last minute: others take CPU from whom they meet."""
    return round(os.getloadavg()[0], 1)
