"""What the documents tell of Kafka: told to them by who makes the topics and grants the permissions.

The generators know contracts and agreements only. Names, settings and users are arguments, so that no
document can say another name than the one that runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as an installation has it, and the Kafka users that may write and read it."""

    name: str
    partitions: int
    config: Mapping[str, str]
    writers: frozenset[str]
    readers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wire:
    """Every topic that a department or a subscriber meets, and how things on it are named (E2, V1-V4)."""

    topics: Mapping[str, Topic]
    view_topic: Callable[[str], str]
    obligations_topic: Callable[[str], str]
    acknowledgements_topic: str
    owner_user: Callable[[str], str]
    subscriber_user: Callable[[str], str]
    gateway_user: str
    view_updated: str
    view_retracted: str
    deletion_due: str
    source: str
