r"""What a changelog holds: key → wake and state, and one record of the task's own memory.

A value is an 8-byte big-endian moment (0: no wake) and the stage's body, so that the wakes of a million keys
are rebuilt without decoding one of them (V8). A null value deletes. The key ``\0task`` holds
:class:`TaskMemory`; no key of a stage begins with a zero byte.
"""

from __future__ import annotations

import struct
from uuid import uuid4

import msgspec

from processors.stage import State

TASK_KEY = b"\0task"
_WAKE = struct.Struct(">Q")
WAKE_BYTES = _WAKE.size


def pack_state(state: State) -> bytes:
    """Encode a state as a changelog value; a wake before the epoch is one that is due."""
    wake = state.wake_ms
    return _WAKE.pack(0 if wake is None else max(wake, 1)) + state.body


def wake_of(packed: bytes) -> int:
    """Return the wake moment of a changelog value, 0 for none."""
    moment: int = _WAKE.unpack_from(packed)[0]
    return moment


def body_of(packed: bytes) -> bytes:
    """Return the stage's own bytes of a changelog value."""
    return packed[WAKE_BYTES:]


class Sweep(msgspec.Struct):
    """How far a sweep has come (V9): every key up to and including ``cursor``, ``done`` of them."""

    version: str | None
    cursor: bytes = b""
    done: int = 0


class TaskMemory(msgspec.Struct):
    """What a task must not forget, committed with every step.

    ``log`` names this changelog, so that a local store of an earlier one is recognised. ``positions`` says
    where the task reads on, ``told`` what of that the group was told last, in the same transaction (brokers
    forget it after a week without members). ``sent`` counts what was written to each destination partition,
    ``seen`` what was read from each sender, both by topic. ``tallies`` is what the states of this task hold
    together, as ``tallied`` says how (``tallies.py``).
    """

    log: str = msgspec.field(default_factory=lambda: uuid4().hex)
    now_ms: int = 0
    positions: dict[str, int] = {}
    told: dict[str, int] = {}
    sent: dict[str, dict[int, int]] = {}
    seen: dict[str, dict[str, int]] = {}
    swept: str | None = None
    sweep: Sweep | None = None
    tallied: int = 0
    tallies: dict[str, int] = {}

    def encode(self) -> bytes:
        """Return a changelog value: no wake, and JSON that an operator can read."""
        return _WAKE.pack(0) + _encoder.encode(self)


def decode_memory(packed: bytes) -> TaskMemory:
    """Return the memory that :meth:`TaskMemory.encode` wrote."""
    return _decoder.decode(packed[WAKE_BYTES:])


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TaskMemory)
