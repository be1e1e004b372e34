"""No view rests on a consent whose withdrawal had been taken in before (V7, C1).

"Taken in" is read from the record stage's own memory: it is committed with the position up to which the task
has read and with the `now` of its step, and each entry of the disclosure log carries the `now` of the step
that wrote it. A view of a later step than the one that read the withdrawal must respect it. Where compaction
has taken the memories away the withdrawal counts from the next one that is left, so nothing is ever called
stale that may be right.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from processors.consent import covers, stands
from processors.engine.changelog import TaskMemory
from processors.engine.partitions import partition_of
from processors.history.disclosures import Entry
from processors.history.extent import Extent
from processors.history.findings import Anomaly, Findings, Place
from processors.messages import FRAGMENTS_TOPIC, Consent, Departed, Fragment
from processors.rules import Rules
from schemas import Basis, parse_instant

NEVER = 1 << 62


class _Stop(NamedTuple):
    """A pause or withdrawal that was sent to a person's record: where, and by which of its identifiers."""

    offset: int
    identifier: str
    move: int
    consent: Consent


class _Suspect(NamedTuple):
    """A view that looks stale, until it is known who had left the person by then."""

    place: Place
    entry: Entry
    stop: _Stop
    task: int
    decided_ms: int


class Withdrawals:
    """Follows what each person's identifiers say about consent, and what was disclosed on it."""

    def __init__(self, extent: Extent, findings: Findings, rules: Rules) -> None:
        self.findings, self.rules = findings, rules
        self.checked = 0
        """Entries of the log that rest on consent."""
        self._partitions = extent.partitions(FRAGMENTS_TOPIC)
        self._positions: dict[int, list[int]] = defaultdict(list)
        self._moments: dict[int, list[int]] = defaultdict(list)
        """By task of the record stage: how far it had read at which `now`, both rising."""
        self._granted: dict[tuple[str, str], int] = {}
        """The time of every grant, by (source, id); of two contents the later."""
        self._stops: dict[str, dict[tuple[str, int, str, str], _Stop]] = {}
        self._departed: dict[tuple[str, str], list[tuple[int, int]]] = {}
        """By person and identifier: where in the log it left, and with which move."""
        self._suspects: list[_Suspect] = []

    # -- what the record stage was told

    def memory(self, partition: int, memory: TaskMemory) -> None:
        """Take what a task of the record stage committed of itself, in order."""
        position = memory.positions.get(FRAGMENTS_TOPIC)
        if position is not None:
            self._positions[partition].append(position)
            self._moments[partition].append(memory.now_ms)

    def granted(self, source: str, event_id: str, time_ms: int) -> None:
        """Remember when a grant was given."""
        name = (source, event_id)
        self._granted[name] = max(time_ms, self._granted.get(name, time_ms))

    def message(self, place: Place, message: object) -> None:
        """Take a message to the record stage, each partition's in order."""
        if isinstance(message, Departed):
            left = self._departed.setdefault((message.person, message.identifier), [])
            left.append((place.offset, message.move))
        elif isinstance(message, Fragment):
            for consent in message.consents or ():
                if consent.state == "GRANTED":
                    self.granted(consent.source, consent.id, consent.time)
                else:
                    stop = _Stop(place.offset, message.identifier, message.move, consent)
                    name = (message.identifier, message.move, consent.source, consent.id)
                    self._stops.setdefault(message.person, {}).setdefault(name, stop)

    # -- what was disclosed

    def disclosure(self, place: Place, entry: Entry) -> None:
        """Take an entry of the disclosure log."""
        agreement = self.rules.agreements.get(entry.agreement)
        if not entry.is_view or agreement is None or agreement.basis is not Basis.CONSENT:
            return
        self.checked += 1
        if agreement.version != entry.version or entry.person not in self._stops:
            return  # what another version was about is not known here
        task, decided_ms = partition_of(entry.person.encode(), self._partitions), parse_instant(entry.time)
        step = bisect_left(self._moments[task], decided_ms)
        read_to = self._positions[task][step - 1] if step else 0
        for stop in self._stops[entry.person].values():
            about = (stop.consent.subscriber, stop.consent.purpose)
            taken_in = stop.offset < read_to and about == (agreement.subscriber, agreement.purpose)
            if taken_in and self._defeats(stop.consent, entry):
                self._suspects.append(_Suspect(place, entry, stop, task, decided_ms))

    def _defeats(self, stop: Consent, entry: Entry) -> bool:
        """Whether a field of the entry rests on a grant that cannot stand beside this withdrawal."""
        grace_ms = self.rules.limits.consent_grace_ms
        for name, grant in self._rests_on(entry):
            attribute = self.rules.contracts.attributes.get(name)
            if attribute is not None and covers(stop, attribute) and not stands(grant, (stop,), grace_ms):
                return True
        return False

    def _rests_on(self, entry: Entry) -> Iterator[tuple[str, Consent]]:
        """The disclosed attributes with the grants that permit them, where those are known."""
        for name in entry.fields:
            named = entry.answer(name).get("consent")
            time_ms = self._granted.get(tuple(named)) if named else None
            if named and time_ms is not None:
                source, event_id = named
                yield name, Consent(time_ms, source, event_id, "", "", (), "GRANTED")

    def finish(self) -> None:
        """Report what is stale, once for each view; not where whoever withdrew had left the person."""
        stale: dict[Place, _Suspect] = {}
        for suspect in self._suspects:
            maybe_read_to = self._maybe_read_to(suspect.task, suspect.decided_ms)
            left = self._departed.get((suspect.entry.person, suspect.stop.identifier), ())
            if not any(offset < maybe_read_to and move > suspect.stop.move for offset, move in left):
                stale.setdefault(suspect.place, suspect)
        for place, suspect in stale.items():
            stop = suspect.stop.consent
            text = f"it rests on a consent that event {stop.id} of {stop.source} had ended"
            self.findings.add(Anomaly.STALE_CONSENT, place, text, suspect.entry.event())

    def _maybe_read_to(self, task: int, decided_ms: int) -> int:
        """Up to which offset a step at this moment may have read."""
        later = bisect_right(self._moments[task], decided_ms)
        return self._positions[task][later] if later < len(self._positions[task]) else NEVER
