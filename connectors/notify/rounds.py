"""Round after round: takes in what the disclosure log says, and sends the notices that are due, one by one.

What is between them is the journal. So a round may end anywhere, and the next one, of whatever process, goes
on: what was read is known, and what may have been sent is asked of GOV.UK Notify before it is sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from connectors.backoff import ceiling_s
from connectors.log_line import say
from connectors.notify import metrics
from connectors.notify.facts import Entry, NotAnEntry, read_entry
from connectors.notify.journal import REFUSED, SENT, UNKNOWN, UNREACHED, Journal, Owed
from connectors.notify.letterbox import Answer, Outcome
from connectors.notify.pace import Pace, day_of, until_midnight_s
from connectors.notify.plan import Plan
from connectors.trouble import Trouble

ADDRESS_AGAIN_S = 30.0
HELD_S = 60.0
"""How long everything waits after GOV.UK Notify did not let us in, or said that we ask too often."""


class LogRecord(NamedTuple):
    """One record of the disclosure log."""

    partition: int
    offset: int
    value: bytes | None


class Log(Protocol):
    """The disclosure log, read committed, from where it was told to."""

    def read(self) -> Sequence[LogRecord]:
        """Return what comes next, in order of each partition; nothing when nothing came. Unreachable."""


class Addresses(Protocol):
    """The notifier's own view topic."""

    def of(self, key: str) -> str | None:
        """Return the address under a key as it is at the time of the question; Unreachable."""


class Post(Protocol):
    """GOV.UK Notify, see `Letterbox`."""

    def send(self, address: str, template: str, reference: str, words: dict[str, str]) -> Answer: ...
    def has(self, reference: str) -> bool | None: ...


class Rounds:
    """Tells people what is theirs to know."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        log: Log,
        addresses: Addresses,
        post: Post,
        pace: Pace,
        now_s: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self._plan, self._journal, self._log, self._addresses = plan, journal, log, addresses
        self._post, self._pace, self._now_s, self._chance = post, pace, now_s, chance

    def round(self, most: int = 100) -> int:
        """Read what there is, send what may be sent now; return how many attempts were made."""
        self._read()
        for attempts in range(most):
            owed = self._journal.next(self._now_s())
            day = day_of(self._now_s())
            if owed is None or self._pace.wait_s(self._journal.sent_on(day), self._now_s()) > 0:
                return attempts
            self._serve(owed, day)
        return most

    def _read(self) -> None:
        records = [(each.partition, each.offset, _entry(each)) for each in self._log.read()]
        if not records:
            return
        kinds, told_of = frozenset(self._plan.templates), frozenset(self._plan.purposes)
        for kind in self._journal.take(records, self._plan.agreement, told_of, kinds, self._now_s()):
            metrics.NOTICES.labels(kind).inc()

    def _serve(self, owed: Owed, day: str) -> None:
        reference, now_s = owed.notice.reference, self._now_s()
        if owed.state == UNKNOWN:
            has = self._post.has(reference)
            if has is None:
                self._journal.again(reference, "not-found-out", self._later_s(owed), unknown=True)
                return
            if has:
                self._counted(Outcome.SENT)
                self._journal.settle(reference, SENT)
                return
        # INVARIANT: asked now. An address that was taken back is not written to, not even a moment later.
        key = self._journal.key_of(owed.notice.person)
        address = None if key is None else self._addresses.of(key)
        template = self._plan.templates.get(owed.notice.kind)
        if address is None or template is None:
            if now_s - owed.since_s >= self._plan.contact_within_s:
                self._journal.settle(reference, UNREACHED, "no-address")
            else:
                self._journal.again(reference, "no-address", now_s + ADDRESS_AGAIN_S, unknown=False)
            return
        self._journal.trying(reference, day, now_s + self._plan.unknown_wait_s)
        self._pace.spend()
        self._answered(owed, self._post.send(address, template, reference, self._words(owed)))

    def _words(self, owed: Owed) -> dict[str, str]:
        """What a template may say: who received, for what, by which agreement, when; no value."""
        notice = owed.notice
        return {
            "subscriber": notice.subscriber,
            "purpose": self._plan.purposes.get(notice.agreement, ""),
            "agreement": notice.agreement,
            "time": notice.time,
        }

    def _answered(self, owed: Owed, answer: Answer) -> None:
        reference, now_s = owed.notice.reference, self._now_s()
        self._counted(answer.outcome)
        match answer.outcome:
            case Outcome.SENT:
                self._journal.settle(reference, SENT)
            case Outcome.REFUSED:
                self._journal.settle(reference, REFUSED, answer.why)
                say("notice-refused", reference=reference, why=answer.why)
            case Outcome.MISCONFIGURED:
                self._journal.again(reference, answer.why, self._later_s(owed), unknown=False)
                say("notices-misconfigured", why=answer.why, mend="check template, service and key")
            case Outcome.NOT_LET_IN | Outcome.RATE_LIMITED:
                self._pace.hold(HELD_S)
                self._journal.again(reference, answer.why, now_s, unknown=False)
                say("notices-held", why=answer.outcome, seconds=HELD_S)
            case Outcome.DAY_IS_FULL:
                self._pace.hold(until_midnight_s(now_s))
                self._journal.again(reference, answer.why, now_s, unknown=False)
                say("notices-held", why=answer.outcome, until="midnight")
            case _:
                later_s = max(self._later_s(owed), now_s + self._plan.unknown_wait_s)
                self._journal.again(reference, answer.why, later_s, unknown=True)

    def _later_s(self, owed: Owed) -> float:
        """Exponentially later, somewhere in the second half of that time."""
        most_s = ceiling_s(owed.attempts + 1, self._plan.pause_s_max)
        return self._now_s() + self._chance.uniform(most_s / 2, most_s)

    @staticmethod
    def _counted(outcome: Outcome) -> None:
        metrics.ATTEMPTS.labels(outcome.value).inc()


def _entry(record: LogRecord) -> Entry:
    try:
        return read_entry(record.value)
    except NotAnEntry:
        raise Trouble(
            "a record of the disclosure log is no entry",
            where=f"partition {record.partition}, offset {record.offset}",
            why="only workers write there, so this one or the log is damaged",
            mend="`postroom history verify` says what else is",
        ) from None
