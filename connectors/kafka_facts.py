"""What a cluster is like, for whoever must judge whether the promises can hold on it; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of

METADATA_VERSIONS = {7: "3.3", 8: "3.4", 11: "3.5", 14: "3.6", 18: "3.7", 20: "3.8", 21: "3.9", 25: "4.0"}
"""The release that first had a level of metadata.version, which every cluster without ZooKeeper tells."""


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One topic: how often it is there, and whether every copy is up to date."""

    name: str
    partitions: int
    replicas_min: int
    behind: int = 0
    """Partitions of which a replica is not in sync."""
    leaderless: int = 0
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Disk:
    """Where a broker keeps its partitions; -1 bytes where it does not tell (before Kafka 3.3)."""

    broker: int
    directory: str
    free_bytes: int = -1
    failed: bool = False
    """The broker could not read or write there, and has given it up until it is started again."""


@dataclass(frozen=True, slots=True)
class Hanging:
    """A transaction that has been open for too long; its id names a task."""

    transactional_id: str
    state: str


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Brokers, their settings, topics and transactions; `unseen` says what we were not allowed to see."""

    brokers: tuple[int, ...]
    release: str
    configs: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)
    disks: tuple[Disk, ...] = ()
    hanging: tuple[Hanging, ...] = ()
    no_transactions: str = ""
    """Why the brokers cannot tell of transactions; empty if they can."""
    unseen: tuple[str, ...] = ()


def cluster_facts(access: KafkaAccess, topics: Iterable[str], hanging_after_ms: int) -> ClusterFacts:
    """Ask a cluster; `Unreachable` when it does not answer."""
    wanted = sorted(topics)
    unseen: list[str] = []
    with admin_of(access, "facts") as admin:
        brokers = tuple(sorted(broker["broker_id"] for broker in admin.describe_cluster()["brokers"]))
        there = [name for name in wanted if name in set(admin.list_topics())]
        described = admin.describe_topics(there) if there else []
        configs = _permitted(lambda: _broker_configs(admin, brokers), "brokers' settings", unseen) or {}
        topic_configs = _permitted(lambda: _topic_configs(admin, there), "topics' settings", unseen) or {}
        disks = _disks(admin, unseen)
        hanging, why = _transactions(admin, hanging_after_ms, unseen)
        release = _permitted(lambda: _release(admin), "the release", unseen) or ""
    found = {each["name"]: _topic(each, topic_configs.get(each["name"], {})) for each in described}
    return ClusterFacts(brokers, release, configs, found, disks, hanging, why, tuple(unseen))


def _permitted(ask: Callable[[], Any], what: str, unseen: list[str]) -> Any:
    """Ask, and remember what we may not know."""
    from kafka.errors import AuthorizationError

    try:
        return ask()
    except AuthorizationError:
        unseen.append(what)
        return None


def _release(admin: Any) -> str:
    level = int(admin.describe_features().get("metadata.version", {}).get("finalized", (0, 0))[1])
    known = [release for first, release in sorted(METADATA_VERSIONS.items()) if first <= level]
    return known[-1] if known else ""


def _broker_configs(admin: Any, brokers: Iterable[int]) -> dict[int, dict[str, str]]:
    from kafka.admin import ConfigResource, ConfigResourceType

    return {
        broker: _values(admin, [ConfigResource(ConfigResourceType.BROKER, str(broker))])[str(broker)]
        for broker in brokers
    }


def _topic_configs(admin: Any, topics: list[str]) -> dict[str, dict[str, str]]:
    from kafka.admin import ConfigResource, ConfigResourceType

    return _values(admin, [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics])


def _values(admin: Any, resources: list[Any]) -> dict[str, dict[str, str]]:
    if not resources:
        return {}
    found: dict[str, Any] = next(iter(admin.describe_configs(resources, config_filter="all").values()))
    return {name: {key: str(row["value"]) for key, row in rows.items()} for name, rows in found.items()}


def _disks(admin: Any, unseen: list[str]) -> tuple[Disk, ...]:
    """Ask each broker for its log directories, and for no partition; one that may not tell us names none."""
    found = tuple(
        Disk(of_broker["broker"], each["log_dir"], each.get("usable_bytes", -1), each["error_code"] != 0)
        for of_broker in admin.describe_log_dirs({})
        for each in of_broker["log_dirs"]
    )
    if not found:
        unseen.append("brokers' disks")
    return found


def _transactions(admin: Any, after_ms: int, unseen: list[str]) -> tuple[tuple[Hanging, ...], str]:
    """Tell what is open for longer than it may be, and why transactions cannot be asked about at all."""
    from kafka.errors import AuthorizationError, KafkaError

    try:
        found = admin.list_transactions(state_filters=["Ongoing"], duration_filter_ms=after_ms)
    except AuthorizationError:
        unseen.append("transactions")
        return (), ""
    except KafkaError as error:
        return (), str(error) or type(error).__name__
    listed = [each for of_broker in found.values() for each in of_broker]
    return tuple(Hanging(each.transactional_id, str(each.state)) for each in listed), ""


def _topic(described: Mapping[str, Any], config: Mapping[str, str]) -> TopicFacts:
    partitions = described["partitions"]
    return TopicFacts(
        described["name"],
        len(partitions),
        min((len(each["replica_nodes"]) for each in partitions), default=0),
        sum(len(each["isr_nodes"]) < len(each["replica_nodes"]) for each in partitions),
        sum(each["leader_id"] < 0 for each in partitions),
        config,
    )
