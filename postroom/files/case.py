"""A file under way as a clerk of `producers` sees it, put together of journal, copy and quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from connectors.files import metrics
from connectors.files.desk import Desk
from connectors.files.journal import Journal, Standing
from connectors.files.place import said
from connectors.files.quarantine import Filling
from connectors.files.spool import Spool, numbers_in
from processors.engine.journal import say
from producers.mapped import Bad, Counts, FileFacts, Header, Place

ODD_TOLD_MAX = 20
"""Kinds of what is odd that the log names of one file, the commonest first."""


class _Tray:
    """A quarantine that takes rows as they were judged."""

    def __init__(self, filling: Filling) -> None:
        self._filling = filling

    def put(self, bad: Bad) -> None:
        place = bad.row.place
        self._filling.put(place.row, place.line, bad.row.raw, bad.problems)


class DropCase:
    """One file of one drop, for one handling of it."""

    def __init__(self, standing: Standing, desk: Desk, spool: Spool, journal: Journal) -> None:
        self.standing, self._desk, self._spool, self._journal = standing, desk, spool, journal
        self.facts = FileFacts(standing.name, standing.sha256)
        self.rules = standing.rules
        self.acknowledged = Place(standing.row, standing.line, standing.offset)
        self.published = standing.published
        self.counts: Counts | None = None

    def opened(self) -> IO[bytes]:
        """Open our copy; Unreachable when somebody took it away: the next life takes the file anew."""
        path = self._spool.path(self.standing.drop, self.standing.sha256)
        with said(path):
            return path.open("rb")

    @contextmanager
    def sorting(self, header: Header) -> Iterator[_Tray]:
        """Put bad rows into the quarantine, with the header that lets them be handed in again."""
        quarantine = self._desk.quarantine(self.standing)
        with quarantine.filling(header.raw) as filling:
            yield _Tray(filling)
        if filling.count:
            at, where = self.standing, str(quarantine.reasons)
            say("files-bad-rows", "warning", drop=at.drop, file=at.name, rows=filling.count, where=where)

    def bad_rows(self) -> Iterator[int]:
        """Read the numbers of what is bad."""
        return numbers_in(self._spool.bad_list(self.standing.drop, self.standing.sha256))

    def judged(self, rules: str, counts: Counts) -> None:
        """Note it, and count."""
        self._journal.judged(self.standing, rules, counts.good, counts.bad, counts.repeated)
        self.rules, self.counts = rules, counts
        metrics.ROWS.labels(self.standing.drop, "bad").inc(counts.bad)
        told: dict[str, Any] = {"good": counts.good, "bad": counts.bad, "repeated": counts.repeated}
        where: dict[str, Any] = {"drop": self.standing.drop, "file": self.standing.name}
        say("files-judged", **where, **told)
        for (column, problem), rows in counts.odd.most_common(ODD_TOLD_MAX):
            say("files-odd-rows", "warning", rows=rows, column=column, problem=problem, **where)
        if not counts.rows:
            say("files-without-rows", "warning", **where)

    def note(self, place: Place, published: int) -> None:
        """Note how far it is acknowledged, and count."""
        self.acknowledged, self.published = place, self.published + published
        self._journal.note(self.standing, place.row, place.line, place.offset, self.published)
        metrics.ROWS.labels(self.standing.drop, "published").inc(published)
        metrics.UNDER_WAY_BYTES.labels(self.standing.drop).set(self.standing.size_bytes - place.offset)
