"""Somebody who tries things on a secured installation, with a client that is not ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import (
    Consumer,
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
from connectors.trouble import Misused

WITHIN_S = 20.0


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
