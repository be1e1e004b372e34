"""Settlement: what subscribers received and no view shows any more, until somebody answers for it (V2, V4).

A view loses a value while half of what was said is travelling (I6), or its person merges into another. Then
it is not yet known whether the subscriber must delete the value, so it is remembered: `dropped` for this
record's own views, `inherited` for those of persons that merged into this one. A denial or a separation makes
an obligation of it; a complete view that stands in its place ends it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Set

from processors.citizen_state import Ledger, RecordState, Sent, fields_sent, gathered, remember
from processors.decision import PAIRWISE, Decision, Permit
from processors.disclosure import Discloser
from processors.golden import Citizen
from processors.messages import Delivered
from processors.rules import Rules
from schemas import Agreement


class Settlement:
    """Answers for what one person's subscribers received, during one step."""

    def __init__(self, rules: Rules, state: RecordState, discloser: Discloser) -> None:
        self.rules, self.state, self.discloser = rules, state, discloser

    def carried(self) -> Ledger:
        """Return all that subscribers hold of this person: what a merge takes along."""
        state = self.state
        shown: Ledger = {
            name: (
                Delivered(sent.key, sent.subscriber, state.sequences[f"{name}\0{sent.key}"], sent.sources),
            )
            for name, sent in state.sent.items()
        }
        return gathered(state.inherited, state.dropped, shown)

    def inherit(self, carried: Ledger) -> None:
        """Take over what another record answered for, unless a view of ours has taken its place already."""
        for name, entries in carried.items():
            answered = self.state.superseded_keys.get(name, {})
            for entry in entries:
                if entry.sequence > answered.get(entry.key, 0):
                    remember(self.state.inherited, name, entry)

    def narrowed(
        self,
        agreement: Agreement,
        sent: Sent,
        now: Sent | None,
        decision: Decision,
        citizen: Citizen,
        left: str | None,
    ) -> None:
        """Owe what is denied now, or came from ``left``; remember what half a record cannot judge (V4)."""
        due = {a for a in sent.content if _denied(decision, a)}
        if left is not None:
            due |= {a for a in sent.content if left in (sent.key, *sent.sources[a])}
        lost = [*due, *_fields_lost(agreement, sent, due)]
        if lost:
            self._oblige(agreement.agreement, agreement, sent.subscriber, sent.key, lost)
        if not citizen.complete or _under_another_key(sent, now):
            self.drop(agreement.agreement, sent, now, due)

    def drop(self, name: str, sent: Sent, now: Sent | None, owed: Set[str] = frozenset()) -> None:
        """Remember values that leave a view, or a key, before anybody has answered for them."""
        moved = _under_another_key(sent, now)
        kept = now.content.keys() if now is not None and not moved else frozenset[str]()
        entry = _without(self._delivered(name, sent), kept | owed)
        if entry.sources or moved:
            remember(self.state.dropped, name, entry)

    def settle(self, agreement: Agreement, decision: Decision, now: Sent | None, citizen: Citizen) -> None:
        """Owe what a complete decision denies of what is remembered; a view that stands ends our own."""
        name, state = agreement.agreement, self.state
        for ledger in (state.dropped, state.inherited):
            if name in ledger:
                ledger[name] = tuple(self._owe_denied(name, entry, decision) for entry in ledger[name])
        if now is not None:
            for entry in state.dropped.pop(name, ()):
                if entry.key != now.key:
                    self.change_key(agreement, entry, citizen)

    def change_key(self, agreement: Agreement, old: Delivered, citizen: Citizen) -> None:
        """Let the next view say that it stands for a key that is superseded; owe it else (V2)."""
        name = agreement.agreement
        if agreement.subject != PAIRWISE and old.key in citizen.identifiers:
            remember(self.state.inherited, name, _without(old, old.sources))
        else:
            self._owe(name, old, old.sources)

    def supersede(self, name: str, key: str) -> tuple[str, ...]:
        """Return the keys whose place a view under ``key`` takes; from now on it answers for them (V2)."""
        entries = self.state.inherited.pop(name, ())
        answered = self.state.superseded_keys.setdefault(name, {}) if entries else {}
        for entry in entries:
            answered[entry.key] = max(answered.get(entry.key, 0), entry.sequence)
        return tuple(entry.key for entry in entries if entry.key != key)

    def left(self, identifier: str) -> None:
        """Owe what is remembered of an identifier that proves to be somebody else's (V4).

        What merged in before is owed whole: after a separation no view may take an old key's place (V2).
        """
        for name, entries in list(self.state.dropped.items()):
            kept = []
            for entry in entries:
                due = [attribute for attribute, sources in entry.sources.items() if identifier in sources]
                self._owe(name, entry, due)
                kept.append(_without(entry, due))
            self.state.dropped[name] = tuple(entry for entry in kept if entry.sources)
        self.owe(self.state.inherited)
        self.state.inherited.clear()

    def forget(self) -> None:
        """Nobody is left here: all that was remembered went along or is owed."""
        self.state.dropped.clear()
        self.state.inherited.clear()

    def orphaned(self) -> None:
        """Owe what was delivered under agreements that no longer exist (V4)."""
        for ledger in (self.state.dropped, self.state.inherited):
            gone = {name: ledger.pop(name) for name in [n for n in ledger if n not in self.rules.agreements]}
            self.owe(gone)

    def owe(self, ledger: Ledger) -> None:
        """Owe all of it."""
        for name, entries in ledger.items():
            for entry in entries:
                self._owe(name, entry, entry.sources)

    def _delivered(self, name: str, sent: Sent) -> Delivered:
        return Delivered(sent.key, sent.subscriber, self.state.sequences[f"{name}\0{sent.key}"], sent.sources)

    def _owe_denied(self, name: str, entry: Delivered, decision: Decision) -> Delivered:
        denied = [attribute for attribute in entry.sources if _denied(decision, attribute)]
        self._owe(name, entry, denied)
        return _without(entry, denied)

    def _owe(self, name: str, entry: Delivered, due: Iterable[str]) -> None:
        self._oblige(name, self.rules.agreements.get(name), entry.subscriber, entry.key, due)

    def _oblige(
        self, name: str, agreement: Agreement | None, subscriber: str, key: str, due: Iterable[str]
    ) -> None:
        self.discloser.oblige(name, agreement, subscriber, key, due)


def _under_another_key(sent: Sent, now: Sent | None) -> bool:
    return now is not None and now.key != sent.key


def _denied(decision: Decision, attribute: str) -> bool:
    return not isinstance(decision.attributes.get(attribute), Permit)


def _without(entry: Delivered, attributes: Container[str]) -> Delivered:
    kept = {name: sources for name, sources in entry.sources.items() if name not in attributes}
    return Delivered(entry.key, entry.subscriber, entry.sequence, kept)


def _fields_lost(agreement: Agreement, sent: Sent, denied: set[str]) -> list[str]:
    """Name, as `attribute.field`, what was sent of a record value and is not among the `fields` any more."""
    if sent.version == agreement.version:
        return []
    lost: list[str] = []
    for grant in agreement.attributes:
        if grant.fields is not None and grant.attribute in sent.content.keys() - denied:
            fields = fields_sent(sent.content[grant.attribute])
            lost += [f"{grant.attribute}.{field}" for field in fields if field not in grant.fields]
    return lost
