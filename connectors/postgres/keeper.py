"""Keeps a table equal to its view topic: on from where it stopped, or everything anew when that is not
enough.

The table goes from what the topic was to what it is, with nothing between: all up to the topic's end is
read before any of it is shown. What is more than a batch is read aside, in a stage that nobody else sees,
and becomes the table in one transaction. So what was withdrawn while the reader was away is never shown on
the way (V1). Retractions alone do not wait for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from connectors.kafka_positions import PositionsGone, are_beyond
from connectors.kafka_reader import RawRecord
from connectors.postgres import sink_metrics
from connectors.postgres.decoder import Decoder
from connectors.postgres.line import Stopped
from connectors.postgres.sink import Change, Differences, Moved, SinkState, SinkTable
from connectors.postgres.view_table import Rows
from connectors.trouble import Misused, Trouble, Unreachable

RECORDS_MAX = 1_000
WAIT_MS = 200
SHORT_WAIT_MS = 20
"""For the rest of what is already there, which may be a transaction's marker alone: no record comes of it."""
LOOKS = 5
"""How often the end is asked for while reading aside: each time what came meanwhile is a fraction."""
QUIET_S = 30.0
"""How often a sink that has nothing to write says that it is still at the end."""
STILL_S = 30.0
"""How long nothing may come of what is known to be there."""
LOOK_S = 10.0
TOMBSTONES_KEPT_MS = 30 * 24 * 3_600_000  # V1: delete.retention.ms of a view's topic
MARGIN_MS = 3_600_000
CHECK_ATTEMPTS = 5

Say = Callable[..., None]
"""Writes one event into the log: its name and fields, none of which is a person's."""


class Topic(Protocol):
    """A view topic, see `connectors.kafka_positions.TopicPositions`."""

    topic_id: str

    @property
    def count(self) -> int: ...
    def go_to(self, positions: Sequence[int]) -> None: ...
    def go_to_beginning(self) -> None: ...
    def poll(self, records_max: int, wait_ms: int) -> list[RawRecord]: ...
    def positions(self) -> list[int]: ...
    def ends(self) -> list[int]: ...


