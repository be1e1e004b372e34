"""Identity: one identifier's fragment, its person, and what it has said about its pairs (§7, I2, I6, R2, R3).

A stage with state by identifier. It sends a fragment's changes to its person's record, and to persons only
what can change who is one person. What an event says beside a new statement about a pair waits until persons
has answered (I6); what takes away never waits.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Literal

import msgspec

from processors.causes import NO_EVENT, Causes
from processors.consent import futile_grants
from processors.fragment import (
    Held,
    IdentityState,
    Latest,
    decode_state,
    encode_state,
    enrolment_key,
    grants,
    latest,
    objection_key,
    protects,
    restates,
    state_bytes,
    taken_away_bytes,
    takes_away,
)
from processors.messages import (
    FRAGMENTS_TOPIC,
    PAIRS_TOPIC,
    PERSON,
    PROTECTION,
    REPORTS_TOPIC,
    Claims,
    Departed,
    Fragment,
    Message,
    PairStatement,
    Part,
    Said,
    Told,
    decode_for_identity,
    encode,
    register_key,
)
from processors.opened import OpenRegisters
from processors.outcomes import Report
from processors.register import asserted, contradicts
from processors.rules import Rules
from processors.stage import Lookup, Notice, Outcome, Outgoing, Record, State, Step, Tally, by_key, keys_of

UNMATCHED_AFTER_MS = 3_600_000
"""An annulment that has found nothing for an hour is reported (R3)."""


class Identity:
    """The second stage: assertions and answers to fragments and claims."""

    name = "identity"
    rules_version: str | None = None

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return the identifiers that ``batch`` speaks of."""
        return keys_of(batch)

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Fold all messages of one identifier at a time, then say what changed."""
        step = Step()
        awake = frozenset(wakes)
        for key, values in by_key(batch, wakes).items():
            body = states(key)
            state = decode_state(body) if body is not None else self._new(key.decode())
            before = state.tally()
            folding = _Folding(self.rules, state, now_ms, step, len(body or b""))
            for value in values:
                folding.fold(decode_for_identity(value), len(value))
            folding.finish()
            step.tally(before, state.tally())
            kept = encode_state(state)
            if kept != body or key in awake:  # an event that comes twice is no reason to write
                step.states[key] = State(kept, state.next_wake())
        return step

    def tally(self, key: bytes, body: bytes) -> Tally:
        """Count what waits in one identifier's state."""
        return decode_state(body).tally()

    def _new(self, identifier: str) -> IdentityState:
        """An identifier of which nothing was said is a person by itself (I3)."""
        return IdentityState(identifier, self.rules.keys.person_id(identifier), (identifier,))


