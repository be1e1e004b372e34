"""What a subscriber may no longer have, it owes to delete (V4).

When a view ended because its values are denied, the same transaction asks for their deletion.
"""

from __future__ import annotations

import msgspec

from processors.disclosure import obligations_topic
from processors.history.disclosures import Entry, Logged
from processors.history.extent import Extent
from processors.history.findings import Anomaly, Findings, Place
from processors.outcomes import Retraction
from processors.stage import Record

OWED = obligations_topic("")


class _Owed(msgspec.Struct):
    """The parts of an obligation that say what it is about."""

    agreement: str
    key: str
    sequence: int
    fields: list[str]


_read = msgspec.json.Decoder(_Owed).decode
_Name = tuple[str, str, int]
"""Agreement, key, and the sequence of the view whose values are owed."""


class Debts:
    """Matches views that ended with what subscribers were asked to delete."""

    def __init__(self, extent: Extent, findings: Findings) -> None:
        self.extent, self.findings = extent, findings
        self.checked = 0
        """Endings that must have an obligation."""
        self._asked: dict[_Name, set[str]] = {}
        self._due: dict[_Name, tuple[Place, set[str], Entry]] = {}

    def obligation(self, record: Record) -> None:
        """Take a record of a subscriber's topic of obligations."""
        owed = _read(record.value or b"")
        # It names the sequence of the last view or, asked for after the retraction, of that.
        for sequence in (owed.sequence, owed.sequence - 1):
            name = (owed.agreement, owed.key, sequence)
            self._asked.setdefault(name, set()).update(owed.fields)
            if name in self._due:
                self._due[name][1].difference_update(owed.fields)

    def ended(self, place: Place, entry: Entry, before: Logged | None) -> None:
        """Take an entry of the log; ``before`` is what was logged of its key until then."""
        if entry.reason != Retraction.ENDED or before is None or not before.holds_before(entry):
            return
        topic = obligations_topic(entry.subscriber)
        if not self.extent.partitions(topic) or self.extent.shortened((topic,)):
            return
        denied = {field for field in before.fields if "permit" not in entry.answer(field)}
        self.checked += 1
        name = (entry.agreement, entry.key, entry.sequence - 1)
        self._due[name] = (place, denied - self._asked.pop(name, set()), entry)

    def finish(self) -> None:
        """Report what ended and is not owed."""
        for place, missing, entry in self._due.values():
            if missing and self.extent.is_settled(place):
                text = f"a view ended and the deletion of {', '.join(sorted(missing))} was never asked for"
                self.findings.add(Anomaly.MISSING_OBLIGATION, place, text, entry.event())
