"""Topics on a real cluster: what is there, how that differs from what is wanted, and making it so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of
from connectors.trouble import Trouble

ANSWER_WITHIN_MS = 15_000


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic as it should be; configuration that is not named is the cluster's own business."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `action` is create, grow, configure, or refuse (what Kafka cannot do in place)."""

    topic: str
    action: str
    setting: str
    now: str
    wanted: str


class Topics:
    """A cluster's topics, through its admin interface."""

    def __init__(self, access: KafkaAccess, replication: int = -1) -> None:
        self.access, self.replication = access, replication

    def plan(self, wanted: Iterable[WantedTopic]) -> list[Change]:
        """Compare what is wanted with what is there; nothing is changed."""
        topics = {topic.name: topic for topic in wanted}
        with admin_of(self.access, "topics") as admin:
            partitions = _partitions(admin, topics)
            configs = _configs(admin, [name for name in topics if name in partitions])
        changes = _misplaced(topics, partitions)
        for name in configs:
            for key, value in sorted(topics[name].config.items()):
                if configs[name].get(key) != value:
                    changes.append(Change(name, "configure", key, configs[name].get(key, ""), value))
        return sorted(changes, key=lambda change: change.topic)

    def misplaced(self, wanted: Iterable[WantedTopic]) -> list[Change]:
        """Compare only which topics there are and their partitions, which a worker may ask and must know."""
        topics = {topic.name: topic for topic in wanted}
        with admin_of(self.access, "topics") as admin:
            return _misplaced(topics, _partitions(admin, topics))

    def apply(self, wanted: Sequence[WantedTopic]) -> list[Change]:
        """Make the cluster's topics what is wanted and return what was changed.

        Raises Trouble when a topic has another number of partitions: every task and every key would be
        elsewhere, which only a migration can do.
        """
        changes = self.plan(wanted)
        self.require_possible(changes)
        by_name = {topic.name: topic for topic in wanted}
        with admin_of(self.access, "topics") as admin:
            self._create(admin, [by_name[change.topic] for change in changes if change.action == "create"])
            self._configure(admin, [change for change in changes if change.action == "configure"])
        return changes

    @staticmethod
    def require_possible(changes: Sequence[Change]) -> None:
        """Raise Trouble when Kafka cannot follow a plan."""
        refused = [change for change in changes if change.action == "refuse"]
        if refused:
            names = ", ".join(change.topic for change in refused)
            raise Trouble(
                "the number of partitions cannot change in place",
                where=names,
                why="keys and state are placed by it",
                mend="set POSTROOM_PARTITIONS to what the topics have, or move to new topics",
            )

    def _create(self, admin: Any, topics: Sequence[WantedTopic]) -> None:
        if topics:
            new = {
                topic.name: {
                    "num_partitions": topic.partitions,
                    "replication_factor": self.replication,
                    "configs": dict(topic.config),
                }
                for topic in topics
            }
            admin.create_topics(new, timeout_ms=ANSWER_WITHIN_MS, wait_for_metadata=True)

    @staticmethod
    def _configure(admin: Any, changes: Sequence[Change]) -> None:
        from kafka.admin import ConfigResource, ConfigResourceType

        by_topic: dict[str, dict[str, str]] = {}
        for change in changes:
            by_topic.setdefault(change.topic, {})[change.setting] = change.wanted
        if by_topic:
            admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name, config) for name, config in by_topic.items()]
            )


def missing_topics(access: KafkaAccess, names: Iterable[str]) -> list[str]:
    """Name the topics that are not there, or not for us to see."""
    wanted = set(names)
    with admin_of(access, "topics") as admin:
        return sorted(wanted - set(admin.list_topics()))


def _partitions(admin: Any, names: Iterable[str]) -> dict[str, int]:
    there = set(admin.list_topics())
    known = [name for name in names if name in there]
    if not known:
        return {}
    return {found["name"]: len(found["partitions"]) for found in admin.describe_topics(known)}


def _configs(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    from kafka.admin import ConfigResource, ConfigResourceType

    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = admin.describe_configs(resources, config_filter="all")
    found = next(iter(answer.values()))
    return {name: {key: str(row["value"]) for key, row in rows.items()} for name, rows in found.items()}


def _misplaced(topics: Mapping[str, WantedTopic], partitions: Mapping[str, int]) -> list[Change]:
    changes = []
    for name, topic in sorted(topics.items()):
        wanted, now = str(topic.partitions), str(partitions.get(name, ""))
        if wanted != now:
            changes.append(Change(name, "refuse" if now else "create", "partitions", now, wanted))
    return changes
