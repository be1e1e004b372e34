"""What is wanted of Kafka's topics, derived from the rules."""

from __future__ import annotations

from postroom.composition import STAGES
from postroom.topics import INTERNAL_TOPICS, changelog, wanted_topics
from processors import (
    ACKNOWLEDGEMENTS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    REPORTS_TOPIC,
    Limits,
    obligations_topic,
    view_topic,
)
from processors.engine import EngineConfig
from schemas import load_agreements, load_contracts
from tests.nasty.generate import CASES

CONTRACTS = load_contracts(CASES / "contracts")
AGREEMENTS = load_agreements(CASES / "agreements", CONTRACTS)
TOPICS = {topic.name: topic for topic in wanted_topics(CONTRACTS, AGREEMENTS.values(), 3)}
LIMIT = {name: int(topic.config["max.message.bytes"]) for name, topic in TOPICS.items()}


def test_no_topic_refuses_what_a_stage_may_write() -> None:
    """A refused state or message would stop its stage for ever; so topics and engine have one limit."""
    written = {*INTERNAL_TOPICS, DEAD_LETTERS_TOPIC, REPORTS_TOPIC, DISCLOSURES_TOPIC}
    written |= {changelog(stage) for stage in STAGES} | {view_topic(name) for name in AGREEMENTS}
    written |= {obligations_topic(agreement.subscriber) for agreement in AGREEMENTS.values()}
    assert {LIMIT[name] for name in written} == {EngineConfig("", None).message_bytes_max}
    assert EngineConfig("", None).message_bytes_max >= 16 * Limits().value_bytes


def test_an_oversized_event_comes_far_enough_to_be_rejected() -> None:
    """E7: the reason is intake's to give; and a department cannot fill the topic with whatever it likes."""
    assert {LIMIT[type_] for type_ in CONTRACTS.by_type} == {3 * Limits().value_bytes}


def test_what_comes_from_outside_is_stored_without_compression() -> None:
    """E7: a limit on what travels is none on what it becomes; `tests/flow/test_bad_input.py` sends a bomb."""
    outside = {*CONTRACTS.by_type, ACKNOWLEDGEMENTS_TOPIC}
    assert {TOPICS[name].config["compression.type"] for name in outside} == {"uncompressed"}
