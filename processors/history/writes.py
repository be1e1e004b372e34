"""What left the backbone: every view written once, in order, with a change, and disclosed once (V1-V3, V5).

View topics are compacted, so a missing record means nothing by itself; the disclosure log is kept for ever,
so it says which records there were. What is held is one small entry for each key.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

from processors.disclosure import view_topic
from processors.history.disclosures import Entry, Logged
from processors.history.extent import Extent
from processors.history.findings import Anomaly, Findings, Place
from processors.messages import DISCLOSURES_TOPIC
from processors.stage import Record

VIEWS = view_topic("")
SEQUENCE = "postroom_sequence"
DIGEST_BYTES = 16


class _Written(NamedTuple):
    """The last record of a key that was read from its view topic; ``content`` is None for a tombstone."""

    sequence: int
    content: bytes | None


class _Undisclosed(NamedTuple):
    """A view record whose entry has not been read yet, and what the entry must be committed to."""

    place: Place
    stamp_ms: int
    commitment: str


class Writes:
    """Follows each key of each agreement through its view topic and the disclosure log."""

    def __init__(self, extent: Extent, findings: Findings, commitment_key: bytes) -> None:
        self.extent, self.findings, self.commitment_key = extent, findings, commitment_key
        self.views = self.disclosures = 0
        """Records that were read."""
        self.logged: dict[tuple[str, str], Logged] = {}
        """What the disclosure log says of each (agreement, key)."""
        self._written: dict[tuple[str, str], _Written] = {}
        self._undisclosed: dict[tuple[str, str, int], _Undisclosed] = {}
        self._log_since_ms = extent.since_ms((DISCLOSURES_TOPIC,))

    # -- views

    def view(self, record: Record) -> None:
        """Take a record of a view topic, each partition's in order."""
        self.views += 1
        place = Place(record.topic, record.partition, record.offset)
        agreement, key = record.topic.removeprefix(VIEWS), (record.key or b"").decode("utf-8", "replace")
        sequence = _sequence(record)
        if sequence is None:
            self.findings.add(Anomaly.OUT_OF_ORDER_SEQUENCE, place, "a record that carries no sequence")
            return
        self._follow(place, (agreement, key), sequence, record.value)
        logged = self.logged.get((agreement, key))
        if logged is None or not logged.has(sequence):
            commitment = self._commitment(agreement, key, sequence, record.value)
            name = (agreement, key, sequence)
            self._undisclosed.setdefault(name, _Undisclosed(place, record.timestamp_ms, commitment))

    def _follow(self, place: Place, name: tuple[str, str], sequence: int, value: bytes | None) -> None:
        """Compare a record with the one before it under its key."""
        content = None if value is None else hashlib.blake2b(value, digest_size=DIGEST_BYTES).digest()
        before = self._written.get(name)
        if before is not None and sequence <= before.sequence:
            if sequence == before.sequence:
                text = f"sequence {sequence} was written twice"
                self.findings.add(Anomaly.DUPLICATE_VIEW_WRITE, place, text)
            else:
                text = f"sequence {sequence} follows {before.sequence}"
                self.findings.add(Anomaly.OUT_OF_ORDER_SEQUENCE, place, text)
            return
        # INVARIANT: only neighbours are compared. Between others compaction may have taken a change away.
        neighbours = before is not None and sequence == before.sequence + 1
        known = before.content if before is not None else None
        if (neighbours or sequence == 1) and content == known:
            text = f"sequence {sequence} changes nothing"
            self.findings.add(Anomaly.DUPLICATE_VIEW_WRITE, place, text)
        self._written[name] = _Written(sequence, content)

    def _commitment(self, agreement: str, key: str, sequence: int, value: bytes | None) -> str:
        """What the entry about this record must be committed to (V5)."""
        salt = hmac.digest(self.commitment_key, f"{agreement}|{key}|{sequence}".encode(), hashlib.sha256)
        return hashlib.sha256(salt + (value or b"")).hexdigest()

    # -- disclosures

    def disclosure(self, place: Place, entry: Entry) -> None:
        """Take an entry of the disclosure log, each partition's in order."""
        self.disclosures += 1
        name = (entry.agreement, entry.key)
        logged = self.logged.setdefault(name, Logged())
        if logged.has(entry.sequence):
            text = f"a second entry about sequence {entry.sequence} of its key"
            self.findings.add(Anomaly.DUPLICATE_DISCLOSURE, place, text, entry.event())
            return
        if entry.sequence < logged.last and logged.partition == place.partition:
            text = f"sequence {entry.sequence} is logged after {logged.last}"
            self.findings.add(Anomaly.OUT_OF_ORDER_SEQUENCE, place, text, entry.event())
        if logged.holds_before(entry) and entry.person != logged.person:
            text = f"sequence {entry.sequence} is another person's, and {logged.last} was not retracted"
            self.findings.add(Anomaly.TWO_WRITERS, place, text, entry.event())
        undisclosed = self._undisclosed.pop((*name, entry.sequence), None)
        if undisclosed is not None and undisclosed.commitment != entry.commitment:
            where = undisclosed.place
            text = f"not committed to the record at {where.topic}-{where.partition} offset {where.offset}"
            self.findings.add(Anomaly.WRONG_DISCLOSURE, place, text, entry.event())
        logged.add(entry, place, self.extent.is_settled(place))

    # -- at the end

    def finish(self) -> None:
        """Report views without an entry, entries without a view, and holes between entries."""
        for (*_, sequence), undisclosed in self._undisclosed.items():
            if self.extent.is_settled(undisclosed.place) and undisclosed.stamp_ms > self._log_since_ms:
                text = f"sequence {sequence} of its key has no entry in the disclosure log"
                self.findings.add(Anomaly.MISSING_DISCLOSURE, undisclosed.place, text)
        holes = {(agreement, key) for agreement, key, _ in self._undisclosed}
        for name, logged in self.logged.items():
            if logged.settled is not None:
                self._all_written(name, *logged.settled)
                if name not in holes and not self._log_since_ms:
                    self._no_hole(logged)

    def _all_written(self, name: tuple[str, str], sequence: int, is_view: bool, place: Place) -> None:
        """A view topic still has the last record of each key: compaction never takes that one."""
        topic = view_topic(name[0])
        if not self.extent.partitions(topic) or self.extent.shortened((topic,)):
            return  # an agreement that no longer exists, or views that somebody deleted
        written = self._written.get(name)
        if written is not None and written.sequence >= sequence:
            return
        # A tombstone is taken away in the end, but not before what it retracts.
        if is_view or (written is not None and written.content is not None):
            what = "the view" if is_view else "the retraction"
            text = f"{what} of sequence {sequence} is not on its topic"
            self.findings.add(Anomaly.LOST_VIEW_WRITE, place, text)

    def _no_hole(self, logged: Logged) -> None:
        assert logged.settled is not None  # noqa: S101
        sequence, _, place = logged.settled
        if sequence > logged.upto:
            text = f"sequence {logged.upto + 1} was never written, {sequence} was"
            self.findings.add(Anomaly.OUT_OF_ORDER_SEQUENCE, place, text)


def _sequence(record: Record) -> int | None:
    for name, value in record.headers:
        if name == SEQUENCE and value.isdigit():
            return int(value)
    return None
