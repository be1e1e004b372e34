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
    """Those of our contracts that some worker does not ask for."""
    unknown: tuple[str, ...]
    """Events' topics that some worker asks for and no contract here has."""


def other_topics(group: GroupFacts, wanted: Mapping[str, tuple[str, ...]]) -> OtherTopics | None:
    """Whether a group's workers run other contracts than those here, as far as they say; None if not.

    A worker takes contracts up by itself (renewal), so a difference that lasts longer than a minute is one of
    directories: it was started with others.
    """
    ours = {topic for topic in wanted[group.group] if parse_type(topic)}
    asked = [{topic for topic in each if parse_type(topic)} for each in group.asked_for]
    unread = {topic for each in asked for topic in ours - each}
    unknown = {topic for each in asked for topic in each - ours}
    return OtherTopics(tuple(sorted(unread)), tuple(sorted(unknown))) if unread or unknown else None
