"""Record: one person's fragments, folded, decided and disclosed (§7, I6, C6, V1-V5).

A stage with state by person. After the messages of a step it asks, for each agreement, what the subscriber
may
see now, compares that with what the subscriber has, and writes the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from processors.citizen_state import Handover, RecordState, Sent, decode_record, encode_record
from processors.decision import PAIRWISE, Decision, Question, decide_closed
from processors.disclosure import Discloser
from processors.golden import Citizen, PersonFragment, fold, moments
from processors.messages import (
    FRAGMENTS_TOPIC,
    Cause,
    Delivered,
    Departed,
    Fragment,
    Released,
    decode_for_record,
    encode,
)
from processors.outcomes import Denial, Retraction
from processors.rules import Rules
from processors.stage import Lookup, Outcome, Outgoing, Record, State, Step, by_key, keys_of
from processors.view import project
from schemas import Agreement, ViewCodec

TIME_PASSED = Cause()


class Records:
    """The fourth stage: fragments to views, retractions, obligations and disclosures."""

    name = "record"

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.rules_version: str | None = rules.version
        self.codecs = {name: ViewCodec(a, rules.contracts) for name, a in rules.agreements.items()}

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return the persons that ``batch`` speaks of."""
        return keys_of(batch)

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Fold all messages of one person at a time; decide once, or once more at each departure."""
        step = Step()
        for key, values in by_key(batch, wakes).items():
            body = states(key)
            state = decode_record(body) if body is not None else RecordState(key.decode())
            folding = _Folding(self.rules, self.codecs, state, now_ms, step)
            for value in values:
                folding.fold(decode_for_record(value))
            folding.decide()
            step.states[key] = State(encode_record(state), folding.next_wake())
        return step


class _Folding:
    """One person during one step."""

    def __init__(
        self, rules: Rules, codecs: dict[str, ViewCodec], state: RecordState, now_ms: int, step: Step
    ) -> None:
        self.rules, self.state, self.now_ms, self.step = rules, state, now_ms, step
        self.discloser = Discloser(rules, codecs, state, step)
        self.cause = TIME_PASSED
        self.protective = False
        self.undecided = True

    # -- what arrives
    # ------------------------------------------------------------------------------------------

    def fold(self, message: Fragment | Departed | Released) -> None:
        """Fold one message of identity, or of another record."""
        if isinstance(message, Departed):
            if self.undecided:
                self.decide()
            self.cause = message.cause
            self._depart(message)
            return
        self.cause = message.cause
        self.undecided = True
        if isinstance(message, Released):
            self._receive(message)
        else:
            self._arrive(message)

    def _arrive(self, message: Fragment) -> None:
        held = self.state.fragments.get(message.identifier)
        if held is not None and held.move > message.move:
            return
        before = held if held is not None and not message.whole else None
        self.protective = self.protective or message.protective
        registers = dict(before.registers) if before else {}
        for key, entries in message.registers.items():
            if entries:
                registers[key] = entries
            else:
                registers.pop(key, None)
        self.state.fragments[message.identifier] = PersonFragment(
            message.identifier,
            message.move,
            message.members,
            message.superseded,
            message.restricted,
            registers,
            message.consents if message.consents is not None else before.consents if before else (),
            message.objections if message.objections is not None else before.objections if before else (),
            message.enrolments if message.enrolments is not None else before.enrolments if before else (),
        )

    def _depart(self, message: Departed) -> None:
        """Let an identifier go: retract what is under its key first, then hand the key over (I6, V2)."""
        state = self.state
        delivered = self._delivered() if message.merged else {}
        held = state.fragments.get(message.identifier)
        if held is not None and held.move < message.move:
            del state.fragments[message.identifier]
        self.decide(left=message.identifier, merged=message.merged)
        if not message.merged:
            self._owe_all(state.inherited)
            state.inherited.clear()
            state.superseded_keys.clear()  # after an unlink a key may merge, and be superseded, anew
        handover = Handover(message.successor, message.merged, message.cause)
        if state.has_custody(message.identifier, message.move - 1):
            self._release(message.identifier, message.move, handover, delivered)
        else:
            state.handovers[f"{message.identifier}\0{message.move}"] = handover

    def _delivered(self) -> dict[str, tuple[Delivered, ...]]:
        """What subscribers hold of this person, under its own keys and under those that merged into it."""
        held = {name: list(inherited) for name, inherited in self.state.inherited.items()}
        for name, sent in self.state.sent.items():
            held.setdefault(name, []).append(
                Delivered(sent.key, tuple(sorted(sent.content)), sent.subscriber)
            )
        return {name: tuple(delivered) for name, delivered in held.items()}

    def _release(
        self, identifier: str, move: int, handover: Handover, delivered: dict[str, tuple[Delivered, ...]]
    ) -> None:
        """Send the sequences of the keys that are ``identifier`` to its new record (V2)."""
        sequences = {}
        for name in list(self.state.sequences):
            agreement, _, key = name.partition("\0")
            if key == identifier:
                sequences[agreement] = self.state.sequences.pop(name)
        self.state.released.pop(identifier, None)
        released = Released(handover.successor, identifier, move, sequences, delivered, handover.cause)
        self.step.outgoing.append(Outgoing(FRAGMENTS_TOPIC, handover.successor.encode(), encode(released)))

    def _receive(self, message: Released) -> None:
        """Take over keys from the record that held them, or send them on to where they are awaited (V2)."""
        state, identifier = self.state, message.identifier
        state.released[identifier] = max(state.released.get(identifier, 0), message.move)
        for agreement, sequence in message.sequences.items():
            name = f"{agreement}\0{identifier}"
            state.sequences[name] = max(state.sequences.get(name, 0), sequence)
        handover = state.handovers.pop(f"{identifier}\0{message.move + 1}", None)
        if handover is not None:
            if not handover.merged:
                self._owe_all(message.delivered)
            self._release(
                identifier, message.move + 1, handover, message.delivered if handover.merged else {}
            )
            return
        for agreement, delivered in message.delivered.items():
            known = state.inherited.get(agreement, ())
            announced = state.superseded_keys.get(agreement, ())
            fresh = [d for d in delivered if d.key not in announced and d not in known]
            if fresh:
                state.inherited[agreement] = (*known, *fresh)

    # -- what is decided
    # ---------------------------------------------------------------------------------------

    def decide(self, left: str | None = None, merged: bool = False) -> None:
        """Ask every agreement and write what changed; ``left`` is an identifier that has just gone."""
        citizen = fold(self.state.fragments, self.rules.contracts.attributes, self.now_ms)
        for name, agreement in self.rules.agreements.items():
            self._decide_one(name, agreement, citizen, left, merged)
        for name in [name for name in self.state.sent if name not in self.rules.agreements]:
            sent = self.state.sent.pop(name)
            self._retract(name, None, sent, None, Retraction.ENDED)
            self.discloser.oblige(name, None, sent.subscriber, sent.key, sent.content, self.now_ms)
        for name in [name for name in self.state.inherited if name not in self.rules.agreements]:
            for old in self.state.inherited.pop(name):
                self.discloser.oblige(name, None, old.subscriber, old.key, old.attributes, self.now_ms)
        self.undecided = False

    def _decide_one(
        self, name: str, agreement: Agreement, citizen: Citizen, left: str | None, merged: bool
    ) -> None:
        state = self.state
        sent = state.sent.get(name)
        question = Question(agreement, citizen, state.person, self.rules, self.now_ms, sent is not None)
        decision = decide_closed(question)
        if decision.denied is Denial.ERROR:
            self.step.outcomes.append(Outcome(name, "denied", Denial.ERROR))
        now = self._view(agreement, citizen, decision, sent)
        if sent is not None and not (left is not None and merged):
            self._oblige(agreement, sent, decision, left)
        if citizen.complete:
            self._settle_inherited(agreement, decision)
        if sent is not None and (now is None or now.key != sent.key):
            # The key changed hands or its person changed: what stood under it was not (any more) that person.
            corrected = left is not None or now is not None
            del state.sent[name]
            reason = Retraction.CORRECTED if corrected else Retraction.ENDED
            self._retract(name, agreement, sent, decision, reason)
            if now is not None and agreement.subject != PAIRWISE and sent.key in citizen.identifiers:
                self._inherit(name, Delivered(sent.key, ()))
        if now is None:
            return
        if sent is None or now.key != sent.key or now.content != sent.content:
            keys = tuple(d.key for d in state.inherited.pop(name, ()))
            supersedes = tuple(dict.fromkeys(key for key in keys if key != now.key))
            if supersedes:
                state.superseded_keys[name] = (*state.superseded_keys.get(name, ()), *supersedes)
            self.discloser.update(agreement, now, decision, supersedes, self.cause, self.now_ms)
        state.sent[name] = now

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
            content = {name: value for name, value in content.items() if sent.content.get(name) == value}
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

    def _owe_all(self, delivered: Mapping[str, tuple[Delivered, ...]]) -> None:
        """Owe what was delivered of a person that came apart again before a new view stood for it (V4)."""
        for name, keys in delivered.items():
            agreement = self.rules.agreements.get(name)
            for old in keys:
                subscriber = old.subscriber if agreement is None else agreement.subscriber
                self.discloser.oblige(name, agreement, subscriber, old.key, old.attributes, self.now_ms)

    def _inherit(self, name: str, delivered: Delivered) -> None:
        self.state.inherited[name] = (*self.state.inherited.get(name, ()), delivered)

    def _oblige(self, agreement: Agreement, sent: Sent, decision: Decision, left: str | None) -> None:
        """Owe the deletion of delivered values that are denied now, or came from whom has left (V4)."""
        due = [
            attribute
            for attribute in sent.content
            if isinstance(decision.attributes.get(attribute, Denial.OUT_OF_SCOPE), Denial)
            or left in sent.sources[attribute]
        ]
        self.discloser.oblige(agreement.agreement, agreement, sent.subscriber, sent.key, due, self.now_ms)

    def _settle_inherited(self, agreement: Agreement, decision: Decision) -> None:
        """Owe the deletion of what was delivered under keys that merged into this person, where it is
        denied.
        """
        name = agreement.agreement
        settled = []
        for delivered in self.state.inherited.get(name, ()):
            denied = [
                attribute
                for attribute in delivered.attributes
                if isinstance(decision.attributes.get(attribute, Denial.OUT_OF_SCOPE), Denial)
            ]
            self.discloser.oblige(name, agreement, agreement.subscriber, delivered.key, denied, self.now_ms)
            # What is permitted is settled by the new view, when there is one; until then it may be denied.
            permitted = tuple(a for a in delivered.attributes if a not in denied)
            settled.append(Delivered(delivered.key, permitted, delivered.subscriber))
        if settled:
            self.state.inherited[name] = tuple(settled)

    def _retract(
        self,
        name: str,
        agreement: Agreement | None,
        sent: Sent,
        decision: Decision | None,
        reason: Retraction,
    ) -> None:
        self.discloser.retract(
            name, agreement, sent, decision, reason, self.protective, self.cause, self.now_ms
        )

    def next_wake(self) -> int | None:
        """The next moment at which time alone may change a decision on this person (V8)."""
        if not self.state.fragments:
            return None
        agreements = self.rules.agreements.values()
        ends = (moment for a in agreements for moment in (a.valid_from, a.valid_until))
        later = (m for m in (*moments(self.state.fragments.values()), *ends) if m > self.now_ms)
        return min(later, default=None)
