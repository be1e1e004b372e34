"""An installation of a test's own: its stack, rules, topics and workers, driven as an operator would.

The design fixes the topics' names, so tests that run the whole way through cannot share a cluster.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors import Stack, ensure_stack, stop_stack
from connectors.kafka_reader import RawRecord, TopicReader
from connectors.kafka_views import AvroReader, ReadRecord
from connectors.registry import Registry
from postroom.composition import load_rules_files
from postroom.config import Settings, load_settings
from postroom.topics import wanted_topics
from processors import ASSERTIONS_TOPIC, FRAGMENTS_TOPIC, PAIRS_TOPIC, view_topic
from schemas import format_instant

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 3
SHELL = "faust"
STRUCTURED = {"content-type": "application/cloudevents+json"}
COMMAND = (sys.executable, "-c", "from postroom.cli import main; main()")
QUIET_S = 1.5
COORDINATOR_COMING = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
LEADER_COMING = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
RESTARTS_MAX = 8

T = TypeVar("T")


@contextmanager
def installation(
    request: pytest.FixtureRequest, shared: Settings, contracts: Path, agreements: Path
) -> Iterator[Installation]:
    """Start a stack as the option says, register and create everything, stop it all."""
    option = request.config.getoption("--stack")
    if option == "env":
        pytest.skip("SKIPPED LOUDLY: the topics' names are fixed, so this test needs a cluster of its own")
    with ExitStack() as resources:
        found = None
        if option == "testcontainers":
            from tests.stack_testcontainers import containers

            found = resources.enter_context(containers())
        yield resources.enter_context(installed(shared.cache_dir, contracts, agreements, found))


@contextmanager
def installed(
    cache: Path, contracts: Path, agreements: Path, existing: Stack | None = None
) -> Iterator[Installation]:
    """An installation in a directory that is thrown away, on a stack of its own unless one is given."""
    place = Path(tempfile.mkdtemp(prefix="postroom-spine-"))
    environ = {
        "POSTROOM_STATE": str(place / "state"),
        "POSTROOM_CACHE": str(cache),
        "POSTROOM_CONTRACTS": str(contracts),
        "POSTROOM_AGREEMENTS": str(agreements),
        "POSTROOM_PARTITIONS": str(PARTITIONS),
        "POSTROOM_SECRET": "spine",
    }
    if existing is not None:
        environ |= {"POSTROOM_KAFKA": existing.kafka, "POSTROOM_REGISTRY": existing.registry}
    settings = load_settings(environ, place)
    try:
        made = Installation(place, environ, ensure_stack(settings))
        try:
            made.prepare()
            yield made
        finally:
            made.stop()
    finally:
        if existing is None:  # INVARIANT: what was given is not ours to stop
            stop_stack(settings)
        shutil.rmtree(place, ignore_errors=True)


class Installation:
    """One backbone: the command line for what an operator does, plain clients for what a test must see."""

    def __init__(self, place: Path, environ: dict[str, str], stack: Stack) -> None:
        self.place, self.environ, self.stack = place, environ, stack
        self.settings = load_settings(environ, place)
        self.contracts, self.agreements = load_rules_files(
            self.settings.contracts_dir, self.settings.agreements_dir
        )
        self.topics = {
            topic.name: topic.partitions
            for topic in wanted_topics(self.contracts, self.agreements.values(), PARTITIONS)
        }
        self.registry = Registry(stack.registry)
        self._avro = AvroReader(stack.access, self.registry)
        self.workers: dict[str, tuple[subprocess.Popen[bytes], str]] = {}
        self.exits: list[tuple[str, int]] = []
        self.reconnect()
        settings = {"bootstrap.servers": stack.kafka, "acks": "all", "enable.idempotence": True}
        self._producer = Producer(settings | {"linger.ms": 5, "log_level": 0})

    def reconnect(self) -> None:
        """Ask Kafka through a new client: librdkafka's would hold on to the epochs of a broker that died."""
        self._admin = AdminClient({"bootstrap.servers": self.stack.kafka, "log_level": 0})

    # -- what an operator does -------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The environment of a command: this installation's settings and none of the developer's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
        return kept | self.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def command(self, *words: str, given: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        """Run `postroom ...` to its end."""
        return subprocess.run(
            [*COMMAND, *words],
            input=given,
            capture_output=True,
            env=self.environment() | environ,
            cwd=self.place,
            timeout=240,
            check=False,
        )

    def prepare(self) -> None:
        """Register the contracts and create the topics."""
        for words in (("contract", "register"), ("topics", "apply")):
            done = self.command(*words)
            assert done.returncode == 0, done.stderr.decode()

    def publish(self, lines: Iterable[bytes]) -> None:
        """`postroom publish`, all of it good."""
        done = self.command("publish", "-", "-o", "json", given=b"\n".join(lines) + b"\n")
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()

    def produce(
        self, topic: str, value: bytes | None, headers: dict[str, str], partition: int = -1, **more: Any
    ) -> None:
        """Put bytes on a topic as any client may; `flushed` waits for them."""
        pairs = [(name, text.encode()) for name, text in headers.items()]
        self._producer.produce(topic, value, headers=pairs, partition=partition, on_delivery=_landed, **more)
        self._producer.poll(0)

    def produce_structured(self, lines: Iterable[bytes]) -> None:
        """Put lines on their types' topics in structured mode; those of no known type go to any topic."""
        some = sorted(self.contracts.by_type)
        for number, line in enumerate(lines):
            type_ = _type_of(line)
            topic = type_ if type_ in self.contracts.by_type else some[number % len(some)]
            self.produce(topic, line, STRUCTURED)
        self.flushed()

    def flushed(self) -> None:
        """Wait until everything produced is acknowledged."""
        assert self._producer.flush(30) == 0

    # -- workers ---------------------------------------------------------------------------------------

    def start(self, name: str, shell: str) -> None:
        """Start a worker of all stages."""
        with (self.place / f"{name}.log").open("ab") as log:
            worker = subprocess.Popen(
                [*COMMAND, "run", "all", "--instance", name, "--shell", shell],
                env=self.environment(),
                cwd=self.place,
                stdout=log,
                stderr=log,
            )
        self.workers[name] = (worker, shell)

    def kill(self, name: str) -> None:
        """End a worker as a failing machine would, and start it again."""
        worker, shell = self.workers.pop(name)
        worker.kill()
        self.exits.append((name, worker.wait()))
        self.start(name, shell)

    def tend(self) -> None:
        """Start a worker again that ended by itself, as a supervisor does; not for ever."""
        for name, (worker, shell) in list(self.workers.items()):
            if worker.poll() is not None:
                self.exits.append((name, worker.returncode))
                print(f"{name} ended by itself with {worker.returncode}:\n{self.said(name, 4)}")
                stopped = [code for _, code in self.exits if code != -signal.SIGKILL]
                assert len(stopped) <= RESTARTS_MAX, f"{name} does not stay up:\n{self.said(name)}"
                self.start(name, shell)

    def stop(self, patience_s: float = 20) -> dict[str, int]:
        """End the workers with SIGTERM; return their exit codes."""
        codes = {}
        stopping, self.workers = self.workers, {}
        for worker, _ in stopping.values():
            worker.terminate()
        for name, (worker, _) in stopping.items():
            try:
                codes[name] = worker.wait(patience_s)
            except subprocess.TimeoutExpired:
                worker.kill()
                codes[name] = worker.wait()
        return codes

    def said(self, name: str, lines: int = 15) -> str:
        """The end of a worker's log."""
        log = self.place / f"{name}.log"
        return "\n".join(log.read_text().splitlines()[-lines:]) if log.exists() else "(nothing)"

    # -- what a test sees ------------------------------------------------------------------------------

    def inputs(self) -> dict[str, list[TopicPartition]]:
        """The partitions that each consumer group reads."""
        by_stage = {
            "intake": sorted(self.contracts.by_type),
            "identity": [ASSERTIONS_TOPIC],
            "persons": [PAIRS_TOPIC],
            "record": [FRAGMENTS_TOPIC],
        }
        return {f"postroom.{stage}": self._partitions(topics) for stage, topics in by_stage.items()}

    def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        return [TopicPartition(name, number) for name in topics for number in range(self.topics[name])]

    def ends(self, topics: Iterable[str] | None = None) -> dict[tuple[str, int], int]:
        """Where each partition ends now."""
        wanted = self._partitions(self.topics if topics is None else topics)
        return _patiently(lambda: self._ends(wanted))

    def _ends(self, wanted: list[TopicPartition]) -> dict[tuple[str, int], int]:
        futures = self._admin.list_offsets({partition: OffsetSpec.latest() for partition in wanted})
        return {(tp.topic, tp.partition): future.result().offset for tp, future in futures.items()}

    def unread(self) -> dict[str, int]:
        """By consumer group how many records it has not read; offsets also count markers, this does not."""
        return {group: self._unread(group, partitions) for group, partitions in self.inputs().items()}

    def _unread(self, group: str, partitions: list[TopicPartition]) -> int:
        consumer = self._consumer(group)
        try:
            committed = _patiently(lambda: consumer.committed(partitions, timeout=20))
            ends = self.ends({partition.topic for partition in partitions})
            behind = [
                TopicPartition(tp.topic, tp.partition, max(tp.offset, 0))
                for tp in committed
                if max(tp.offset, 0) < ends[tp.topic, tp.partition]
            ]
            return sum(1 for _ in _to_the_end(consumer, behind))
        finally:
            consumer.close()

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.stack.kafka,
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )

    def wait_moved(self, topics: Sequence[str], since: dict[tuple[str, int], int], timeout_s: float) -> bool:
        """Wait until something was written to the topics since then."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.tend()
            if self.ends(topics) != since:
                return True
            time.sleep(0.02)
        return False

    def settle(self, timeout_s: float = 240, each: Callable[[], None] = lambda: None) -> float:
        """Wait until no topic grows and every group has read all there is; return the seconds it took.

        ``each`` is called about five times a second meanwhile.
        """
        started = quiet_since = time.monotonic()
        before, unread = self.ends(), {"?": 1}
        while time.monotonic() - started < timeout_s:
            self.tend()
            each()
            time.sleep(0.2)
            now = self.ends()
            if now != before:
                before, quiet_since = now, time.monotonic()
            elif time.monotonic() - quiet_since > QUIET_S:
                unread = self.unread()
                if not any(unread.values()) and self.ends() == before:
                    return time.monotonic() - started
        logs = "\n".join(f"== {name}\n{self.said(name)}" for name in self.workers)
        raise AssertionError(f"not settled after {timeout_s} s, unread {unread}, ended {self.exits}\n{logs}")

    def read(self, *topics: str) -> list[RawRecord]:
        """Every committed record of topics."""
        return list(TopicReader(self.stack.access).read(topics))

    def documents(self, topic: str) -> list[Any]:
        """Every committed record of a topic of JSON."""
        return [json.loads(record.value or b"null") for record in self.read(topic)]

    def view_records(self, *agreements: str) -> dict[str, list[ReadRecord]]:
        """Every committed record of the views of some agreements, or of all, by the registry's schema."""
        by_topic = {view_topic(name): name for name in sorted(agreements or self.agreements)}
        found: dict[str, list[ReadRecord]] = {name: [] for name in by_topic.values()}
        for record in TopicReader(self.stack.access).read(list(by_topic)):  # one client for all of them
            found[by_topic[record.topic]].append(self._avro.decoded(record))
        return found