class _Folding:
    """One identifier during one step: its state, and what must be said about the change at the end."""

    def __init__(self, rules: Rules, state: IdentityState, now_ms: int, step: Step, size_bytes: int) -> None:
        self.rules, self.state, self.now_ms, self.step = rules, state, now_ms, step
        self.size_bytes = size_bytes
        """How large the state is, at most: what was taken in since it was measured is added."""
        self.annulled = set(state.annulled)
        self.causes = Causes()
        self.protective = False
        self.registers = OpenRegisters(state, self.causes, rules.limits, now_ms)
        self.changed: set[str] = set()
        self.claimed: dict[str, tuple[PairStatement, ...]] = {}
        self.was_restricted = state.stated_restricted()

    def fold(self, message: Said | Told, message_bytes: int) -> None:
        """Fold one message; what it takes away goes on at once, what it grants may wait (I6)."""
        self.causes.begin(message.cause)
        if isinstance(message, Told):
            self._hear(message)
            return
        if self.state.unmatched:
            self.state.unmatched.pop(f"{message.cause.source}\0{message.cause.id}", None)
        size_bytes, limits = state_bytes(message, message_bytes), self.rules.limits
        takes = takes_away(message)
        if takes:
            if not self._fits(taken_away_bytes(message, message_bytes), limits.fragment_bytes_max):
                self._close(message)
                return
            self._take_away(message)
        if grants(message) or not takes:
            if not self._fits(size_bytes, limits.fragment_bytes):
                size_bytes = self._grown_bytes(message, size_bytes)
            if self.size_bytes + size_bytes > limits.fragment_bytes:
                self._refuse(message, Report.FRAGMENT_FULL)
                return
        self.size_bytes += size_bytes
        self._claim(message)
        if not grants(message):
            return
        if (awaited := self._awaited()) <= self.state.answered:
            self._grant(message)
        elif all(held.said != message for held in self.state.held):
            self.state.held.append(Held(awaited, message))

    def _fits(self, size_bytes: int, limit_bytes: int) -> bool:
        """Whether so much more has room in the state (R8); it is measured only when that is in doubt."""
        if self.size_bytes + size_bytes > limit_bytes:
            self.registers.pack()
            self.size_bytes = len(encode_state(self.state))
        return self.size_bytes + size_bytes <= limit_bytes

    def _grown_bytes(self, said: Said, size_bytes: int) -> int:
        """By how much values let the state grow: what falls out of their registers makes room (R2)."""
        if not said.values or said.pairs or self._awaited() > self.state.answered:
            return size_bytes
        return sum(
            self.registers.grown_bytes(register_key(attribute, said.owner, said.item), asserted(said, value))
            for attribute, value in said.values
        )

    def _close(self, said: Said) -> None:
        """Share nothing of this identifier any more: what takes away cannot be remembered (R8)."""
        self._refuse(said, Report.FRAGMENT_OVERFULL)
        if not self.state.overfull:
            self.state.overfull = self.protective = self.causes.protective = True
            self._change(PROTECTION)

    def _refuse(self, said: Said, reason: Report) -> None:
        """Take in nothing more of an event, and say so to its source (R8)."""
        self.step.outcomes.append(Outcome(said.type, "refused", reason))
        self._report(reason, said.cause.source, said.cause.id)

    def _awaited(self) -> int:
        """The number of the question that persons must have answered before anything is granted (I6).

        Whatever an identifier says after a question waits behind it: granted before, a value would be seen
        under a person that no prefix of what was said gives.
        """
        return self.state.asked + 1 if self.claimed else self.state.asked

    def _take_away(self, said: Said) -> None:
        """Apply what protects: annulment, withdrawal, pause, objection, restriction, end of enrolment."""
        if protects(said):
            self.protective = self.causes.protective = True
            self._state(said)
        if said.annuls is not None:
            self._annul((said.cause.source, said.annuls))

    def _grant(self, said: Said) -> None:
        """Apply the rest: values, and statements that allow more than before."""
        if not protects(said):
            self._state(said)
        if (said.cause.source, said.cause.id) in self.annulled or said.expires <= self.now_ms:
            return
        reused = False
        for attribute, value in said.values:
            key = register_key(attribute, said.owner, said.item)
            assertion = asserted(said, value)
            reused = reused or contradicts(self.registers.opened(key), assertion)
            fallen = self.registers.add(key, assertion)
            if fallen:
                self.step.outcomes.append(Outcome(said.type, "bounded", "register-depth", fallen))
        if reused:
            self._report(Report.ID_REUSED, said.cause.source, said.cause.id)

    def _state(self, said: Said) -> None:
        """Keep a statement of §5: all consents, of the other kinds the latest (C1-C4)."""
        state = self.state
        if restates(state, said):
            self._report(Report.ID_REUSED, said.cause.source, said.cause.id)
        if said.consent is not None and said.consent not in state.consents:
            grace_ms = self.rules.limits.consent_grace_ms
            known_futile = futile_grants(state.consents, grace_ms)
            consents = list(state.consents)
            insort(consents, said.consent, key=encode)
            state.consents = tuple(consents)
            self._change(("consents", f"{said.consent.subscriber}\0{said.consent.purpose}"))
            for grant in sorted(futile_grants(consents, grace_ms) - known_futile, key=encode):
                self._report(Report.CONSENT_NEVER_STANDS, grant.source, grant.id)
        if (objection := said.objection) is not None:
            self._latest("objections", state.objections, objection_key(objection), objection)
        if (enrolment := said.enrolment) is not None:
            self._latest("enrolments", state.enrolments, enrolment_key(enrolment), enrolment)
        if said.restriction is not None:
            before = state.stated_restricted()
            latest(state.restrictions, said.restriction.owner, said.restriction)
            if state.stated_restricted() != before:
                self.causes.asking = self.causes.cause
                self.causes.changed(PROTECTION)

    def _latest(
        self, section: Literal["objections", "enrolments"], kept: dict[str, Latest], key: str, said: Latest
    ) -> None:
        """Keep a statement if it is the latest."""
        if latest(kept, key, said):
            self._change((section, key))

    def _change(self, part: Part) -> None:
        """Let the record know of a part that the event changed."""
        self.changed.add(part[0])
        self.causes.changed(part)

    def _annul(self, event: tuple[str, str]) -> None:
        """Remove an event's assertions and pair statements, now and whenever they come (R3)."""
        if event in self.annulled:
            return
        self.annulled.add(event)
        self.state.annulled = tuple(sorted(self.annulled))
        found = any((held.said.cause.source, held.said.cause.id) == event for held in self.state.held)
        found = self.registers.annul(self.annulled) or found
        for other, pair in self.state.pairs.items():
            kept_statements = tuple(s for s in pair.statements if (s.source, s.id) != event)
            found = found or len(kept_statements) != len(pair.statements)
            self._restate(other, kept_statements)
        if not found:
            self.state.unmatched["\0".join(event)] = self.now_ms + UNMATCHED_AFTER_MS

    def _claim(self, said: Said) -> None:
        """Keep what the event says of pairs, unless it is annulled (I2, R3)."""
        if (said.cause.source, said.cause.id) in self.annulled:
            return
        for kind, other in said.pairs:
            pair = self.state.pair(other)
            statement = PairStatement(said.time, said.cause.source, said.cause.id, kind)
            if statement not in pair.statements:
                self._restate(other, tuple(sorted((*pair.statements, statement))))

    def _restate(self, other: str, statements: tuple[PairStatement, ...], contested: bool = False) -> None:
        """Replace what this side says of a pair; ask persons if that shows (§7)."""
        pair = self.state.pair(other)
        before = pair.exposed()
        pair.statements = statements
        pair.contested = pair.contested or contested
        if (shown := pair.exposed()) != before:
            self.claimed[other] = shown
            self.causes.asking = self.causes.cause

    def _hear(self, told: Told) -> None:
        """Take over what persons says; release what waited for it, and move if the person is another."""
        state = self.state
        for other in told.contested:
            self._restate(other, state.pair(other).statements, contested=True)
        moved = told.person != state.person
        if moved and (state.housed or state.move > 0):
            # The keys that are this identifier travel from record to record, whether or not it said anything.
            state.move += 1
            self._send(
                Departed(state.person, state.identifier, state.move, told.person, told.merged, told.cause),
                state.person,
            )
            state.housed = False
        if (told.person, told.members, told.superseded) != (state.person, state.members, state.superseded):
            self._change(PERSON)
        if told.restricted != state.restricted:
            self._change(PROTECTION)
        state.person, state.members = told.person, told.members
        state.superseded, state.restricted = told.superseded, told.restricted
        state.answered = max(state.answered, told.answered)
        if self.claimed:
            return  # an unlink has come to light: what waits must wait for what that makes of the pair, too
        waiting, state.held = state.held, []
        for held in waiting:
            if held.awaited <= state.answered:
                self.causes.begin(held.said.cause)
                self._grant(held.said)
            else:
                state.held.append(held)

    def finish(self) -> None:
        """Erase what has expired (R7), then send what changed to persons and to the record."""
        self.causes.begin(NO_EVENT)
        self.registers.expire()
        self._report_unmatched()
        restricted = self.state.stated_restricted()
        if restricted != self.was_restricted:
            self.changed.add("protection")
        if self.claimed or restricted != self.was_restricted:
            self.state.asked += 1
            self._send(
                Claims(self.state.identifier, self.state.asked, self.claimed, restricted, self.causes.asking),
                None,
            )
        self._send_fragment()

    def _report_unmatched(self) -> None:
        """Report annulments that have found nothing for an hour, once (R3)."""
        for event, due_ms in list(self.state.unmatched.items()):
            if due_ms <= self.now_ms:
                del self.state.unmatched[event]
                self._report(Report.ANNULMENT_UNMATCHED, *event.split("\0", 1))

    def _report(self, report: Report, source: str, event_id: str) -> None:
        """Tell a department about an event of its own; the report names the event, nothing that it said."""
        body = {"report": report, "source": source, "id": event_id}
        key = source.encode()
        self.step.outgoing.append(Outgoing(REPORTS_TOPIC, key, msgspec.json.encode(body)))
        self.step.outcomes.append(Outcome("report", report))
        self.step.notices.append(Notice("reported", report, source, event_id))

    def _send_fragment(self) -> None:
        state = self.state
        if not state.housed and not state.is_worth_a_record():
            return
        whole = not state.housed
        registers = self.registers.to_send(whole)
        if not (whole or registers or self.changed):
            return
        state.housed = True

        told = {"consents", "objections", "enrolments"} if whole else self.changed
        cause, causes = self.causes.told(self.changed, registers)
        self._send(
            Fragment(
                state.person,
                state.identifier,
                state.move,
                whole,
                state.members,
                state.superseded,
                state.restricted or state.stated_restricted(),
                cause,
                registers,
                state.consents if "consents" in told else None,
                tuple(state.objections.values()) if "objections" in told else None,
                tuple(state.enrolments.values()) if "enrolments" in told else None,
                self.protective,
                state.overfull,
                causes,
            ),
            state.person,
        )

    def _send(self, message: Message, person: str | None) -> None:
        topic, key = (PAIRS_TOPIC, self.state.identifier) if person is None else (FRAGMENTS_TOPIC, person)
        self.step.outgoing.append(Outgoing(topic, key.encode(), encode(message)))
