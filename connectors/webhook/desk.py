"""What an endpoint's courier decides: what goes next, what an answer means for what is left, when to stop.

No network and no waiting: it is told what happened and when, writes it into the journal, and says what may be
done now. The same decisions are driven by the courier, and by a test in every order that can happen.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from hashlib import sha256

from connectors.backoff import pause_s
from connectors.log_line import say
from connectors.view_topics import Change
from connectors.webhook import metrics
from connectors.webhook.answers import Answer, Outcome
from connectors.webhook.endpoints import Endpoint
from connectors.webhook.envelope import sequence_of
from connectors.webhook.handshake import Granted, Pace, Withheld
from connectors.webhook.journal import ACTIVE, DISABLED, PARKED, Journal
from connectors.webhook.outbox import Outbox, Parcel
from connectors.webhook.reader import Reader, StartOver

AGREED_FOR_MS = 24 * 3_600_000
"""How long a receiver's permission holds before it is asked again."""
RECORDS_MAX, BYTES_MAX = 1_000, 16 * 1_048_576
PROBE_AFTER = 3
"""Failures in a row, of whatever keys, after which one request at a time tells whether it is back."""
LOOK_S = 1.0
"""How soon an operator's release is noticed."""
AS_FAST_AS_WE_LIKE = 10**9

Readers = Callable[[Outbox], list[Reader]]
"""Makes the readers of an endpoint's agreements, which fill this outbox."""

IsReplaced = Callable[[str, Change], bool | None]
"""Tells of an agreement's view whether a later record of its key is known; None while nothing is known."""


