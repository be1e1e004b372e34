"""Record: one person's fragments, folded, decided and disclosed (§7, I6, C6, V1-V5).

A stage with state by person. After the messages of a step it asks, for each agreement, what the subscriber
may see now, compares that with what the subscriber has, and writes the difference.
"""

from __future__ import annotations

from collections.abc import Sequence

from processors.bearing import Bearing, Change, matters_of
from processors.citizen_state import (
    Handover,
    RecordState,
    Sent,
    decode_record,
    encode_record,
    gathered,
    remembered,
)
from processors.concern import Concern, Matter
from processors.decision import PAIRWISE, Decision, Question, decide_closed, may_permit, summary
from processors.disclosure import TIME_PASSED, Discloser
from processors.golden import (
    Citizen,
    PersonFragment,
    consents_moments,
    fold,
    is_complete,
    moments_of,
    next_moment,
)
from processors.messages import (
    FRAGMENTS_TOPIC,
    NO_ENTRIES,
    Departed,
    Fragment,
    Released,
    decode_for_record,
    encode,
    entries_of,
)
from processors.outcomes import Denial, Retraction
from processors.rules import Rules
from processors.settlement import Settlement
from processors.stage import Lookup, Outcome, Outgoing, Record, State, Step, Tally, by_key, keys_of
from processors.view import project
from schemas import Agreement, ViewCodec


class Records:
    """The fourth stage: fragments to views, retractions, obligations and disclosures."""

    name = "record"

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.rules_version: str | None = rules.version
        self.codecs = {name: ViewCodec(a, rules.contracts) for name, a in rules.agreements.items()}
        self.concern = Concern(rules.agreements)

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return the persons that ``batch`` speaks of."""
        return keys_of(batch)

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Fold all messages of one person at a time; decide once, or once more at each departure."""
        step = Step()
        awake = set(wakes)
        for key, values in by_key(batch, wakes).items():
            body = states(key)
            state = decode_record(body) if body is not None else RecordState(key.decode())
            before = state.tally()
            folding = _Folding(self, state, now_ms, step)
            if state.wake_ms is not None and state.wake_ms <= now_ms:
                folding.discloser.moment_ms = state.wake_ms
            if key in awake or folding.discloser.moment_ms is not None:
                # INVARIANT: a moment that has passed concerns everybody, whether or not its wake has come.
                folding.touched, folding.timed = None, True
            for value in values:
                folding.fold(decode_for_record(value))
            folding.decide()
            state.wake_ms = folding.next_wake()
            whole = not state.fragments or is_complete(state.fragments)
            state.incomplete_since_ms = 0 if whole else state.incomplete_since_ms or now_ms
            step.tally(before, state.tally())
            step.states[key] = State(encode_record(state), state.wake_ms)
        return step

    def tally(self, key: bytes, body: bytes) -> Tally:
        """Count one record if it is not complete."""
        return decode_record(body).tally()


