"""What is done with a file that was taken: judged as a whole, then published row by row, each once.

Everything that must outlive the process is the case's: what is bad in it, and how far Kafka has acknowledged
it. A clerk that is killed anywhere leaves a case that another clerk goes on with. Rows that went out and were
not noted go out again as the same events (E1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, NamedTuple, Protocol

from producers.files import Line
from producers.mapped.mapping import Event, FileFacts, RowMapping
from producers.mapped.rows import FileWrong, Header, Place, Row, read_header, read_rows
from producers.mapped.sifting import Bad, Counts, Verdict, sift
from producers.publisher import NotPublished, Publisher, Result
from producers.ready import Refused
from producers.reused import Seen
from schemas import Addressees, Contracts

NOTED_EVERY_ROWS = 500
"""How many acknowledged rows may be sent again after a kill, beside those under way."""


class Tray(Protocol):
    """Where bad rows are put while a file is judged; it counts when the judging came to its end."""

    def put(self, bad: Bad) -> None:
        """Put one aside, with its reasons."""


class Case(Protocol):
    """One file that was taken: our own copy of it, and what is known of it."""

    @property
    def facts(self) -> FileFacts: ...
    @property
    def rules(self) -> str | None:
        """By which rules it was judged; None: not yet."""

    @property
    def acknowledged(self) -> Place:
        """Behind the last row up to which Kafka has acknowledged everything."""

    def opened(self) -> IO[bytes]:
        """The copy, from its beginning."""

    def sorting(self, header: Header) -> AbstractContextManager[Tray]:
        """A new tray; what it holds is there once this has ended well, and the one before until then."""

    def bad_rows(self) -> Iterator[int]:
        """The numbers of the rows in the tray, in order."""

    def judged(self, rules: str, counts: Counts) -> None:
        """Note that it was judged."""

    def note(self, place: Place, published: int) -> None:
        """Note how far everything is acknowledged, and how many rows that were since the last time."""


class Stop(StrEnum):
    """Why a file is not published at all."""

    WRONG = "file-wrong"
    TOO_MANY_BAD = "too-many-bad-rows"


class Ended(NamedTuple):
    """A file that is done with: published but for its bad rows, or (`stop`) refused as a whole."""

    stop: Stop | None = None
    why: str = ""
    mend: str = ""


class Held(NamedTuple):
    """A file that cannot go on yet: a contract is not registered, a topic is not there."""

    refused: Refused


class Interrupted(NamedTuple):
    """A file that was left because the process is to end."""


Outcome = Ended | Held | Interrupted


class Stopped(Exception):  # noqa: N818 - what was asked of us
    """Whoever watches the progress wants it to end."""


@dataclass
class Progress:
    """How far a file has come, for whoever shows it: called with the bytes of each row. Raises Stopped."""

    judging: Callable[[int], None] = field(default=lambda _: None)
    publishing: Callable[[int], None] = field(default=lambda _: None)


class Clerk:
    """Handles the cases of one mapping. `rules` names mapping and contracts: what was judged by others is
    judged again; `seen` makes a new memory of ids; `addressees` are those that a statement may name.
    """

    def __init__(
        self,
        mapping: RowMapping,
        contracts: Contracts,
        rules: str,
        now_ms: Callable[[], int],
        seen: Callable[[], AbstractContextManager[Seen]],
        addressees: Addressees | None = None,
    ) -> None:
        self._mapping, self._contracts, self._rules = mapping, contracts, rules
        self._now_ms, self._seen, self._addressees = now_ms, seen, addressees

    def handle(self, case: Case, publisher: Publisher, progress: Progress) -> Outcome:
        """Judge a case, unless that was done, and publish what is left of it; BrokerUnreachable."""
        try:
            if case.rules != self._rules and (stop := self._judge(case, progress)) is not None:
                return stop
            return self._publish(case, publisher, progress)
        except FileWrong as wrong:
            return Ended(Stop.WRONG, wrong.what, wrong.mend)
        except Stopped:
            return Interrupted()

    def _judge(self, case: Case, progress: Progress) -> Ended | None:
        form, counts = self._mapping.form, Counts()
        with case.opened() as stream, self._seen() as seen:
            header = read_header(stream, form, self._mapping.columns)
            rows = _told(read_rows(stream, form, header), progress.judging)
            with case.sorting(header) as tray:
                for verdict in self._verdicts(rows, case.facts, seen):
                    counts.take(verdict)
                    if isinstance(verdict, Bad):
                        tray.put(verdict)
        # INVARIANT: noted only once the tray is there: a row that is neither published nor put aside is lost.
        case.judged(self._rules, counts)
        if counts.bad_percent > form.refuse_above_percent:
            why = f"{counts.bad} of {counts.rows} rows are bad"
            mend = "`postroom files check` names them; mend the file, or the mapping, and hand it in again"
            return Ended(Stop.TOO_MANY_BAD, why, mend)
        return None

    def _verdicts(self, rows: Iterator[Row], facts: FileFacts, seen: Seen) -> Iterator[Verdict]:
        return sift(rows, self._mapping, facts, self._contracts, self._now_ms, seen, self._addressees)

    def _publish(self, case: Case, publisher: Publisher, progress: Progress) -> Outcome:
        form, run = self._mapping.form, _Run(case)
        with case.opened() as stream:
            header = read_header(stream, form, self._mapping.columns)
            rows = read_rows(stream, form, header, case.acknowledged)
            try:
                for result in publisher.publish(self._lines(run.told(rows, progress), case, run)):
                    run.take(result)
            finally:
                run.note()
        if run.held is not None:
            return Held(run.held.refused)
        return Interrupted() if run.was_stopped else Ended()

    def _lines(self, rows: Iterator[Row], case: Case, run: _Run) -> Iterator[Line]:
        """The rows that were judged good, as lines for the publisher."""
        bad = case.bad_rows()
        next_bad = next(bad, None)
        for row in rows:
            number = row.place.row
            while next_bad is not None and next_bad < number:
                next_bad = next(bad, None)
            if number == next_bad:
                continue
            event = None if row.cells is None else self._mapping.event(row.cells, number, case.facts)
            if not isinstance(event, Event):
                # What was judged good reads otherwise now: our own copy was changed behind our back.
                raise FileWrong(
                    f"row {number} is not what it was when it was judged", "hand the file in again"
                )
            run.sent(row)
            yield Line(number, event.line, len(event.line))


class _Run:
    """What is under way to Kafka, in order, and how far everything before is acknowledged."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._under_way: deque[Place] = deque()
        self._numbers: deque[int] = deque()
        self._place, self._count = case.acknowledged, 0
        self.was_stopped = False
        self.held: NotPublished | None = None

    def sent(self, row: Row) -> None:
        self._numbers.append(row.place.row)
        self._under_way.append(row.behind)

    def take(self, result: Result) -> None:
        """Take one result. Kafka's answers come in the order of the rows, a refusal at once."""
        if isinstance(result, NotPublished):
            if self.held is None or result.number < self.held.number:
                self.held = result
        elif self.held is None or result.number < self.held.number:
            # INVARIANT: nothing behind a row that did not go is taken for acknowledged.
            while self._numbers and self._numbers[0] <= result.number:
                self._numbers.popleft()
                self._place = self._under_way.popleft()
                self._count += 1
            if self._count >= NOTED_EVERY_ROWS:
                self.note()

    def told(self, rows: Iterator[Row], progress: Progress) -> Iterator[Row]:
        """The rows until one could not go, or somebody wants it to end: what is under way is waited for."""
        try:
            for row in _told(rows, progress.publishing):
                if self.held is not None:
                    return
                yield row
        except Stopped:
            self.was_stopped = True

    def note(self) -> None:
        """Write down how far it has come."""
        if self._count:
            self._case.note(self._place, self._count)
            self._count = 0


def _told(rows: Iterator[Row], advance: Callable[[int], None]) -> Iterator[Row]:
    """The rows, while a bar moves; Stopped out of it ends them."""
    for row in rows:
        advance(row.behind.offset - row.place.offset)
        yield row
