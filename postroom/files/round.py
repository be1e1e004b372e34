"""One round of one drop: what is under way goes on, what is whole is taken, judged, published, put away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from connectors.files import metrics
from connectors.files.desk import SHOWN_HEX, Desk, NotTaken
from connectors.files.journal import Journal, Standing, State
from connectors.files.place import Drop, Seen
from connectors.files.seen import seen_ids
from connectors.files.spool import Spool
from postroom.console import counted
from postroom.files.case import ODD_TOLD_MAX, DropCase
from postroom.files.left import NO_CHECKSUM, ODD, WRONG, Left
from processors.engine.journal import say
from producers import Publisher
from producers.mapped import Clerk, Counts, Ended, Held, Interrupted, Outcome, Progress, RowMapping, Stopped
from schemas import Addressees, Contracts, parse_duration

PROGRESS_S = 10.0
RETRY_S = 5.0
"""How long a drop waits whose contract or topic is not there; the others go on meanwhile."""

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows how long work comes along: a title, how many bytes, and a function that takes more of them."""


class Ruled(NamedTuple):
    """A drop and what its files are read by; `digest` names that, `written_ms` says since when it is so."""

    drop: Drop
    mapping: RowMapping
    digest: str
    written_ms: int


@dataclass
class Told:
    """What became of files, for whoever asks at the end."""

    published: int = 0
    rows: int = 0
    bad_rows: int = 0
    odd: list[str] = field(default_factory=list)
    """What is odd in files that were published all the same."""
    left: list[str] = field(default_factory=list)
    """Files that were not published, or not taken, each with why and what to do."""

    def take(self, name: str, counts: Counts | None) -> None:
        """Take what a file was judged to be; None: it was not judged now."""
        if counts is None:
            return
        self.bad_rows += counts.bad
        self.odd += [
            f"{name}: {column}: {problem}: {counted(rows, 'row')}, published all the same"
            for (column, problem), rows in counts.odd.most_common(ODD_TOLD_MAX)
        ]
        if not counts.rows:
            self.odd.append(f"{name} has no row, so it came and says nothing")


class Office(NamedTuple):
    """What every drop shares. `publisher` makes one that speaks for an owner; `is_stopped`: it is to end."""

    contracts: Contracts
    spool: Spool
    journal: Journal
    publisher: Callable[[str], Publisher]
    bar: Bar
    is_stopped: Callable[[], bool]
    told: Told
    addressees: Addressees | None = None


