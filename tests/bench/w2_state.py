"""What a run of W2 leaves: state by stage, pairs, claims, and bytes on disks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from connectors import stack_status
from processors import DISCLOSURES_TOPIC, PAIRS_TOPIC, view_topic
from processors.engine.changelog import TASK_KEY, body_of
from processors.node import is_page, read_node
from tests.bench.ground import Ground
from tests.bench.topics import committed

STATEFUL = ("identity", "persons", "record", "obligations")


class Left(NamedTuple):
    """State as the changelogs have it once compacted; disks as they are, before any compaction."""

    state_bytes: dict[str, int]
    keys: dict[str, int]
    pairs: int
    claims: int
    stores_bytes: int
    inputs_bytes: int
    topics_bytes: int
    disclosures_bytes: int
    views_bytes: int


def left_by(ground: Ground) -> Left:
    """Look at changelogs, the pairs' topic and the directories of stores and broker."""
    state, keys, pairs = {}, {}, set()
    for stage in STATEFUL:
        latest = _latest(ground, changelog(stage))
        state[stage] = sum(len(key) + len(value) for key, value in latest.items())
        keys[stage] = sum(not is_page(key) for key in latest)
        if stage == "persons":
            for key, value in latest.items():
                if not is_page(key):
                    node = read_node(body_of(value))
                    pairs |= {frozenset((node.identifier, other)) for other in node.said}
    claims = sum(_messages(message) for message in committed(ground, PAIRS_TOPIC))
    sizes = _topic_bytes(ground)
    inputs = set(ground.inputs())
    return Left(
        state,
        keys,
        len(pairs),
        claims,
        _bytes(ground.settings.state_dir / "workers", "*"),
        sum(size for topic, size in sizes.items() if topic in inputs),
        sum(size for topic, size in sizes.items() if topic not in inputs),
        sizes.get(DISCLOSURES_TOPIC, 0),
        sum(size for topic, size in sizes.items() if topic.startswith(view_topic(""))),
    )


def _topic_bytes(ground: Ground) -> dict[str, int]:
    """What each topic takes of the broker's disk, without indices, which Kafka makes larger than they are."""
    sizes: dict[str, int] = {}
    data = next(Path(part.data) for part in stack_status(ground.settings) if part.part == "kafka")
    there = ground.there()
    for directory in data.iterdir():
        topic = directory.name.rpartition("-")[0]
        if topic in there:
            sizes[topic] = sizes.get(topic, 0) + _bytes(directory, "*.log")
    return sizes


def changelog(stage: str) -> str:
    """The name of a stage's changelog."""
    return f"postroom.{stage}.changelog"


def _latest(ground: Ground, topic: str) -> dict[bytes, bytes]:
    latest: dict[bytes, bytes] = {}
    for message in committed(ground, topic):
        if message.value() is None:
            latest.pop(message.key(), None)
        elif message.key() != TASK_KEY:
            latest[message.key()] = message.value()
    return latest


def _messages(message: object) -> int:
    """A frame says in a header how many messages it holds (adr/0006)."""
    headers = dict(message.headers() or ())  # type: ignore[attr-defined]
    return int(headers.get("postroom_messages", b"1"))


def _bytes(directory: Path, pattern: str) -> int:
    return sum(each.stat().st_size for each in directory.rglob(pattern) if each.is_file())