def now_ms() -> int:
    """The clock."""
    return time.time_ns() // 1_000_000


def registered(nhs: str, time_ms: int, name: str = "Garamond") -> bytes:
    """The NHS says what somebody is called, as a line."""
    data = {"nhs_number": nhs, "business_effective_from": "2025-03-01"}
    data |= {"name": {"given_names": "Amina", "family_name": name}}
    return event(f"known-{nhs}", "urn:gov:nhs:pds", "uk.gov.health.demographics.v1", time_ms, data)


def decided(nhs: str, state: str, time_ms: int) -> bytes:
    """Somebody decides about sharing with York's support for carers, as a line."""
    data = {"subject": f"nhs:{nhs}", "subscriber": "council-york", "purpose": "carers-support"}
    data |= {"categories": [], "state": state}
    name = f"{state.lower()}-{nhs}"
    return event(name, "urn:gov:consent-service:web", "uk.gov.consent.decision.v1", time_ms, data)


def event(name: str, source: str, type_: str, time_ms: int, data: object) -> bytes:
    """A CloudEvent as a line (E3)."""
    attributes = {"specversion": "1.0", "id": name, "source": source, "type": type_}
    return json.dumps(attributes | {"time": format_instant(time_ms), "data": data}).encode()


def _to_the_end(consumer: Consumer, partitions: list[TopicPartition]) -> Iterator[Any]:
    """The committed records from these positions to what is now the end."""
    left = {(tp.topic, tp.partition) for tp in partitions}
    if left:
        consumer.assign(partitions)
    deadline = time.monotonic() + 90
    while left:
        assert time.monotonic() < deadline, f"held up, by an open transaction? {sorted(left)[:5]}"
        for message in consumer.consume(1000, 0.2):
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.discard((message.topic(), message.partition()))
            else:
                raise AssertionError(str(message.error()))


def _patiently(ask: Callable[[], T], attempts: int = 60) -> T:
    """Ask again while a group or a topic has just come, and its coordinator or leader is not ready."""
    for _ in range(attempts):
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in COORDINATOR_COMING + LEADER_COMING:
                raise
            time.sleep(0.5)
    return ask()


def _landed(error: Any, message: Any) -> None:
    assert error is None, f"{message.topic()}: {error}"


def _type_of(line: bytes) -> str | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    type_ = found.get("type") if isinstance(found, dict) else None
    return type_ if isinstance(type_, str) else None
