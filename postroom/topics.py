"""What Postroom needs of Kafka: every topic with its partitions and its promises, derived from the rules."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.kafka_topics import WantedTopic
from processors import (
    ACKNOWLEDGEMENTS_TOPIC,
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    DISPUTES_TOPIC,
    FRAGMENTS_TOPIC,
    INSTALLATION_TOPIC,
    LETTER_DECISIONS_TOPIC,
    LETTER_REQUESTS_TOPIC,
    OBLIGATIONS_TOPIC,
    PAIRS_TOPIC,
    REPORTS_TOPIC,
    obligations_topic,
    view_topic,
)
from processors.engine.settings import MESSAGE_BYTES_MAX
from schemas import Agreement, Contracts

DAY_MS = 24 * 3600 * 1000
FOR_EVER_MS = -1
BROKER_TIME = {"message.timestamp.type": "LogAppendTime"}
"""The broker's clock is the one that promises are measured from (E2, V7)."""

FROM_OUTSIDE = {"max.message.bytes": str(3 << 20), "compression.type": "uncompressed"}
"""An event of more than 1 MiB must come far enough to be rejected as oversized (E7).

INVARIANT: what departments compress the broker stores without. A limit counts what travels: 3 MiB of gzip
hold 3 GiB, which every start of a worker would meet again; and of the codecs our client knows gzip alone.
"""

MESSAGE_SIZE = {"max.message.bytes": str(MESSAGE_BYTES_MAX)}
"""What follows from events, and a state, may be larger; a topic that refused it would stop its stage."""

COMPACTED = {"cleanup.policy": "compact"} | MESSAGE_SIZE
VIEW = COMPACTED | {
    # Compaction is not yet deletion: it is bounded, and tombstones stay for whoever is behind (V1).
    "max.compaction.lag.ms": str(DAY_MS),
    "delete.retention.ms": str(30 * DAY_MS),
}
INTERNAL_RETENTION_MS = 7 * DAY_MS
"""Long enough to mend a stopped stage; an input deleted before it was read stops the stage."""

INTERNAL_TOPICS = frozenset({ASSERTIONS_TOPIC, PAIRS_TOPIC, FRAGMENTS_TOPIC, OBLIGATIONS_TOPIC})


def wanted_topics(
    contracts: Contracts, agreements: Iterable[Agreement], partitions: int
) -> list[WantedTopic]:
    """Return every topic of an installation: departments', internal, changelogs, subscribers'."""
    agreements = list(agreements)

    def topic(name: str, config: dict[str, str], count: int = partitions) -> WantedTopic:
        return WantedTopic(name, count, BROKER_TIME | config)

    internal = _kept(INTERNAL_RETENTION_MS) | MESSAGE_SIZE
    topics = [
        topic(type_, _kept(contract.retention.after(0)) | FROM_OUTSIDE)
        for type_, contract in contracts.by_type.items()
    ]
    topics += [
        topic(ASSERTIONS_TOPIC, internal),
        topic(PAIRS_TOPIC, internal, 1),  # one total order over the graph of pairs (§7)
        topic(FRAGMENTS_TOPIC, internal),
        topic(OBLIGATIONS_TOPIC, internal),
        topic(changelog("identity"), COMPACTED),
        topic(changelog("persons"), COMPACTED, 1),
        topic(changelog("record"), COMPACTED),
        topic(changelog("obligations"), COMPACTED),
        topic(changelog("intake"), COMPACTED),
        topic(DEAD_LETTERS_TOPIC, _kept(90 * DAY_MS) | MESSAGE_SIZE),
        # Who did what about an event that was rejected, and why, is kept for whoever asks years later.
        topic(LETTER_REQUESTS_TOPIC, _kept(FOR_EVER_MS) | MESSAGE_SIZE),
        topic(LETTER_DECISIONS_TOPIC, _kept(FOR_EVER_MS) | MESSAGE_SIZE),
        topic(REPORTS_TOPIC, _kept(90 * DAY_MS) | MESSAGE_SIZE),
        topic(DISPUTES_TOPIC, COMPACTED),
        # One record, written once: its order with any other would matter, so one partition (C8).
        topic(INSTALLATION_TOPIC, COMPACTED, 1),
        topic(DISCLOSURES_TOPIC, _kept(FOR_EVER_MS) | MESSAGE_SIZE),
        topic(ACKNOWLEDGEMENTS_TOPIC, _kept(FOR_EVER_MS) | FROM_OUTSIDE),
    ]
    topics += [topic(view_topic(agreement.agreement), VIEW) for agreement in agreements]
    topics += [
        topic(obligations_topic(subscriber), _kept(FOR_EVER_MS) | MESSAGE_SIZE)
        for subscriber in sorted({agreement.subscriber for agreement in agreements})
    ]
    return topics


def _kept(retention_ms: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(retention_ms)}


def changelog(stage: str) -> str:
    """Name a stage's changelog (§7)."""
    return f"postroom.{stage}.changelog"