class Round:
    """What is done with one drop, again and again; BrokerUnreachable."""

    def __init__(self, ruled: Ruled, office: Office) -> None:
        self._ruled, self._office = ruled, office
        keeps = ruled.mapping.form.when_done == "keep"
        self._desk = Desk(ruled.drop, office.spool, office.journal, _now_ms, time.monotonic, keeps=keeps)
        self._begun = False
        self._held_until_s = 0.0
        self._said: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The drop's."""
        return self._ruled.drop.name

    def run(self, *, lies_still: bool) -> bool:
        """Do all that can be done now; whether anything could. `lies_still`: as :meth:`Desk.take` has it.

        Trouble when something is wrong with the drop's directories or with ours: the next round begins anew.
        """
        if not self._begun:
            self._desk.begin()
        self._begun = False
        worked = self._work(lies_still=lies_still)
        self._begun = True
        return worked

    def _work(self, *, lies_still: bool) -> bool:
        worked = False
        for standing in self._desk.under_way():
            if not self._is_held():
                worked |= self._handle(standing)
        for seen in self._desk.look():
            if self._office.is_stopped() or self._is_held():
                break
            if seen.print is None:
                self._say_once(seen, ODD[seen.odd] if seen.odd else NO_CHECKSUM)
            else:
                worked |= self._take(seen, lies_still=lies_still)
        return worked

    def _is_held(self) -> bool:
        """Whether what the drop publishes to is not there: then what comes after waits too."""
        return time.monotonic() < self._held_until_s

    def _take(self, seen: Seen, *, lies_still: bool) -> bool:
        with self._bar("taking", seen, seen.print[1] if seen.print else 0) as advance:
            try:
                found = self._desk.take(seen, advance, lies_still=lies_still)
            except Stopped:
                return False
        if found.standing is not None and found.why is None:
            at = found.standing
            say("files-taken", file=at.name, sha256=at.sha256[:SHOWN_HEX], bytes=at.size_bytes, **self._where)
            return self._handle(at)
        if found.why is NotTaken.KNOWN:
            metrics.FILES.labels(self.name, "known").inc()
            _tell_due(self._ruled, _now_ms())  # a register in which nothing changed came all the same
            say("files-known", file=seen.shown, **self._where)
            return True
        if found.why is NotTaken.WRONG:
            return self._wrong(seen)
        return False

    def _wrong(self, seen: Seen) -> bool:
        self._say_once(seen, WRONG)
        if not self._desk.is_stalled(seen):
            return False
        self._desk.refuse_wrong(seen)
        metrics.FILES.labels(self.name, "refused").inc()
        say("files-refused", "warning", file=seen.shown, why=WRONG.why, **self._where)
        return True

    def _handle(self, standing: Standing) -> bool:
        office, ruled = self._office, self._ruled
        case = DropCase(standing, self._desk, office.spool, office.journal)
        clerk = Clerk(ruled.mapping, office.contracts, ruled.digest, _now_ms, seen_ids, office.addressees)
        with self._progress(standing) as progress:
            try:
                outcome = clerk.handle(case, office.publisher(ruled.mapping.owner), progress)
            finally:
                office.told.rows += case.published - standing.published
                office.told.take(standing.name, case.counts)
        self._tell(standing, case, outcome)
        return isinstance(outcome, Ended)

    def _tell(self, at: Standing, case: DropCase, outcome: Outcome) -> None:
        where: dict[str, Any] = {"file": at.name, **self._where}
        match outcome:
            case Interrupted():
                return
            case Held(refused):
                self._held_until_s = time.monotonic() + RETRY_S
                if self._said.get(at.name) != refused.why:
                    say("files-holds", "warning", why=refused.why, mend=refused.mend, **where)
                    self._office.told.left.append(f"{at.name} waits: {refused.why}; {refused.mend}")
                self._said[at.name] = refused.why
                return
            case Ended(None):
                self._desk.end(at, State.PUBLISHED)
                tell_published(self._ruled, _now_ms())
                say("files-published", rows=case.published, **where)
                self._office.told.published += 1
            case Ended(stop, why, mend):
                self._desk.end(at, State.REFUSED, why, mend)
                say("files-refused", "warning", reason=str(stop), why=why, mend=mend, **where)
                self._office.told.left.append(f"{at.name} is refused: {why}; {mend}")
        metrics.UNDER_WAY_BYTES.labels(at.drop).set(0)
        metrics.FILES.labels(at.drop, "published" if outcome.stop is None else "refused").inc()
        self._said.pop(at.name, None)

    def _say_once(self, seen: Seen, left: Left) -> None:
        """Of what lies there and is not taken the log has once why."""
        if self._said.get(seen.name) != left.reason:
            say("files-left", file=seen.shown, **left._asdict(), **self._where)
            self._office.told.left.append(f"{seen.shown} is not taken: {left.why}; {left.mend}")
        self._said[seen.name] = left.reason

    @property
    def _where(self) -> dict[str, Any]:
        return {"drop": self.name}

    @contextmanager
    def _bar(self, what: str, seen: Seen, size_bytes: int) -> Iterator[Callable[[int], None]]:
        with self._office.bar(f"{what} {seen.shown}", size_bytes) as advance:
            yield self._stopping(advance)

    def _stopping(self, advance: Callable[[int], None]) -> Callable[[int], None]:
        def told(count: int) -> None:
            if self._office.is_stopped():
                raise Stopped
            advance(count)

        return told

    @contextmanager
    def _progress(self, at: Standing) -> Iterator[Progress]:
        """Bars for judging and publishing, each begun when its first row comes."""
        with ExitStack() as bars:

            def shown(what: str, left_bytes: int) -> Callable[[int], None]:
                begun: list[Callable[[int], None]] = []

                def advance(count: int) -> None:
                    if not begun:
                        begun.append(bars.enter_context(self._office.bar(f"{what} {at.name}", left_bytes)))
                    begun[0](count)

                return self._stopping(advance)

            yield Progress(shown("judging", at.size_bytes), shown("publishing", at.size_bytes - at.offset))


def tell_published(ruled: Ruled, at_ms: int) -> None:
    """Tell when a drop's last file was published (0: never), and so when the next is due."""
    metrics.LAST_PUBLISHED.labels(ruled.drop.name).set(at_ms / 1000)
    _tell_due(ruled, at_ms or ruled.written_ms)


def _tell_due(ruled: Ruled, came_ms: int) -> None:
    within = ruled.mapping.form.expect_within
    if within is not None:
        metrics.DUE.labels(ruled.drop.name).set(parse_duration(within).after(came_ms) / 1000)


@contextmanager
def logged(title: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Progress for whoever reads a log: a line every ten seconds of work that takes longer."""
    come_bytes, told_s = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal come_bytes, told_s
        come_bytes += count
        if time.monotonic() - told_s > PROGRESS_S:
            told_s = time.monotonic()
            say("files-progress", what=title, percent=round(100 * come_bytes / max(1, total_bytes)))

    yield advance


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
