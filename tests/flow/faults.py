"""Ways to break an installation that runs under load and supervision, and what is asked of it after each."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from confluent_kafka import KafkaException

from connectors import ensure_stack, own_process
from connectors.kafka_groups import group_facts
from connectors.kafka_history import HistoryReader
from connectors.own_process import OwnProcess
from connectors.state_files import read_json
from postroom.commands.history import judge
from postroom.stage_groups import groups_of
from processors import Keys, Rules
from processors.history import Verdict
from producers import make_ready, synthetic
from producers.ready import Ready
from schemas import frame
from tests.flow.load import Load
from tests.flow.spine import Installation, now_ms, registered
from tests.flow.supervised import UNREACHABLE, Supervisor


def process_of(own: Installation, part: str) -> OwnProcess:
    """Kafka or the registry."""
    entry = read_json(own.settings.state_dir / "stack.json")[part]
    return OwnProcess(int(entry["pid"]), str(entry["token"]), float(entry["started_at"]))


class Ordeal:
    """An installation under load and supervision, and everything that may happen to it."""

    def __init__(self, own: Installation, supervisor: Supervisor, load: Load, seed: int) -> None:
        self.own, self.supervisor, self.load, self.chance = own, supervisor, load, Random(seed)
        self.rules = Rules(own.contracts, own.agreements, Keys(own.settings.secret_bytes()))
        self.faults: Counter[str] = Counter()
        self._started = time.monotonic()

    def note(self, fault: str, what: str = "") -> None:
        """Print a line about a fault."""
        self.faults[fault] += 1
        self.tell(f"{fault} {what}".rstrip())

    def tell(self, text: str) -> None:
        """Print a line with the time."""
        print(f"{time.monotonic() - self._started:7.1f} s  {text}", flush=True)

    # -- what is asked after each fault

    def judge(self) -> Verdict:
        """What `postroom history verify` says."""
        return judge(HistoryReader(self.own.stack.access), self.own.registry, self.rules)

    def is_clean(self, after: str) -> None:
        """Nothing lost, nothing twice, while everything goes on."""
        started = time.monotonic()
        verdict = self.judge()
        assert verdict.findings == [], f"after {after}: {verdict.findings[:5]}"
        said = {name: count for name, count in verdict.checked.items() if count}
        self.tell(f"clean after {after} ({time.monotonic() - started:.1f} s): {said}")
        assert verdict.unchecked == [], verdict.unchecked
        assert not self.supervisor.unexpected(), self.supervisor.unexpected()

    def settles_clean(self, after: str) -> None:
        """The load pauses, all is processed, and every view is what a replay of the events gives."""
        with self.load.paused():
            seconds = self.own.settle(240)
            self.tell(f"settled {seconds:.1f} s after {after}; ended: {dict(Counter(self.supervisor.exits))}")
            verdict = self.judge()
        assert verdict.findings == [], f"after {after}: {verdict.findings[:5]}"
        assert verdict.unchecked == [], verdict.unchecked
        assert verdict.checked["events not yet processed"] == 0
        assert verdict.checked["views on their way"] == 0
        self.tell(f"at rest after {after}: {verdict.checked}")
        assert not self.supervisor.unexpected(), self.supervisor.unexpected()

    def goes_on(self, timeout_s: float = 120) -> float:
        """Wait until new views are written again; return the seconds it took."""
        views = [topic for topic in self.own.topics if topic.startswith("view.")]
        started = time.monotonic()
        since = None
        while time.monotonic() - started < timeout_s:
            now = self._ends(views)
            if since is None:
                since = now
            elif now not in (None, since):
                return time.monotonic() - started
            assert not self.supervisor.unexpected(), self._logs()
            time.sleep(0.1)
        raise AssertionError(f"nothing moves after {timeout_s} s\n{self._logs()}")

    def _logs(self) -> str:
        ends = "\n".join(f"== {name}\n{self.own.said(name)}" for name in self.supervisor.names())
        return f"{self.supervisor.unexpected()}\n{ends}"

    def _ends(self, topics: list[str]) -> Any:
        try:
            return self.own.ends(topics)
        except KafkaException:
            return None

    # -- workers

    def kill(self) -> None:
        """SIGKILL one of the workers."""
        victim = self.chance.choice(self.supervisor.names())
        self.supervisor.signal(victim, signal.SIGKILL)
        self.note("killed", victim)

    def freeze(self) -> None:
        """Stop a worker until its groups have expelled it, and let it go on as a zombie.

        The broker says when that is. A worker that still joins keeps a rebalance open, in which the zombie
        may come back before anybody has missed it: so all are ready first.
        """
        for name in self.supervisor.names():
            self.supervisor.wait_ready(name)
        victim = self.chance.choice(self.supervisor.names())
        before = len(self.supervisor.said(victim))
        started = time.monotonic()
        self.supervisor.signal(victim, signal.SIGSTOP)
        try:
            while self._is_member(victim):
                assert time.monotonic() < started + 120, f"no group expelled it:\n{self._logs()}"
                time.sleep(0.2)
        finally:
            self.supervisor.signal(victim, signal.SIGCONT)
        self.note("frozen", f"{victim} for {time.monotonic() - started:.0f} s")
        end = time.monotonic() + 120
        while not {line["event"] for line in self.supervisor.said(victim)[before:]} & {"stopped", "revoked"}:
            assert time.monotonic() < end, f"the zombie noticed nothing:\n{self._logs()}"
            time.sleep(0.1)

    def _is_member(self, name: str) -> bool:
        groups = groups_of(self.own.contracts, self.own.agreements)
        return any(name in facts.members for facts in group_facts(self.own.stack.access, groups).values())

    # -- the stack

    @contextmanager
    def without(self, part: str, kill: bool = False) -> Iterator[None]:
        """Take a part of the stack away, and bring it back at the same address."""
        own = process_of(self.own, part)
        if kill:
            os.kill(own.pid, signal.SIGKILL)
        own_process.stop([own])
        try:
            yield
        finally:
            assert ensure_stack(self.own.settings) == self.own.stack, "it came back elsewhere"

    def lose_registry(self, seconds: float) -> None:
        """Without the registry workers go on, one that dies waits for it, and unknown schemas wait too."""
        type_ = "uk.gov.health.demographics.v1"
        contract = self.own.contracts.by_type[type_]
        other = contract.schema | {"doc": f"the same, in other words ({self.faults['registry down']})"}
        schema_id = self.own.registry.register(f"{type_}-value", other)
        with self.without("registry"):
            self.note("registry down", f"for {seconds:.0f} s")
            ready = make_ready(
                registered(synthetic.nhs_number(199_999), now_ms()), self.own.contracts, now_ms()
            )
            assert isinstance(ready, Ready)
            headers = {name: value.decode() for name, value in ready.headers}
            for partition in range(self.own.topics[type_]):  # of a schema that no worker knows yet
                self.own.produce(type_, frame(schema_id, ready.body), headers, partition)
            self.own.flushed()
            self.kill()
            time.sleep(seconds)
        assert UNREACHABLE in {code for _, code in self.supervisor.exits}, "nobody missed it"

    def lose_broker(self, seconds: float) -> None:
        """Without the broker nothing goes on; workers may end, and come back with it."""
        with self.without("kafka", kill=True):
            self.note("broker killed", f"away for {seconds:.0f} s")
            time.sleep(seconds)
        self.own.reconnect()

    # -- local stores

    def harm_store(self, name: str, how: str) -> None:
        """Delete or corrupt all local stores of a worker that is not running."""
        place = self.supervisor.store(name)
        if how == "deleted":
            shutil.rmtree(place)
        else:
            for file in place.glob("*/*/*"):
                if file.name.startswith(("MANIFEST", "CURRENT")) or file.suffix in (".sst", ".log"):
                    file.write_bytes(b"junk" * 100)
        self.note(f"store {how}", name)

    def fill_disk(self, name: str) -> int:
        """Fill the small disk of a confined worker to its last byte, from inside its namespace."""
        ballast = Path(f"/proc/{self.supervisor.pid(name)}/root{self.supervisor.store(name)}/ballast")
        written = 0
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        written += file.write(bytes(size))
                except OSError:
                    continue
        self.note("disk full", f"of {name}, {written} bytes of ballast")
        return written
