"""The canary's round: publish as a department would, read as a subscriber would, and say how long it took.

What it says is about a citizen of Postroom's own making, under a contract, an identifier scheme, an attribute
and an agreement that nobody else has (docs/adr/0041), so it meets no real view.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from schemas import format_instant

AGREEMENT, OWNER, PURPOSE = "postroom-canary", "postroom", "canary"
BEAT, CONSENT = "uk.gov.canary.beat.v1", "uk.gov.canary.consent.v1"
ATTRIBUTE = "canary_beat"
EVENT_TO_VIEW, WITHDRAWAL_TO_RETRACTION = "event_to_view", "withdrawal_to_retraction"
STEPS = ("publish", "view", "retraction", "obligation")
"""Where a round may fail."""


class Seen(NamedTuple):
    """What the subscriber has read: a view, a retraction (no beat), or an obligation."""

    key: str
    beat: str | None = None
    obligation: str | None = None


class Failed(Exception):  # noqa: N818 - what became of a round
    """A round did not come to its end: at ``step``, and why as far as that is known."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__(step, why)
        self.step, self.why = step, why


class Backbone(Protocol):
    """What the canary does at the backbone's two ends."""

    def publish(self, line: bytes) -> None:
        """Publish one event and wait until the broker has it; Failed (publish)."""
        ...

    def acknowledge(self, line: bytes) -> None:
        """Say that an obligation is fulfilled; Failed (publish)."""
        ...

    def read(self, within_s: float) -> Seen | None:
        """Return what the subscriber reads next, None if nothing comes in time."""
        ...


@dataclass(frozen=True)
class Pace:
    """How often, and how long until it is late."""

    withdraw_every: int = 6
    patience_s: float = 30.0


class Canary:
    """One canary: :meth:`round` again and again; what it measured goes to ``measured``."""

    def __init__(
        self,
        name: str,
        backbone: Backbone,
        measured: Callable[[str, float], None],
        pace: Pace = Pace(),
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = re.sub(r"[^a-z0-9-]+", "-", name.lower())[:40] or "one"
        self._backbone, self._measured, self._pace = backbone, measured, pace
        self._now_ms, self._monotonic = now_ms, monotonic
        self._rounds = 0
        self._said_ms = 0
        self._granted: str | None = None
        """The citizen whose consent stands."""

    def round(self) -> None:
        """See one event become a view, and now and then a withdrawal its retraction; Failed."""
        self._rounds += 1
        citizen = self._citizen()
        if self._granted not in (None, citizen):
            self._decide(str(self._granted), "WITHDRAWN")  # an hour's citizen leaves nothing that is shown
            self._granted = None
        if self._granted is None:
            self._decide(citizen, "GRANTED")
            self._granted = citizen
        key = self._see_view(citizen)
        if self._rounds % self._pace.withdraw_every == 0:
            self._see_retraction(citizen, key)

    def leave(self) -> None:
        """Withdraw what is granted, so that no view stays that nobody keeps; Failed."""
        if self._granted is not None:
            self._decide(self._granted, "WITHDRAWN")
            self._granted = None

    def _see_view(self, citizen: str) -> str:
        began, beat = self._monotonic(), str(self._moment())
        self._say(BEAT, {"canary": citizen, "beat": beat})
        seen = self._await("view", lambda seen: seen.beat == beat)
        self._measured(EVENT_TO_VIEW, self._monotonic() - began)
        return seen.key

    def _see_retraction(self, citizen: str, key: str) -> None:
        began = self._monotonic()
        self._decide(citizen, "WITHDRAWN")
        self._granted = None
        retracted = obligation = None
        while retracted is None or obligation is None:
            step = "retraction" if retracted is None else "obligation"
            seen = self._await(step, lambda seen: seen.key == key and seen.beat is None)
            if seen.obligation is not None:
                obligation = seen.obligation
            elif retracted is None:
                retracted = seen
                self._measured(WITHDRAWAL_TO_RETRACTION, self._monotonic() - began)
        self._acknowledge(obligation)

    def _await(self, step: str, wanted: Callable[[Seen], bool]) -> Seen:
        deadline = self._monotonic() + self._pace.patience_s
        while (left_s := deadline - self._monotonic()) > 0:
            seen = self._backbone.read(left_s)
            if seen is not None and wanted(seen):
                return seen
        raise Failed(step, f"not within {self._pace.patience_s:g} s")

    def _decide(self, citizen: str, state: str) -> None:
        said = {"subscriber": OWNER, "purpose": PURPOSE, "categories": [], "state": state}
        self._say(CONSENT, {"canary": citizen, **said})

    def _say(self, type_: str, data: dict[str, Any]) -> None:
        self._backbone.publish(self._event(type_, data))

    def _acknowledge(self, obligation: str) -> None:
        self._backbone.acknowledge(
            self._event("uk.gov.postroom.obligation-acknowledged.v1", {"obligation": obligation})
        )

    def _event(self, type_: str, data: dict[str, Any]) -> bytes:
        moment = self._moment()
        event = {
            "specversion": "1.0",
            "id": f"{self._name}-{moment}",
            "source": f"urn:gov:{OWNER}:canary",
            "type": type_,
            "time": format_instant(moment),
            "data": data,
        }
        return json.dumps(event).encode()

    def _moment(self) -> int:
        """The time, never twice the same: of two statements at one moment the protective wins (§5)."""
        self._said_ms = max(self._said_ms + 1, self._now_ms())
        return self._said_ms

    def _citizen(self) -> str:
        """One an hour: consents are kept for ever, and a citizen's are read with each of its events."""
        moment = format_instant(self._now_ms())
        return f"{moment[:10].replace('-', '')}-{moment[11:13]}-{self._name}"