class Keeper:
    """One agreement's table and topic."""

    def __init__(
        self,
        topic: Topic,
        table: SinkTable,
        rows: Rows,
        decoder: Decoder,
        say: Say,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        is_told: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_told` tells whether to end: then whatever reads on to the topic's end raises Stopped."""
        self._topic, self._table, self._rows, self._decoder = topic, table, rows, decoder
        self._say, self._now_ms, self._is_told = say, now_ms, is_told
        self._state = SinkState(None, None, None, None)
        self._told_ms = self._looked_ms = self._progress_ms = 0
        self._newest = rows.table.version
        self._agreement = rows.table.agreement
        self.reads_anew = False
        """Whether everything is being read anew now."""

    def begin(self) -> None:
        """Find out where to go on, and read everything anew if that cannot be known."""
        self._state = self._table.state()
        why = self._why_anew(self._state)
        if self._state.at_end_ms is not None:  # as an earlier process left it
            self._was_at_end(self._state.at_end_ms)
        if why is None:
            self._reads_anew(False)
            self._topic.go_to(self._state.positions or [])
        else:
            self._read_anew(why)

    def _why_anew(self, state: SinkState) -> str | None:
        if state.positions is None:
            return "first-time"
        if state.topic_id != self._topic.topic_id or len(state.positions) != self._topic.count:
            return "another-topic"
        if state.shape != self._table.table.shape:
            return "agreement-changed"
        if state.at_end_ms is None or self._now_ms() - state.at_end_ms > TOMBSTONES_KEPT_MS - MARGIN_MS:
            return "retractions-may-be-gone"  # V1
        return None

    def step(self) -> int:
        """Bring the table to the topic's end as it is now; return how many records were read for that."""
        try:
            records = self._topic.poll(RECORDS_MAX, WAIT_MS)
            still = self._topic.positions() == self._state.positions
            if still and self._now_ms() - self._told_ms < QUIET_S * 1000:
                return 0
            return self._to_the_end(records)
        except PositionsGone:
            self._read_anew("positions-gone")
        except Moved:
            self._say("sink-moved", agreement=self._agreement)
            self.begin()
        return 0

    def _to_the_end(self, records: list[RawRecord]) -> int:
        """Write these records and what comes behind them; Moved, PositionsGone."""
        # INVARIANT: the end is asked for once these are read, and nothing is written before all up to it was
        # read: a later record may take back what these hold (V1).
        ends = self._ends()
        while not are_beyond(self._topic.positions(), ends) and len(records) < RECORDS_MAX:
            records += self._poll(RECORDS_MAX - len(records), SHORT_WAIT_MS)
        positions = self._topic.positions()
        if are_beyond(positions, ends):
            self._state = self._table.apply(self._state, self._changes(records), positions)
            count = len(records)
        else:
            count = self._catch_up(records)
        self._told_ms = self._now_ms()
        sink_metrics.show_behind(self._agreement, self._state.positions or [], ends)
        self._was_at_end(self._told_ms)
        return count

    def _catch_up(self, records: Sequence[RawRecord]) -> int:
        """Read aside from these records on to the end, then write all of it at once; Moved, PositionsGone."""
        self._table.begin_stage()
        try:
            count = len(records) + self._stage(records)
            self._state = self._table.catch_up(self._state, self._topic.positions())
        finally:
            self._table.end_stage()
        self._say("sink-caught-up", agreement=self._agreement, records=count)
        return count

    def lacks(self) -> set[str]:
        """The columns that the agreement grants and the table does not have: they wait for the DDL."""
        return set(self._rows.table.columns) - set(self._table.table.columns)

    def wants_columns(self) -> bool:
        """Tell, once in a while, whether columns have come that the agreement grants and that lacked."""
        if self._table.table.columns == self._rows.table.columns:
            return False
        if self._now_ms() - self._looked_ms < LOOK_S * 1000:
            return False
        self._looked_ms = self._now_ms()
        return bool(self.lacks() & set(self._table.present()))

    def _read_anew(self, why: str) -> None:
        """Make the table what the topic holds now, and go on from there."""
        self._say("sink-reads-anew", agreement=self._agreement, why=why)
        self._reads_anew(True)
        self._table.begin_stage()
        try:
            self._topic.go_to_beginning()
            count = self._stage()
            positions = self._topic.positions()
            self._state = self._table.replace(self._state, self._topic.topic_id, positions)
        except Moved:
            self.begin()
            return
        finally:
            self._table.end_stage()
        self._reads_anew(False)
        self._was_at_end(self._now_ms())
        self._say("sink-read-anew", agreement=self._agreement, records=count)

    def _reads_anew(self, whether: bool) -> None:
        self.reads_anew = whether
        sink_metrics.READING_ANEW.labels(self._agreement).set(whether)

    def _was_at_end(self, at_ms: int) -> None:
        sink_metrics.AT_END.labels(self._agreement).set(at_ms / 1000)

    def _stage(self, records: Sequence[RawRecord] = ()) -> int:
        """Take these records and all behind them into the stage; what is retracted leaves the table at once.

        The end is asked for again after it was reached: much may have been taken back while much was read.
        """
        self._stage_records(records, taking_back=True)
        count = 0
        for _ in range(LOOKS):
            ends = self._ends()
            if are_beyond(self._topic.positions(), ends):
                break
            count += self._stage_on(ends, taking_back=True)
        return count

    def _stage_on(self, ends: Sequence[int], *, taking_back: bool) -> int:
        count = 0
        while not are_beyond(self._topic.positions(), ends):
            records = self._poll(RECORDS_MAX, WAIT_MS)
            self._stage_records(records, taking_back=taking_back)
            count += len(records)
            sink_metrics.show_behind(self._agreement, self._topic.positions(), ends)
        return count

    def _stage_records(self, records: Sequence[RawRecord], *, taking_back: bool) -> None:
        if not records:
            return
        changes = self._changes(records)
        if taking_back:
            self._table.take_back(changes)
        self._table.stage(changes)

    def _ends(self) -> list[int]:
        """Where the topic ends now, which is to be read to."""
        ends = self._topic.ends()
        self._progress_ms = self._now_ms()
        return ends

    def _poll(self, records_max: int, wait_ms: int) -> list[RawRecord]:
        """The next records before an end that was asked for; Stopped, or Unreachable when it stands still."""
        if self._is_told():
            raise Stopped
        before = self._topic.positions()
        records = self._topic.poll(records_max, wait_ms)
        now_ms = self._now_ms()
        if self._topic.positions() != before:
            self._progress_ms = now_ms
        elif now_ms - self._progress_ms > STILL_S * 1000:
            raise Unreachable(
                "Kafka stopped answering before the view's end",
                where=self._agreement,
                mend="`postroom status` says how Kafka stands; what was read is read again",
            )
        return records

    def _changes(self, records: Sequence[RawRecord]) -> list[Change]:
        found = (self._decoder.change(record, self._rows) for record in records)
        changes = [change for change in found if change is not None]
        for change in changes:
            self._look_at(change.agreement)
        return changes

    def _look_at(self, agreement: str) -> None:
        """Say once when records are of a newer agreement than the one here: they may hold more than we
        take.
        """
        _, _, version = agreement.rpartition("@")
        if version.isascii() and version.isdigit() and int(version) > self._newest:
            self._newest = int(version)
            self._say(
                "sink-agreement-is-newer",
                agreement=self._agreement,
                here=self._rows.table.version,
                there=self._newest,
                mend="bring POSTROOM_AGREEMENTS up to date, then run `postroom sink ddl` again",
            )

    def check(self, within_s: float, wait: Callable[[float], object] = time.sleep) -> Differences:
        """Compare the table with its topic, both as they are at one moment; Trouble when the sink is behind.

        The topic goes on while one reads. So it is read on until the table, looked at in one snapshot, is
        exactly as far. While there is more, a difference may be what the sink has taken back already.
        """
        began_ms = self._now_ms()
        found: Differences | None = None
        self._table.begin_stage()
        self._topic.go_to_beginning()
        self._stage_on(self._ends(), taking_back=False)
        for _ in range(CHECK_ATTEMPTS):
            reached = self._topic.positions()
            while not self._is_at(reached):
                if self._now_ms() - began_ms > within_s * 1000:
                    raise self._behind()
                wait(0.2)
            with self._table.unchanging():
                state = self._table.state()
                found = self._differences() if are_beyond(reached, state.positions or []) else None
            if found is not None and found.none:
                return found
            more = self._stage_on(self._ends(), taking_back=False)
            if found is not None and not more:
                return found
        raise Trouble(
            "the view changes too fast to be compared",
            where=self._agreement,
            mend="try again later",
        )

    def _differences(self) -> Differences:
        found = self._table.differences()
        left = self._table.filled(self._rows.table.withdrawn(self._table.present()))
        return found._replace(columns={**found.columns, **left})

    def _is_at(self, positions: Sequence[int]) -> bool:
        state = self._table.state()
        known = state.topic_id == self._topic.topic_id and len(state.positions or []) == self._topic.count
        return known and are_beyond(state.positions or [], positions)

    def _behind(self) -> Trouble:
        return Trouble(
            "the table is behind its view",
            where=self._table.table.qualified,
            why="what the topic holds was not written within the time",
            mend="`postroom sink run` must run, and its log says what keeps it",
        )


def take_away(rows: Rows, table: SinkTable, say: Say) -> None:
    """Empty at once the columns that the agreement grants no longer; dropping them is the DDL's business."""
    withdrawn = rows.table.withdrawn(table.present())
    if withdrawn and (emptied := table.empty_withdrawn(withdrawn)):
        say("sink-withdrawn", agreement=rows.table.agreement, columns=sorted(withdrawn), rows=emptied)


def fitted(rows: Rows, table: SinkTable, *, partly: bool) -> SinkTable:
    """The table as it can be kept now: Misused unless the DDL of this agreement was run; with `partly` the
    columns that there are will do meanwhile.
    """
    wanted, present = rows.table, table.present()
    if mistyped := wanted.mistyped(present):
        raise _stale(wanted.agreement, "columns of another type", mistyped)
    missing = wanted.missing(present)
    if missing and (not partly or any(name.startswith("postroom_") for name in missing)):
        raise _stale(wanted.agreement, "columns that are missing", missing)
    table.table = wanted.only(present)
    return table


def _stale(agreement: str, what: str, columns: Sequence[str]) -> Misused:
    return Misused(
        "the table is not what the agreement wants",
        where=agreement,
        why=f"{what}: {', '.join(sorted(columns)[:5])}",
        mend=f"run what `postroom sink ddl {agreement}` prints, as the database's owner",
    )
