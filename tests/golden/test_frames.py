"""Yesterday's frames are read for ever: a topic holds them for days after an upgrade (docs/adr/0006)."""

from __future__ import annotations

from processors.engine.counts import counted, origin_of
from processors.engine.frames import Message, pack, unpack

MESSAGES = [(b"nino:AB123456C", b"\x93\x01", ()), (b"p-1", None, (("traceparent", b"00-1"),))]
FRAME = bytes.fromhex(
    "9293c40e6e696e6f3a414231323334353643c40293019093c403702d31c09192ab7472616365706172656e74c40430302d31"
)
HEADERS = (
    ("postroom_sender", b"identity-3"),
    ("postroom_count", b"41"),
    ("postroom_messages", b"2"),
    ("postroom_since", b"1795860000000"),
)


def test_a_frame_is_these_bytes():
    """And these are its messages."""
    assert list(pack(MESSAGES)) == [(2, FRAME)]
    assert unpack(FRAME, 2, "here") == [Message(*message) for message in MESSAGES]


def test_a_frame_s_headers_are_these():
    """Names and numbers are text that any tool shows."""
    assert counted(b"identity-3", {3: 40}, 3, 2, 1_795_860_000_000) == HEADERS
    assert origin_of(HEADERS) == ("identity-3", 41, 2, 1_795_860_000_000)
    assert origin_of(HEADERS[:3]) == ("identity-3", 41, 2, None)  # as they were before that was said