class _Folding:
    """One person during one step."""

    def __init__(self, stage: Records, state: RecordState, now_ms: int, step: Step) -> None:
        self.rules, self.concern = stage.rules, stage.concern
        self.state, self.now_ms, self.step = state, now_ms, step
        self.discloser = Discloser(stage.rules, stage.codecs, state, step, now_ms)
        self.settlement = Settlement(stage.rules, state, self.discloser)
        self.bearing = Bearing()
        self.timed = False
        """Whether a moment has come, or a sweep, so that what changes may be owed to no event (V8, V9)."""
        self.touched: set[Matter] | None = set()
        """What changed since the last decision; None when it may be anything: time, rules, members."""
        self.looked_again = state.wake_ms is None
        """Whether this step must look through all that the record holds for its next moment."""
        self.moments: list[int] = []
        """When something that came in this step changes by itself."""

    # -- what arrives

    def fold(self, message: Fragment | Departed | Released) -> None:
        """Fold one message of identity, or of another record."""
        if isinstance(message, Departed):
            self.decide()
            self.bearing.everybody(message.cause)
            self.touched = None
            self._depart(message)
        elif isinstance(message, Released):
            self.bearing.everybody(message.cause)
            self.touched = None
            self._receive(message)
        else:
            self._arrive(message)

    def _arrive(self, message: Fragment) -> None:
        held = self.state.fragments.get(message.identifier)
        if held is not None and held.move > message.move:
            return
        before = held if held is not None and not message.whole else None
        self._touch(before, message)
        fragment = before or PersonFragment(message.identifier, message.move, message.members)
        fragment.move, fragment.members = message.move, message.members
        fragment.superseded, fragment.restricted = message.superseded, message.restricted
        fragment.overfull = message.overfull
        for key, entries in message.registers.items():
            if entries == NO_ENTRIES:
                fragment.registers.pop(key, None)
            else:
                fragment.registers[key] = entries
                self.moments += moments_of(entries_of(entries), self.now_ms)
        if message.consents is not None:
            fragment.consents = message.consents
            self.moments += consents_moments(message.consents, self.now_ms)
        if message.objections is not None:
            fragment.objections = message.objections
        if message.enrolments is not None:
            fragment.enrolments = message.enrolments
        self.state.fragments[message.identifier] = fragment

    def _touch(self, before: PersonFragment | None, message: Fragment) -> None:
        """Note what a message may change in a view, and which events did."""
        matters = matters_of(before, message)
        self.bearing.arrived(message, matters)
        if matters is None or message.objections is not None or message.enrolments is not None:
            self.touched = None
        elif self.touched is not None:
            self.touched |= matters

    def _depart(self, message: Departed) -> None:
        """Let an identifier go: retract what is under its key first, then hand the key over (I6, V2)."""
        state = self.state
        carried = self.settlement.carried() if message.merged else {}
        held = state.fragments.get(message.identifier)
        if held is not None and held.move < message.move:
            del state.fragments[message.identifier]
        if not message.merged:
            self.settlement.left(message.identifier)  # before a decision settles it in another way
        self.decide(left=message.identifier, merged=message.merged)
        if not state.fragments:
            self.settlement.forget()
        handover = Handover(message.successor, message.merged, message.cause, carried)
        if state.has_custody(message.identifier, message.move - 1):
            self._release(message.identifier, message.move, handover)
        else:
            state.handovers[f"{message.identifier}\0{message.move}"] = handover

    def _release(self, identifier: str, move: int, handover: Handover) -> None:
        """Send the sequences of the keys that are ``identifier`` to its new record (V2)."""
        sequences = {}
        for name in list(self.state.sequences):
            agreement, _, key = name.partition("\0")
            if key == identifier:
                sequences[agreement] = self.state.sequences.pop(name)
        self.state.released.pop(identifier, None)
        released = Released(
            handover.successor, identifier, move, sequences, handover.delivered, handover.cause
        )
        self.step.outgoing.append(Outgoing(FRAGMENTS_TOPIC, handover.successor.encode(), encode(released)))

    def _receive(self, message: Released) -> None:
        """Take over keys from the record that held them, or send them on to where they are awaited (V2)."""
        state, identifier = self.state, message.identifier
        state.released[identifier] = max(state.released.get(identifier, 0), message.move)
        for agreement, sequence in message.sequences.items():
            name = f"{agreement}\0{identifier}"
            state.sequences[name] = max(state.sequences.get(name, 0), sequence)
        handover = state.handovers.pop(f"{identifier}\0{message.move + 1}", None)
        if handover is None:
            self.settlement.inherit(message.delivered)
            return
        if handover.merged:
            handover.delivered = gathered(message.delivered, handover.delivered)
        else:
            self.settlement.owe(message.delivered)
        self._release(identifier, message.move + 1, handover)

    # -- what is decided

    def decide(self, left: str | None = None, merged: bool = False) -> None:
        """Ask whom a change concerns and write what changed; ``left`` is an identifier that has just gone."""
        if self.touched is not None and not self.touched:
            return
        self.looked_again = self.looked_again or self.touched is None
        citizen = fold(self.state.fragments, self.rules.contracts.attributes, self.now_ms)
        state = self.state
        known = (state.sent, state.dropped, state.inherited)
        for name in self.concern.asked(self.touched, citizen.consents, known):
            agreement = self.rules.agreements[name]
            if not self._cannot_show(name, agreement, citizen):
                self._decide_one(name, agreement, citizen, left, merged)
        if self.touched is None:
            self._end_orphaned()
        self.touched = set()
        self.bearing.forget()

    def _cannot_show(self, name: str, agreement: Agreement, citizen: Citizen) -> bool:
        """Whether all that changed are values that the agreement neither showed nor may show (C7, V1).

        INVARIANT: what else decides (time, members, consents, death, scope) has not changed since the last
        decision, or ``touched`` would be None or name it. So the answer is the same and writes nothing.
        """
        state = self.state
        if self.touched is None or name in state.dropped or name in state.inherited:
            return False
        changed = self.concern.only_shown(name, self.touched)
        if changed is None:
            return False
        sent = state.sent.get(name)
        if sent is not None and not sent.content.keys().isdisjoint(changed):
            return False
        question = Question(agreement, citizen, state.person, self.rules, self.now_ms, sent is not None)
        return not may_permit(question, changed)

    def _end_orphaned(self) -> None:
        """Retract what was sent under agreements that no longer exist (V9)."""
        self.discloser.caused_by(TIME_PASSED)
        for name in [name for name in self.state.sent if name not in self.rules.agreements]:
            sent = self.state.sent.pop(name)
            self.discloser.retract(name, None, sent, None, Retraction.ENDED)
            self.discloser.oblige(name, None, sent.subscriber, sent.key, sent.content)
        self.settlement.orphaned()

    def _decide_one(
        self, name: str, agreement: Agreement, citizen: Citizen, left: str | None, merged: bool
    ) -> None:
        state = self.state
        sent = state.sent.get(name)
        if sent is None and not citizen.complete:
            self.step.outcomes.append(Outcome(name, "denied", Denial.INCOMPLETE))
            return  # on half of what was said no view begins, and nothing is settled (I6)
        question = Question(agreement, citizen, state.person, self.rules, self.now_ms, sent is not None)
        decision = decide_closed(question)
        self.step.outcomes.append(Outcome(name, *summary(decision)))
        now = self._view(agreement, citizen, decision, sent)
        if sent is not None and merged:
            self.settlement.drop(name, sent, now)  # all of it went along: who receives it answers for it
        elif sent is not None:
            self.settlement.narrowed(agreement, sent, now, decision, citizen, left)
        if citizen.complete:
            self.settlement.settle(agreement, decision, now, citizen)
        self._name_cause(agreement, sent, now, citizen)
        if sent is not None and (now is None or now.key != sent.key):
            # The key changed hands or its person changed: what stood under it was not (any more) that person.
            corrected = left is not None or now is not None
            del state.sent[name]
            reason = Retraction.CORRECTED if corrected else Retraction.ENDED
            self.discloser.retract(name, agreement, sent, decision, reason)
        if now is None:
            return
        kept = now.kept()
        if sent is None or kept.key != sent.key or kept.content != sent.content:
            supersedes = self.settlement.supersede(name, now.key) if citizen.complete else ()
            self.discloser.update(agreement, now, decision, supersedes)
        state.sent[name] = kept

    def _name_cause(
        self, agreement: Agreement, sent: Sent | None, now: Sent | None, citizen: Citizen
    ) -> None:
        """Find the event by which the view is to be written, if it is: the last that bears on it (V5)."""
        had, has = sent.content if sent is not None else {}, now.kept().content if now is not None else {}
        if had == has and (sent is None or now is None or sent.key == now.key):
            return
        timed = self.timed or (sent is not None and sent.version != agreement.version)
        touch = self.bearing.only()
        if touch is None or timed:
            shown = {name for name in had.keys() | has.keys() if had.get(name) != has.get(name)}
            lineage = {
                (golden.entry.source, golden.entry.id)
                for name in shown & has.keys()
                for golden in citizen.golden[name].values()
            }
            deciding = self.concern.deciding(agreement.agreement)
            touch = self.bearing.last(Change(deciding, shown, lineage, now is None, timed))
        if touch is None:
            self.discloser.caused_by(TIME_PASSED)
        else:
            self.discloser.caused_by(touch.cause, touch.cause.published_ms if touch.protective else 0)

    def _view(
        self, agreement: Agreement, citizen: Citizen, decision: Decision, sent: Sent | None
    ) -> Sent | None:
        """The view that the subscriber should have now, or None (C7, I6, V2)."""
        key = decision.key
        if decision.denied is not None or key is None:
            return None
        content, sources = project(agreement, decision, citizen, self.rules.contracts.attributes)
        if not citizen.complete:
            # INVARIANT: on half of what was said nothing is granted: no view begins, no value changes (I6).
            if sent is None:
                return None
            if sent.key != key:
                if sent.key not in citizen.identifiers:
                    return None
                key = sent.key
            content = {
                name: value for name, value in content.items() if sent.content.get(name) == remembered(value)
            }
        if not content or ((sent is None or sent.key != key) and not self._may_begin(agreement, key)):
            return None
        sources = {name: sources[name] for name in content}
        return Sent(key, agreement.version, agreement.subscriber, content, sources)

    def _may_begin(self, agreement: Agreement, key: str) -> bool:
        """Whether a view may begin under the key: an identifier's key must have been released to us (V2)."""
        if agreement.subject == PAIRWISE:
            return True
        # INVARIANT: two records never write one key.
        return self.state.has_custody(key, self.state.fragments[key].move)

    def next_wake(self) -> int | None:
        """The next moment at which time alone may change a decision on this person (V8)."""
        if not self.state.fragments:
            return None
        known, ends = self.state.wake_ms, self.concern.next_end(self.now_ms)
        if self.looked_again:
            known = next_moment(self.state.fragments.values(), self.now_ms)
        moments = [*self.moments, *[moment for moment in (known, ends) if moment is not None]]
        # What has been replaced may still be among them: then the wake finds nothing, and looks again.
        return min(moments, default=None)
