"""The consumer groups of the stages, and what each reads."""

from __future__ import annotations

from collections.abc import Mapping

from postroom.composition import STAGES, input_topics
from processors import Keys, Rules
from schemas import Agreement, Contracts

UNUSED_KEYS = Keys(b"not used")
"""Naming topics and groups needs rules; no key is made with these."""


def groups_of(contracts: Contracts, agreements: Mapping[str, Agreement]) -> dict[str, tuple[str, ...]]:
    """Name each stage's consumer group, and what it reads."""
    rules = Rules(contracts, dict(agreements), UNUSED_KEYS)
    return {f"postroom.{stage}": input_topics(stage, rules) for stage in STAGES}
