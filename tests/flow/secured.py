"""A secured installation of a test's own, driven as an operator would."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from connectors.local_security import ADMIN, LocalSecurity
from postroom.config import load_settings
from tests.flow.secured_person import WITHIN_S, Person
from tests.flow.spine import COMMAND, ROOT

PARTITIONS = 2
YOUNG_S = 3.0


class Secured:
    """`postroom up --secure` and all that is wanted on it, driven as an operator would."""

    def __init__(self, cache: Path) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="postroom-secured-"))
        self.environ = {
            "POSTROOM_STATE": str(self.place / "state"),
            "POSTROOM_CACHE": str(cache),
            "POSTROOM_CONTRACTS": str(ROOT / "schemas"),
            "POSTROOM_AGREEMENTS": str(ROOT / "schemas" / "agreements"),
            "POSTROOM_PARTITIONS": str(PARTITIONS),
            "POSTROOM_SECRET": "secured",
        }
        self.security = LocalSecurity(self.place / "state" / "security")
        self.said: list[str] = []
        """All that any command wrote, to be searched for secrets."""
        self.seen: set[str] = set()
        """All command lines of this machine while it was made."""
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.shell = ""
        """Of the worker last started."""

    @property
    def settings(self) -> Any:
        return load_settings(self.environ, self.place)

    def command(
        self, *words: str, user: str | None = None, given: bytes = b"", **environ: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `postroom ...` as a user to its end."""
        done = subprocess.run(
            [*COMMAND, *words],
            input=given,
            capture_output=True,
            env=self.environment(user) | environ,
            cwd=self.place,
            timeout=300,
            check=False,
        )
        self.said += [done.stdout.decode(), done.stderr.decode()]
        return done

    def environment(self, user: str | None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
        named = {"POSTROOM_KAFKA_USERNAME": user} if user else {}
        return kept | self.environ | named | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def good(self, *words: str, user: str | None = None, given: bytes = b"") -> str:
        """Run a command that succeeds."""
        done = self.command(*words, user=user, given=given)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def start(self, name: str, shell: str, user: str) -> None:
        """Start a worker of all stages under a user's credentials."""
        self._leave_groups_to(shell)
        with (self.place / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [*COMMAND, "run", "all", "--instance", name, "--shell", shell],
                env=self.environment(user),
                cwd=self.place,
                stdout=log,
                stderr=log,
            )

    def _leave_groups_to(self, shell: str) -> None:
        """Wait until the groups miss nobody: one that stopped itself said no farewell, and two shells do not
        agree on how to share.
        """
        if shell == self.shell:
            return
        self.shell, deadline = shell, time.monotonic() + 2 * WITHIN_S
        admin = AdminClient(self.client(ADMIN))
        while time.monotonic() < deadline:
            groups = admin.list_consumer_groups().result().valid
            ours = [each for each in groups if each.group_id.startswith("postroom.")]
            if all(each.state in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD) for each in ours):
                return
            time.sleep(0.5)

    def log(self, name: str) -> str:
        return (self.place / f"{name}.log").read_text()

    def stop(self, name: str) -> int:
        worker = self.workers.pop(name)
        worker.terminate()
        try:
            return worker.wait(20)
        except subprocess.TimeoutExpired:
            worker.kill()
            return worker.wait()

    # -- who is who ------------------------------------------------------------------------------------

    def password(self, user: str) -> str:
        return self.security.password(user)

    def client(self, user: str, **more: object) -> dict[str, object]:
        """What librdkafka wants to be told."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.password(user),
            "ssl.ca.location": str(self.security.ca_file),
            "log_level": 0,
            **more,
        }

    @property
    def bootstrap(self) -> str:
        from connectors import find_stack

        return find_stack(self.settings).kafka

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note every command line that this machine shows meanwhile, as `ps` would.

        A process is looked at in its first seconds only, in which it becomes the program that it will be: to
        read them all every time took a quarter of the machine.
        """
        over = threading.Event()
        first: dict[int, float] = {}

        def watch() -> None:
            while not over.wait(0.05):
                now = time.monotonic()
                alive = psutil.pids()
                for gone in first.keys() - set(alive):
                    del first[gone]
                for pid in alive:
                    if now - first.setdefault(pid, now) < YOUNG_S:
                        with contextlib.suppress(psutil.Error):
                            self.seen.add(" ".join(psutil.Process(pid).cmdline()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def person(self, user: str) -> Person:
        """Somebody with this user's password."""
        return Person(self.security.access(self.bootstrap, user), self.client(user), user)


@contextmanager
def secured(cache: Path, users: tuple[str, ...]) -> Iterator[Secured]:
    """A secured installation with these users, thrown away afterwards."""
    made = Secured(cache)
    try:
        with made.watched():
            made.good("up", "--secure")
            made.good("contract", "register")
            made.good("topics", "apply")
            made.good("access", "credential", *users)
        yield made
    finally:
        for name in list(made.workers):
            made.stop(name)
        made.command("down")
        shutil.rmtree(made.place, ignore_errors=True)
