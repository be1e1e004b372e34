"""Topics, load, supervised workers and the check of the history, for the engine's tests."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processors.engine.changelog import TASK_KEY, body_of
from processors.engine.partitions import partition_of

HERE = Path(__file__).parent
REPO = HERE.parent.parent
PARTITIONS = 4


class Rig:
    """One toy pipeline on a real Kafka: a tag of its own, so that tests do not meet."""

    def __init__(self, kafka: str, tag: str, state: Path, shell: str) -> None:
        self.kafka, self.tag, self.state, self.shell = kafka, tag, state, shell
        self.workers: dict[str, subprocess.Popen] = {}
        self.environment: dict[str, dict[str, str]] = {}
        self.exits: list[tuple[str, int]] = []
        self.sent: list[tuple[bytes, int]] = []
        self._numbers: dict[bytes, int] = {}
        self._admin = AdminClient({"bootstrap.servers": kafka})
        self._supervising = threading.Event()
        self._lock = threading.Lock()

    # -- topics and load -------------------------------------------------------------------------------

    def create_topics(self) -> None:
        plain = [NewTopic(f"{self.tag}.{name}", PARTITIONS, 1) for name in ("a", "b", "sink", "sink-wakes")]
        compacted = {"cleanup.policy": "compact"}
        others = [
            NewTopic(f"{self.tag}.middle", 1, 1),
            NewTopic(f"{self.tag}.count.changelog", PARTITIONS, 1, config=compacted),
            NewTopic(f"{self.tag}.relay.changelog", 1, 1, config=compacted),
        ]
        for future in self._admin.create_topics(plain + others).values():
            future.result()

    def delete_topics(self) -> None:
        names = ("a", "b", "sink", "sink-wakes", "middle", "count.changelog", "relay.changelog")
        for future in self._admin.delete_topics([f"{self.tag}.{name}" for name in names]).values():
            future.exception()

    def load(self, events: int, keys: int, rate: float = 0) -> None:
        """Publish events, each key's numbers rising by one within its topic, from one load to the next."""
        producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 5, "enable.idempotence": True})
        chance, numbers = random.Random(1), self._numbers
        started = time.monotonic()
        for event in range(events):
            key = b"key-%d" % chance.randrange(keys)
            topic = f"{self.tag}.{'ab'[zlib.crc32(key) & 1]}"
            numbers[key] = numbers.get(key, 0) + 1
            value = json.dumps({"number": numbers[key]}).encode()
            producer.produce(topic, value, key, partition=partition_of(key, PARTITIONS))
            self.sent.append((key, numbers[key]))
            if event % 50 == 0:
                producer.poll(0)
                if rate:
                    time.sleep(max(0, started + event / rate - time.monotonic()))
        producer.flush()

    def load_beside(self, events: int, keys: int, rate: float) -> threading.Thread:
        thread = threading.Thread(target=self.load, args=(events, keys, rate))
        thread.start()
        return thread

    # -- workers ---------------------------------------------------------------------------------------

    def start(self, name: str, **environment: str) -> None:
        """Start a worker; it is started again whenever it ends, until ``stop``."""
        self.environment[name] = environment
        self._spawn(name)
        if not self._supervising.is_set():
            self._supervising.set()
            threading.Thread(target=self._supervise, daemon=True).start()

    def _spawn(self, name: str) -> None:
        env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("POSTROOM_", "TOY_"))},
            "PYTHONPATH": str(REPO),
            "PYTHONUNBUFFERED": "1",
            "TOY_TAG": self.tag,
            "TOY_KAFKA": self.kafka,
            "TOY_STATE": str(self.state),
            "TOY_INSTANCE": name,
            "TOY_SHELL": self.shell,
            **self.environment[name],
        }
        with (self.state / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, str(HERE / "engine_toy.py")], env=env, stdout=log, stderr=log, cwd=self.state
            )

    def _supervise(self) -> None:
        while self._supervising.is_set():
            with self._lock:
                for name, worker in list(self.workers.items()):
                    if worker.poll() is not None:
                        self.exits.append((name, worker.returncode))
                        self._spawn(name)
            time.sleep(0.1)

    def signal(self, name: str, number: int) -> None:
        self.workers[name].send_signal(number)

    def stop(self, name: str | None = None, patience_s: float = 20) -> list[int]:
        """End one worker or all, with SIGTERM; return their exit codes."""
        with self._lock:
            names = [name] if name else list(self.workers)
            stopping = [self.workers.pop(each) for each in names]
        codes = []
        for worker in stopping:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in stopping:
            try:
                codes.append(worker.wait(patience_s))
            except subprocess.TimeoutExpired:
                worker.kill()
                codes.append(worker.wait())
        if not self.workers:
            self._supervising.clear()
        return codes

    def log(self, name: str) -> list[dict]:
        """Return what a worker said, over all of its lives."""
        lines = (self.state / f"{name}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_shared(self, *names: str, timeout_s: float = 120) -> None:
        """Wait until each of these workers has tasks, and is not about to give any up."""
        end = time.monotonic() + timeout_s
        while not all(map(self._has_its_share, names)):
            assert time.monotonic() < end, [self.log(name)[-3:] for name in names]
            time.sleep(0.1)

    def _has_its_share(self, name: str) -> bool:
        last = {line["stage"]: line for line in self.log(name) if line["event"] in {"ready", "revoked"}}
        has = any(line["partitions"] for line in last.values())
        return has and all(line["event"] == "ready" for line in last.values())

    def wait_said(self, name: str, event: str, timeout_s: float = 90) -> dict:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for line in self.log(name):
                if line["event"] == event:
                    return line
            time.sleep(0.1)
        raise AssertionError(f"{name} never said {event}: {self.log(name)[-5:]}")

    # -- history ---------------------------------------------------------------------------------------

    def read(self, topic: str, isolation: str = "read_committed") -> list:
        """Return every record of a topic, waiting until nothing is held up by an open transaction."""
        consumer, parts = self._reader(topic, isolation)
        ends = {part.partition: self._end(consumer, part) for part in parts}
        left = {number for number, end in ends.items() if end}
        found, deadline = [], time.monotonic() + 90
        while left and time.monotonic() < deadline:
            found += [message for message in consumer.consume(10_000, 0.2) if message.error() is None]
            for part in consumer.position(parts):
                if part.offset >= ends[part.partition]:
                    left.discard(part.partition)
        consumer.close()
        assert not left, f"{topic}: partitions {left} held up, by an open transaction?"
        return found

    def _reader(self, topic: str, isolation: str = "read_committed") -> tuple[Consumer, list[TopicPartition]]:
        """Return a consumer at the beginning of a topic, with its partitions."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": f"{self.tag}-reader",
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        name = f"{self.tag}.{topic}"
        count = len(consumer.list_topics(name, timeout=10).topics[name].partitions)
        parts = [TopicPartition(name, number, 0) for number in range(count)]
        consumer.assign(parts)
        return consumer, parts

    def _end(self, consumer: Consumer, part: TopicPartition) -> int:
        """Return a partition's end, asking again while a new topic has no leader yet."""
        for attempt in range(20):
            try:
                return consumer.get_watermark_offsets(part, timeout=5)[1]
            except KafkaException:
                if attempt == 19:
                    raise
                time.sleep(0.2)
        raise AssertionError

    def outputs(self) -> int:
        return len(self.read("sink"))

    def wait_done(self, timeout_s: float = 180) -> float:
        """Wait until the sink has as many records as were sent, or timeout; return the seconds it took.

        One reader goes on from where it is: to read all of it each time would compete with the workers.
        """
        started, found = time.monotonic(), 0
        consumer, _ = self._reader("sink")
        try:
            while found < len(self.sent) and time.monotonic() - started < timeout_s:
                found += sum(message.error() is None for message in consumer.consume(10_000, 0.3))
        finally:
            consumer.close()
        return time.monotonic() - started

    def verify(self) -> None:
        """One output per input, each key's in order without gaps, and the changelogs equal to a fold (V6)."""
        expected: dict[bytes, tuple[int, int, int]] = {}
        for key, number in self.sent:
            n, _, crc = expected.get(key, (0, 0, 0))
            expected[key] = (n + 1, number, zlib.crc32(b"%d" % number, crc))
        last: dict[bytes, int] = {}
        wrong = []
        sink = self.read("sink")
        for message in sink:
            value = json.loads(message.value())
            before = last.get(message.key(), 0)
            if not value["number"] == value["count"] == value["relay"] == before + 1:
                wrong.append((message.key(), before, value))
            last[message.key()] = value["number"]
        assert not wrong, f"{len(wrong)} of {len(sink)} outputs out of order, e.g. {wrong[:3]}"
        assert len(sink) == len(self.sent), f"{len(sink)} outputs for {len(self.sent)} inputs"
        for stage in ("count", "relay"):
            states = {message.key(): message.value() for message in self.read(f"{stage}.changelog")}
            found = {
                key: tuple(json.loads(body_of(value))[part] for part in ("n", "last", "crc"))
                for key, value in states.items()
                if key != TASK_KEY
            }
            assert found == expected, f"the changelog of {stage} is not the fold of its input"

    def aborted(self) -> int:
        """Return how many outputs were written and then aborted: that many a reader must not see."""
        return len(self.read("middle", "read_uncommitted")) - len(self.read("middle"))
