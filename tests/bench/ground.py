"""What the benchmark stands on: a stack of its own, rules, topics, and commands in its settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from connectors import Stack, ensure_stack, stack_status, stop_stack
from connectors.registry import Registry
from postroom.compiled import build
from postroom.composition import load_rules_files
from postroom.config import load_settings
from postroom.console import ConsoleReport

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".state" / "bench"
POSTROOM = (sys.executable, "-c", "from postroom.cli import main; main()")
COMMAND_S = 120
GONE_S = 60


class Ground:
    """One stack with the topics of some rules; what runs on it leaves nothing for the next."""

    def __init__(self, place: Path, environ: dict[str, str], stack: Stack) -> None:
        self.place, self.environ, self.stack = place, environ, stack
        self.settings = load_settings(environ, place)
        self.contracts, self.agreements = load_rules_files(
            self.settings.contracts_dir, self.settings.agreements_dir
        )
        self.registry = Registry(stack.registry)
        self.admin = AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0})

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a command: this ground's settings and none of the developer's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
        return kept | self.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | more

    def command(self, *words: str) -> None:
        """Run `postroom ...` to its end."""
        done = subprocess.run(
            [*POSTROOM, *words],
            capture_output=True,
            env=self.environment(),
            cwd=self.place,
            timeout=COMMAND_S,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"postroom {' '.join(words)} failed:\n{done.stderr.decode()}")

    def broker_pid(self) -> int:
        """The process of this stack's Kafka."""
        return next(part.pid for part in stack_status(self.settings) if part.part == "kafka" and part.pid)

    def there(self) -> set[str]:
        """Every topic but Kafka's own."""
        return {name for name in self.admin.list_topics(timeout=20).topics if not name.startswith("__")}

    def inputs(self) -> list[str]:
        """The departments' topics."""
        return sorted(self.contracts.by_type)

    def create(self) -> None:
        """Every topic of the installation that is missing."""
        self.command("topics", "apply")

    def create_topic(self, name: str, partitions: int) -> None:
        """One more topic, of records in the broker's time."""
        topic = NewTopic(name, partitions, 1, config={"message.timestamp.type": "LogAppendTime"})
        self.admin.create_topics([topic])[name].result()

    def wipe(self, keep: Iterable[str] = ()) -> None:
        """Delete every topic but those to keep, our consumer groups and every local store."""
        doomed = sorted(self.there() - set(keep))
        for future in (self.admin.delete_topics(doomed) if doomed else {}).values():
            future.result()
        deadline = time.monotonic() + GONE_S
        while (left := self.there() & set(doomed)) and time.monotonic() < deadline:
            time.sleep(0.2)
        if left:
            raise SystemExit(f"topics that do not go: {', '.join(sorted(left))}")
        self._forget_groups(deadline)
        shutil.rmtree(self.settings.state_dir / "workers", ignore_errors=True)

    def _forget_groups(self, deadline: float) -> None:
        """Delete our groups: their names are fixed. One that was killed stays a while after its members."""
        listed = self.admin.list_consumer_groups().result().valid
        groups = [group.group_id for group in listed if group.group_id.startswith("postroom.")]
        while groups:
            left = []
            for name, future in self.admin.delete_consumer_groups(groups).items():
                try:
                    future.result()
                except KafkaException as error:
                    if time.monotonic() > deadline:
                        raise SystemExit(f"the group {name} does not go: {error}") from error
                    left.append(name)
            groups = left
            time.sleep(1 if groups else 0)


@contextmanager
def prepared(contracts: Path, agreements: Path, partitions: int) -> Iterator[Ground]:
    """A stack in a directory that is thrown away, with these contracts registered."""
    PLACE.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="run-", dir=PLACE))
    given = load_settings(os.environ, ROOT)
    if given.compiled:
        build(given.cache_dir)
    environ = {
        "POSTROOM_STATE": str(place / "state"),
        "POSTROOM_CACHE": str(given.cache_dir),
        "POSTROOM_COMPILED": "yes" if given.compiled else "no",
        "POSTROOM_CONTRACTS": str(contracts),
        "POSTROOM_AGREEMENTS": str(agreements),
        "POSTROOM_PARTITIONS": str(partitions),
        "POSTROOM_SECRET": "bench",
    }
    settings = load_settings(environ, place)
    try:
        ground = Ground(place, environ, ensure_stack(settings, ConsoleReport()))
        ground.command("contract", "register")
        yield ground
    finally:
        stop_stack(settings)
        shutil.rmtree(place, ignore_errors=True)


def say(text: str) -> None:
    """A word on what is going on; figures go to stdout."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