class Desk:
    """One life of an endpoint: from the journal to the next time that it must begin from there."""

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        readers: Readers,
        is_replaced: IsReplaced,
        chance: random.Random,
        monotonic_s: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.endpoint, self.name = endpoint, endpoint.name
        self._journal, self._is_replaced, self._chance = journal, is_replaced, chance
        self._monotonic_s, self._now_ms = monotonic_s, now_ms
        self.standing = journal.begin(self.name, now_ms())
        self.outbox = Outbox(RECORDS_MAX, BYTES_MAX)
        self.readers = readers(self.outbox)
        self._reader_of = {reader.agreement: reader for reader in self.readers}
        self._resting_until_s = 0.0
        self._set_pace(self.standing.rate)

    # -- what may be done now --------------------------------------------------------------------------

    def look(self) -> bool:
        """See what an operator did; whether that changed how it stands. StartOver when it was released."""
        found = self._journal.begin(self.name, self._now_ms())
        if found.releases != self.standing.releases:
            raise StartOver("an operator released it")
        changed = found.state != self.standing.state
        if changed:
            self.standing = found
        self._show()
        return changed

    def waiting_for(self) -> list[str]:
        """Name what its readers wait for; one who is stopped waits for an operator, which is no matter of
        being ready.
        """
        if self.standing.state != ACTIVE:
            return []
        return [what for reader in self.readers for what in reader.waiting_for()]

    @property
    def may_send(self) -> bool:
        """Whether one more request may leave."""
        now_s = self._monotonic_s()
        most = 1 if self.standing.failures >= PROBE_AFTER else self.endpoint.in_flight_max
        return (
            self.standing.state == ACTIVE
            and self.outbox.in_flight < most
            and now_s >= self._resting_until_s
            and now_s >= self._pace.next_s
        )

    @property
    def must_ask(self) -> bool:
        """Whether the receiver must be asked for permission before anything more is sent."""
        fresh = self._now_ms() - self.standing.agreed_ms < AGREED_FOR_MS
        return self.standing.agreed_with != agreed_with(self.endpoint) or not fresh

    def next(self) -> Parcel | None:
        """Return what is sent next; None when nothing is now. It counts as perhaps received from here on."""
        while (parcel := self.outbox.next(self._monotonic_s())) is not None:
            if self._may_go(parcel):
                break
        else:
            return None
        self._pace.take(self._monotonic_s())
        if not parcel.has_vanished:  # else it is known already, and must stay what it is
            agreement, key = parcel.place
            number = 0 if parcel.is_retraction else self._reader_of[agreement].number
            self._journal.sending(self.name, agreement, key, sequence_of(parcel.change), number)
        return parcel

    def _may_go(self, parcel: Parcel) -> bool:
        """Tell whether a change may leave; what may not is passed over, or put off.

        INVARIANT: a view that is known to be retracted does not leave, however long it lay here (V1). While
        that is not known it waits; a retraction discloses nothing and never waits.
        """
        replaced = not parcel.is_retraction and self._is_replaced(parcel.place.agreement, parcel.change)
        if replaced is None:
            self.outbox.put_off(parcel, self._monotonic_s() + LOOK_S)
        elif replaced:
            self.outbox.passed_over(parcel)
        return replaced is False

    def idle_s(self) -> float:
        """How long nothing can happen unless something comes."""
        now_s = self._monotonic_s()
        moments = (self._resting_until_s, self._pace.next_s, self.outbox.wake_s() or 0.0)
        return max(0.001, min((at - now_s for at in moments if at > now_s), default=LOOK_S))

    # -- what happened ---------------------------------------------------------------------------------

    def delivered(self, parcel: Parcel) -> None:
        """The receiver has it."""
        self.outbox.delivered(parcel)
        (agreement, key), now_ms = parcel.place, self._now_ms()
        if parcel.has_vanished:
            self._journal.retracted_vanished(self.name, agreement, key)
        else:
            positions = self._reader_of[agreement].low_water()
            retracted_ms = now_ms if parcel.is_retraction else None
            sequence = sequence_of(parcel.change)
            self._journal.delivered(self.name, agreement, key, sequence, positions, retracted_ms)
        if parcel.is_retraction:
            metrics.RETRACTIONS.labels(self.name).inc()
        late_s = max(0, now_ms - parcel.change.timestamp_ms) / 1000
        metrics.LATENCY_SECONDS.labels(self.name).observe(late_s)
        if self.standing.failures >= PROBE_AFTER:
            say("webhook-is-back", endpoint=self.name)
        self.standing = self.standing._replace(failures=0)

    def failed(self, parcel: Parcel, answer: Answer) -> None:
        """Let the key wait, and the endpoint too if it is not only this key; at last park it."""
        most_s = self.endpoint.pause_s_max
        wait_s = pause_s(parcel.failures + 1, most_s, self._chance, answer.retry_after_s)
        failures = self.outbox.failed(parcel, self._monotonic_s() + wait_s)
        if answer.outcome is Outcome.GONE:
            self._stop(DISABLED, "it answered 410 Gone")
            return
        self._count(answer)
        if failures >= self.endpoint.park_after:
            self._stop(PARKED, f"one key failed {failures} times in a row: {_said(answer)}")

    def granted(self, granted: Granted) -> None:
        """The receiver permits to be sent to, at its rate."""
        self._journal.agree(self.name, agreed_with(self.endpoint), granted.rate, self._now_ms())
        failures = self.standing.failures
        self.standing = self._journal.begin(self.name, self._now_ms())._replace(failures=failures)
        self._set_pace(granted.rate)
        say("webhook-permitted", endpoint=self.name, rate=granted.rate)

    def withheld(self, withheld: Withheld) -> None:
        """It does not, or could not be asked: it is asked again later, and at last parked."""
        answer = withheld.answer
        if answer.outcome is Outcome.GONE:
            self._stop(DISABLED, "it answered 410 Gone")
            return
        if self.standing.failures == 0:
            say("webhook-not-permitted", endpoint=self.name, why=withheld.why)
        failures = self.standing.failures + 1
        self._rest(pause_s(failures, self.endpoint.pause_s_max, self._chance, answer.retry_after_s))
        self._count(answer, withheld.why)

    def _count(self, answer: Answer, why: str = "") -> None:
        """Count a failure of the endpoint; let it rest if it fails for everybody, or asked for that."""
        failures = self.standing.failures + 1
        self.standing = self.standing._replace(failures=failures)
        self._journal.failed(self.name, failures, why or _said(answer))
        self._rest(answer.retry_after_s or 0.0)
        if failures >= PROBE_AFTER:
            self._rest(pause_s(failures - PROBE_AFTER + 1, self.endpoint.pause_s_max, self._chance))
        if failures == PROBE_AFTER:
            say("webhook-fails", endpoint=self.name, outcome=answer.outcome.value, status=answer.status)
        if failures >= self.endpoint.park_after:
            self._stop(PARKED, f"{failures} failures in a row: {why or _said(answer)}")

    def _rest(self, seconds: float) -> None:
        self._resting_until_s = max(self._resting_until_s, self._monotonic_s() + seconds)

    def _set_pace(self, rate: int | None) -> None:
        self._pace = Pace(min(self.endpoint.requests_per_minute, rate or AS_FAST_AS_WE_LIKE))

    def _stop(self, state: str, why: str) -> None:
        if self.standing.state == ACTIVE:
            self._journal.stop(self.name, state, why, self._now_ms())
            self.standing = self.standing._replace(state=state, why=why)
            say("webhook-stopped", endpoint=self.name, state=state, why=why)

    def _show(self) -> None:
        metrics.STOPPED.labels(self.name).set(self.standing.state != ACTIVE)
        metrics.OWED.labels(self.name).set(self.outbox.records)
        oldest_ms = self.outbox.oldest_ms()
        age_ms = 0 if oldest_ms is None else self._now_ms() - max(oldest_ms, self.standing.begun_ms)
        metrics.OLDEST_SECONDS.labels(self.name).set(max(0, age_ms) / 1000)


def agreed_with(endpoint: Endpoint) -> str:
    """Name what a permission is for: this address, this origin, this rate."""
    text = f"{endpoint.url}\n{endpoint.origin}\n{endpoint.requests_per_minute}"
    return sha256(text.encode()).hexdigest()


def _said(answer: Answer) -> str:
    said = answer.outcome.value if answer.status is None else f"{answer.outcome.value} ({answer.status})"
    return said if answer.retry_after_s is None else f"{said}, asks for {round(answer.retry_after_s)} s"
