"""The consumer groups of the stages, and what each reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from connectors.kafka_groups import GroupFacts
from postroom.composition import STAGES, input_topics
from processors import Keys, Rules
from schemas import Agreement, Contracts, parse_type

UNUSED_KEYS = Keys(b"not used")
"""Naming topics and groups needs rules; no key is made with these."""


def groups_of(contracts: Contracts, agreements: Mapping[str, Agreement]) -> dict[str, tuple[str, ...]]:
    """Name each stage's consumer group, and what it reads."""
    rules = Rules(contracts, dict(agreements), UNUSED_KEYS)
    return {f"postroom.{stage}": input_topics(stage, rules) for stage in STAGES}


class OtherTopics(NamedTuple):
    """How the topics that a group's workers read differ from those of the contracts here."""

    unread: tuple[str, ...]
    """Those of our contracts that none of the workers reads."""
    unknown: tuple[str, ...]
    """Those of events that some worker reads, and that no contract here has."""


def other_topics(group: GroupFacts, wanted: Mapping[str, tuple[str, ...]]) -> OtherTopics | None:
    """Whether a group's workers run other contracts than those here; None if not, or nobody can say now.

    A worker takes contracts up by itself (renewal), so a difference that lasts longer than a minute is one of
    directories: it was started with others. A topic that is not made yet is read by nobody.
    """
    if not group.reads:
        return None
    made = {topic for topic, _ in group.ends}
    ours = {topic for topic in wanted[group.group] if parse_type(topic)}
    read = {topic for topic in group.reads if parse_type(topic)}
    unread, unknown = ours & made - read, read - ours
    return OtherTopics(tuple(sorted(unread)), tuple(sorted(unknown))) if unread or unknown else None
