"""Frames between stages: what is packed comes out, bounded; what is garbled or nobody's is never stepped."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.engine.admission import admit
from processors.engine.counts import counted
from processors.engine.frames import BYTES_MAX, MESSAGES_MAX, FrameGarbled, Message, pack, unpack
from processors.engine.settings import EngineConfig
from processors.engine.transaction import Transactor
from processors.engine.trouble import SenderGap
from processors.history.decoding import Sent, read_sent
from processors.messages import OBLIGATIONS_TOPIC, Acknowledged, encode
from processors.stage import Headers, Outgoing, Record

TOPIC = "postroom.assertions"
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2).map(tuple)
MESSAGES = st.lists(st.tuples(st.binary(max_size=20), st.none() | st.binary(max_size=300), HEADERS))


class Fetched(NamedTuple):
    """A record as the client hands it over."""

    value: bytes | None
    headers: Headers
    topic: str = TOPIC
    partition: int = 2
    offset: int = 7
    timestamp: int = 1_000
    key: bytes | None = None


@given(MESSAGES)
def test_what_is_packed_comes_out_in_its_order(messages):
    """With tombstones and headers, and none of it twice."""
    frames = list(pack(messages))
    found = [message for count, packed in frames for message in unpack(packed, count, "here")]
    assert [(each.key, each.value, each.headers) for each in found] == messages
    assert all(0 < count <= MESSAGES_MAX for count, _ in frames)


@pytest.mark.parametrize(
    ("sizes", "frames"),
    [
        ([], []),
        ([1] * (2 * MESSAGES_MAX + 1), [MESSAGES_MAX, MESSAGES_MAX, 1]),
        ([BYTES_MAX - 1], [1]),
        ([BYTES_MAX // 2 - 1, BYTES_MAX // 2 - 1, 1], [2, 1]),
        ([5, 3 * BYTES_MAX, 5], [1, 1, 1]),
    ],
)
def test_a_frame_is_bounded_in_messages_and_bytes(sizes, frames):
    """But a single greater message is a frame of its own."""
    messages = [(b"k", b"x" * size, ()) for size in sizes]
    assert [count for count, _ in pack(messages)] == frames


@pytest.mark.parametrize(
    ("packed", "count"),
    [
        (None, 1),
        (b"", 1),
        (b"\xc1garbage", 1),
        (b"\x91\x91\xc4\x01k", 1),  # a message without a value
        (next(pack([(b"k", b"v", ())]))[1], 2),
        (next(pack([(b"k", b"v", ())]))[1] + b"\x00", 1),
    ],
)
def test_a_garbled_frame_is_refused_without_a_byte_of_it(packed, count):
    """It names a task as its sender, so something of ours is wrong: going on would lose what it held."""
    with pytest.raises(FrameGarbled, match=r"^here: ") as refused:
        unpack(packed, count, "here")
    assert "garbage" not in str(refused.value)


def frames_of(*messages: tuple[bytes, bytes], sent: dict[int, int]) -> list[Fetched]:
    """Records as intake-0 writes them to partition 2."""
    unframed = [(key, value, ()) for key, value in messages]
    return [Fetched(packed, counted(b"intake-0", sent, 2, count, 400)) for count, packed in pack(unframed)]


def test_admitted_are_the_messages_of_frames_with_the_place_and_time_of_their_record():
    """And the counts of all of them are taken."""
    seen: dict[str, dict[str, int]] = {}
    messages, foreign, _ = admit(frames_of((b"a", b"1"), (b"b", b"2"), sent={}), {TOPIC}, seen)
    assert messages == [
        Record(TOPIC, 2, 7, 1_000, b"a", b"1", ()),
        Record(TOPIC, 2, 7, 1_000, b"b", b"2", ()),
    ]
    assert (foreign, seen) == (0, {TOPIC: {"intake-0": 2}})


def test_a_department_s_record_is_taken_as_it_is():
    """Whatever its headers claim."""
    record = Fetched(b"v", counted(b"intake-0", {}, 2, 9, 400), topic="uk.gov.x.v1", key=b"k")
    messages, foreign, since_ms = admit([record], {TOPIC}, {})
    assert messages == [Record("uk.gov.x.v1", 2, 7, 1_000, b"k", b"v", record.headers)]
    assert (foreign, since_ms) == (0, 1_000)


def test_what_no_task_wrote_is_left_out_and_counted():
    """Also when it looks like a frame."""
    (frame,) = frames_of((b"a", b"1"), sent={})
    seen: dict[str, dict[str, int]] = {}
    strangers = [frame._replace(headers=()), frame._replace(headers=frame.headers[1:])]
    admitted = admit([*strangers, frame], {TOPIC}, seen)
    assert [message.key for message in admitted.messages] == [b"a"]
    assert admitted.foreign == 2


def test_the_oldest_event_behind_a_batch_tells_since_when_it_waits():
    """Of a frame from before that was said, when it was written; of what nobody wrote, nothing."""
    sent: dict[int, int] = {}
    said, unsaid = (frames_of((key, b"1"), sent=sent)[0] for key in (b"a", b"b"))
    before = unsaid._replace(headers=unsaid.headers[:3], timestamp=300)
    assert admit([said, before], {TOPIC}, {}).since_ms == 300
    assert admit([said], {TOPIC}, {}).since_ms == 400
    assert admit([said._replace(headers=())], {TOPIC}, {}).since_ms is None


@pytest.mark.parametrize("lost", [0, 1])
def test_a_frame_that_is_lost_or_comes_again_stops_the_receiver(lost):
    """The count jumps by as many as it held."""
    sent: dict[int, int] = {}
    first, second = (frames_of((b"a", b"1"), (b"b", b"2"), sent=sent)[0] for _ in range(2))
    fetched = [second] if lost else [first, first]
    with pytest.raises(SenderGap, match="missing" if lost else "repeat"):
        admit(fetched, {TOPIC}, {})


def test_a_garbled_frame_stops_the_receiver_and_says_where():
    """As a message that cannot be decoded does."""
    (frame,) = frames_of((b"a", b"1"), sent={})
    with pytest.raises(FrameGarbled, match=r"postroom\.assertions-2, offset 7"):
        admit([frame._replace(value=b"x")], {TOPIC}, {})


def test_who_checks_a_history_reads_the_messages_of_a_frame_and_the_counts_they_take():
    """One that is garbled has counts and no messages."""
    messages = [Acknowledged("obligation", "subscriber", at) for at in (1, 2)]
    packed = [(b"k", encode(message)) for message in messages]
    frame = frames_of(*packed, sent={2: 40})[0]
    record = Record(OBLIGATIONS_TOPIC, 2, 7, 1_000, None, frame.value, frame.headers)
    assert read_sent(record) == Sent("intake-0", 41, 42, tuple(messages))
    assert read_sent(record._replace(value=b"x")) == Sent("intake-0", 41, 42, None)
    assert read_sent(record._replace(headers=())) is None


async def _routed(outgoing: list[Outgoing], sent: dict[str, dict[int, int]]):
    transactor = Transactor(EngineConfig("", None, internal_topics=frozenset({TOPIC})), "id", "intake-0")
    transactor._partitions = {TOPIC: 1, "view.a": 1}
    return await transactor.routed(outgoing, sent, since_ms=400)


def test_only_what_goes_to_another_stage_is_framed():
    """Strangers read the other topics, one record for each message, with its own key and headers."""
    sent: dict[str, dict[int, int]] = {}
    outgoing = [
        Outgoing(TOPIC, b"a", b"1"),
        Outgoing("view.a", b"v", b"2", (("h", b"x"),)),
        Outgoing(TOPIC, b"b", None),
    ]
    routed = asyncio.run(_routed(outgoing, sent))
    assert list(routed["view.a", 0]) == [(b"v", b"2", (("h", b"x"),))]
    ((key, packed, headers),) = routed[TOPIC, 0]
    assert (key, unpack(packed, 2, "here")) == (None, [Message(b"a", b"1"), Message(b"b", None)])
    assert dict(headers) == {
        "postroom_sender": b"intake-0",
        "postroom_count": b"1",
        "postroom_messages": b"2",
        "postroom_since": b"400",
    }
    assert sent == {TOPIC: {0: 2}}
