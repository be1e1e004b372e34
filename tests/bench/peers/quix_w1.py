"""W1 on Quix Streams: four topics concatenated, one stateful apply, exactly once."""

from __future__ import annotations

import time
from typing import Any

from quixstreams import Application
from quixstreams.models import Deserializer, SerializationContext, Serializer

from tests.bench.peers.fold import Change, step
from tests.bench.peers.wire import BOOTSTRAP, GROUP, STATE, VIEW, attributes, decode, encode_view
from tests.bench.w1.terms import TOPICS


class Events(Deserializer):
    """Events of one kind, with their attributes."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __call__(self, value: bytes, ctx: SerializationContext) -> Any:
        return self.kind, decode(self.kind, value), *attributes(dict(ctx.headers))


class Views(Serializer):
    """The view of a change."""

    def __call__(self, value: Change, ctx: SerializationContext) -> bytes | None:
        return None if value[1] is None else encode_view(value[1])


def fold(event: Any, state: Any) -> list[Change]:
    """One step on the citizen's state."""
    citizen = state.get("citizen", {})
    changes = step(citizen, *event, time.time_ns() // 1_000_000)
    if changes is None:
        return []
    state.set("citizen", citizen)
    return changes


app = Application(
    BOOTSTRAP,
    consumer_group=GROUP,
    processing_guarantee="exactly-once",
    state_dir=STATE,
    auto_offset_reset="earliest",
    commit_interval=0.1,
    loglevel="WARNING",
    auto_create_topics=True,
    producer_extra_config={"linger.ms": 20, "compression.type": "none", "partitioner": "murmur2_random"},
)
frames = [app.dataframe(app.topic(topic, value_deserializer=Events(kind))) for kind, topic in TOPICS.items()]
frame = frames[0].concat(frames[1]).concat(frames[2]).concat(frames[3])
frame = frame.apply(fold, stateful=True, expand=True)
frame.to_topic(app.topic(VIEW, value_serializer=Views(), key_serializer="str"), key=lambda change: change[0])

if __name__ == "__main__":
    app.run()
