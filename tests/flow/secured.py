"""A secured installation of a test's own, and people who try things on it with a client that is not ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from connectors.kafka_access import KafkaAccess
from connectors.kafka_acls import Acls
from connectors.kafka_admin import admin_of
from connectors.kafka_users import Users
from connectors.local_security import ADMIN, LocalSecurity
from connectors.trouble import Misused
from postroom.config import load_settings
from tests.flow.spine import COMMAND, ROOT

PARTITIONS = 2
WITHIN_S = 20.0
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


@dataclass
class Person:
    """Somebody with a user's credentials; each deed returns the broker's error, None when it was done."""

    access: KafkaAccess
    conf: dict[str, object]
    user: str
    _admins: list[AdminClient] = field(default_factory=list)

    def write(self, topic: str, partition: int = 0) -> KafkaError | None:
        producer = Producer(self.conf | {"message.timeout.ms": WITHIN_S * 1000, "acks": "all"})
        told: list[KafkaError | None] = []
        producer.produce(topic, b"x", partition=partition, on_delivery=lambda error, _: told.append(error))
        producer.flush(WITHIN_S)
        return told[0] if told else _nothing()

    def read(self, topic: str) -> KafkaError | None:
        """The bare request, as one who knows the topic would send it; clients would ask for it first."""
        from kafka.protocol.consumer import FetchRequest as Fetch

        partition = Fetch.FetchTopic.FetchPartition(
            partition=0,
            fetch_offset=0,
            partition_max_bytes=10_000,
            current_leader_epoch=-1,
            log_start_offset=-1,
            last_fetched_epoch=-1,
        )
        request = Fetch(
            max_version=12,  # the last that names topics
            replica_id=-1,
            max_wait_ms=100,
            min_bytes=0,
            max_bytes=10_000,
            isolation_level=0,
            session_id=0,
            session_epoch=-1,
            forgotten_topics_data=[],
            rack_id="",
            topics=[Fetch.FetchTopic(topic=topic, partitions=[partition])],
        )
        with admin_of(self.access, "reads") as admin:
            answer = admin._manager.run(admin._manager.send, request, 1)
        ((code,),) = [[part.error_code for part in found.partitions] for found in answer.responses]
        return KafkaError(code) if code else None

    def see(self, topic: str) -> KafkaError | None:
        """That it is there, and its partitions."""
        consumer = self._consumer(f"{self.user}.sees")
        try:
            return consumer.list_topics(topic, timeout=WITHIN_S).topics[topic].error
        finally:
            consumer.close()

    def join(self, group: str, topic: str) -> KafkaError | None:
        consumer = self._consumer(group)
        try:
            consumer.subscribe([topic])
            return _first_error(consumer)
        finally:
            consumer.close()

    def commit(self, group: str, topic: str) -> KafkaError | None:
        """Move a group's offsets."""
        moved = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 0)])
        return self._all(self._admin().alter_consumer_group_offsets([moved]))

    def transact(self, transactional_id: str) -> KafkaError | None:
        producer = Producer(self.conf | {"transactional.id": transactional_id})
        return _of(lambda: producer.init_transactions(WITHIN_S))

    def create_topic(self, topic: str) -> KafkaError | None:
        return self._all(self._admin().create_topics([NewTopic(topic, 1)]))

    def delete_topic(self, topic: str) -> KafkaError | None:
        return self._all(self._admin().delete_topics([topic]))

    def add_partitions(self, topic: str) -> KafkaError | None:
        return self._all(self._admin().create_partitions([NewPartitions(topic, 50)]))

    def shorten(self, topic: str) -> KafkaError | None:
        """Let the broker forget what is older than a second."""
        return self._configure(ConfigResource(ConfigResource.Type.TOPIC, topic, {"retention.ms": "1000"}))

    def configure_broker(self, broker: str) -> KafkaError | None:
        settings = {"log.cleaner.threads": "1"}
        return self._configure(ConfigResource(ConfigResource.Type.BROKER, broker, settings))

    def see_configuration(self, topic: str) -> KafkaError | None:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return self._all(self._admin().describe_configs([resource]))

    def delete_records(self, topic: str) -> KafkaError | None:
        return self._all(self._admin().delete_records([TopicPartition(topic, 0, -1)]))

    def delete_group(self, group: str) -> KafkaError | None:
        return self._all(self._admin().delete_consumer_groups([group]))

    def grant(self, user: str, topic: str) -> KafkaError | None:
        return self._all(self._admin().create_acls([_acl(AclBinding, user, topic)]))

    def withdraw(self, user: str, topic: str) -> KafkaError | None:
        return self._all(self._admin().delete_acls([_acl(AclBindingFilter, user, topic)]))

    def see_permissions(self) -> KafkaError | None:
        """By our own client: the other one takes a refusal for an empty list."""
        return _of_ours(lambda: Acls(self.access, lambda _: True).plan(frozenset()))

    def set_password(self, user: str) -> KafkaError | None:
        mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192)
        change = UserScramCredentialUpsertion(user, mechanism, b"mine-now")
        return self._all(self._admin().alter_user_scram_credentials([change]))

    def see_password(self, user: str) -> KafkaError | None:
        """By our own client: the other one ends the whole process when it is refused this."""
        return _of_ours(lambda: Users(self.access).mechanisms(user))

    def _configure(self, resource: ConfigResource) -> KafkaError | None:
        return self._all(self._admin().alter_configs([resource]))

    def _all(self, futures: dict[Any, Any]) -> KafkaError | None:
        for future in futures.values():
            error = _of(lambda future=future: future.result(WITHIN_S))
            if error is not None:
                return error
        return None

    def _admin(self) -> AdminClient:
        if not self._admins:  # held: a client that nobody holds answers nothing
            self._admins.append(AdminClient(self.conf))
        return self._admins[0]

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            self.conf
            | {
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )


def _first_error(consumer: Consumer) -> KafkaError | None:
    """The first thing that a consumer hears: a record or a topic's end is no error."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        message: Message | None = consumer.poll(0.5)
        if message is not None:
            error = message.error()
            return None if error is not None and error.code() == KafkaError._PARTITION_EOF else error
    return _nothing()


def _nothing() -> KafkaError:
    return KafkaError(KafkaError._TIMED_OUT, "nobody answered")


def _of(deed: Callable[[], object]) -> KafkaError | None:
    try:
        deed()
    except KafkaException as error:
        found: KafkaError = error.args[0]
        return found
    return None


def _of_ours(deed: Callable[[], object]) -> KafkaError | None:
    try:
        deed()
    except Misused as refused:
        return KafkaError(getattr(refused.__cause__, "errno", -1))
    return None


def _acl(kind: Any, user: str, topic: str) -> Any:
    return kind(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
