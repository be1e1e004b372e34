"""What became of each dead letter: asked for by a person, decided by intake, told by two topics (E7).

A request names a letter's record and holds nothing of it. Intake answers each request with one decision, in
the transaction of what follows from it, so a crash leaves either both or neither. Whether a letter is open
is not stored: it follows from the decisions about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from processors.messages import DEAD_LETTERS_TOPIC

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Result(StrEnum):
    """What intake decided about one request."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"
    STILL_REJECTED = "still-rejected"
    GONE = "gone"
    UNREADABLE = "unreadable"


CLOSING = frozenset({Result.REPLAYED, Result.DISCARDED})
"""After these nothing is left to do. What is gone stays open: an event is missing until somebody says why
that is right."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter: which record was rejected and why, never what it holds. Times in UTC ms."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    reason: str = ""
    type: str | None = None
    source: str | None = None
    id: str | None = None

    @property
    def place(self) -> str:
        """The rejected record, as `topic/partition/offset`: how a person and a request name the letter."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants done about a letter, who that is and why; nothing about a citizen."""

    topic: Words
    partition: Count
    offset: Count
    action: Literal["replay", "discard"]
    by: Words
    why: Words

    @property
    def place(self) -> str:
        """The letter that it is about."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What intake did about one request, which is named by its place on the topic of requests.

    `at_ms` is the broker's timestamp of the request: the time of the replay. A replayed event is named as
    the message that it became is: `type`, `source`, `id` and `stamp_ms` (of an acknowledgement the topic,
    the subscriber, the obligation and the subscriber's own time).
    """

    request_partition: int
    request_offset: int
    at_ms: int
    result: Result
    topic: str = ""
    partition: int = -1
    offset: int = -1
    reason: str = ""
    by: str = ""
    why: str = ""
    type: str | None = None
    source: str | None = None
    id: str | None = None
    stamp_ms: int = 0

    @property
    def place(self) -> str:
        """The letter that it is about."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def read_request(value: bytes | None) -> Request | None:
    """Read a request; None for what is none, which intake answers as unreadable."""
    try:
        return msgspec.json.decode(value or b"", type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_letter(value: bytes | None) -> Letter:
    """Read a dead letter; msgspec.DecodeError for what intake has not written."""
    return msgspec.json.decode(value or b"", type=Letter)


def read_decision(value: bytes | None) -> Decision:
    """Read a decision; msgspec.DecodeError for what intake has not written."""
    return msgspec.json.decode(value or b"", type=Decision)


def read_either(topic: str, value: bytes | None) -> Letter | Decision | None:
    """Read a record of the letters' topic or of the decisions'; None for what intake has not written.

    Who looks must not fail at three in the morning over what somebody else wrote there: on a cluster without
    permissions anybody may. A decision that is passed over leaves its letter open.
    """
    try:
        return read_letter(value) if topic == DEAD_LETTERS_TOPIC else read_decision(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Standing(msgspec.Struct, frozen=True):
    """A letter with all that was decided about it, earliest first."""

    letter: Letter
    decisions: tuple[Decision, ...] = ()

    @property
    def state(self) -> str:
        """`open`, or the result that closed it; a later try changes nothing of that."""
        return next((each.result.value for each in self.decisions if each.result in CLOSING), "open")

    @property
    def tried(self) -> str:
        """What the last try came to while the letter is open: `gone`, or why it is still rejected."""
        if self.state != "open" or not self.decisions:
            return ""
        last = self.decisions[-1]
        return last.reason or last.result.value


def standings(letters: Iterable[Letter], decisions: Iterable[Decision]) -> list[Standing]:
    """Put letters and decisions together, oldest letter first; a decision without its letter is left out.

    Order and repetition of the input do not matter (R6): a letter is kept for 90 days, a decision for ever.
    """
    about: dict[str, dict[tuple[int, int], Decision]] = {}
    for decision in decisions:
        about.setdefault(decision.place, {})[decision.request_partition, decision.request_offset] = decision
    known = {letter.place: letter for letter in letters}
    found = [
        Standing(
            letter,
            tuple(
                sorted(
                    about.get(place, {}).values(),
                    key=lambda each: (each.at_ms, each.request_partition, each.request_offset),
                )
            ),
        )
        for place, letter in known.items()
    ]
    return sorted(found, key=lambda each: (each.letter.timestamp_ms, each.letter.place))


def encode_json(content: Any) -> bytes:
    """Write a request or a decision for its topic."""
    return msgspec.json.encode(content)
