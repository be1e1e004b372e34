"""Keeps a table equal to its view topic: on from where it stopped, or everything anew when that is not
enough.

Reading anew happens aside, in a stage that nobody else sees, and becomes the table in one transaction. So
what was withdrawn while the reader was away is never shown on the way from an old state to the present one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from connectors.kafka_positions import PositionsGone, are_beyond
from connectors.kafka_reader import RawRecord
from connectors.postgres import sink_metrics
from connectors.postgres.sink import Change, Differences, Moved, SinkState, SinkTable
from connectors.postgres.view_table import Rows, without_nul
from connectors.trouble import Misused, Trouble
from schemas import ContractMismatch, PlainCodec, unframe

RECORDS_MAX = 1_000
WAIT_MS = 200
QUIET_S = 30.0
"""How often a sink that has nothing to write says that it is still at the end."""
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


class Decoder:
    """View records as changes of a table; `schema_by_id` asks the registry."""

    def __init__(self, schema_by_id: Callable[[int], Mapping[str, Any] | None]) -> None:
        self._schema_by_id = schema_by_id
        self._schemas: dict[int, tuple[Mapping[str, Any], PlainCodec]] = {}

    def change(self, record: RawRecord, rows: Rows) -> Change | None:
        """One record; None for one without a key, which no view has. Trouble when it is no view."""
        if record.key is None:
            return None
        headers = [(name, value.decode("utf-8", "replace")) for name, value in record.headers]
        first = dict(reversed(headers))
        try:
            row = None if record.value is None else self._row(record.value, rows)
            sequence = int(first["postroom_sequence"])
        except (ContractMismatch, ValueError, KeyError):
            raise Trouble(
                "a record of the view's topic is not a view",
                where=f"{record.topic}, partition {record.partition}, offset {record.offset}",
                mend="whoever wrote it is not Postroom: look who may (`postroom access list`)",
            ) from None
        return Change(
            str(without_nul(record.key.decode("utf-8", "replace"))),
            row,
            sequence,
            first.get("postroom_agreement", ""),
            record.timestamp_ms,
            tuple(value for name, value in headers if name == "postroom_supersedes"),
        )

    def _row(self, framed: bytes, rows: Rows) -> dict[str, object]:
        schema_id, body = unframe(framed)
        if schema_id not in self._schemas:
            schema = self._schema_by_id(schema_id)
            if schema is None:
                raise Trouble(
                    "the registry does not know a view's schema",
                    where=f"schema id {schema_id}",
                    mend="POSTROOM_REGISTRY must be the one that the workers use",
                )
            self._schemas[schema_id] = schema, PlainCodec(schema)
        schema, codec = self._schemas[schema_id]
        return rows.row(codec.decode(body), schema)


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
    ) -> None:
        self._topic, self._table, self._rows, self._decoder = topic, table, rows, decoder
        self._say, self._now_ms = say, now_ms
        self._state = SinkState(None, None, None, None)
        self._told_ms = self._looked_ms = 0
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
        """Write what has come meanwhile; return how many records that was."""
        try:
            records = self._topic.poll(RECORDS_MAX, WAIT_MS)
        except PositionsGone:
            self._read_anew("positions-gone")
            return 0
        changes = self._changes(records)
        positions = self._topic.positions()
        if positions == self._state.positions and self._now_ms() - self._told_ms < QUIET_S * 1000:
            return 0
        ends = self._topic.ends()
        at_end = are_beyond(positions, ends)
        try:
            self._state = self._table.apply(self._state, changes, positions, at_end=at_end)
            self._told_ms = self._now_ms()
            sink_metrics.show_behind(self._agreement, positions, ends)
            if at_end:
                self._was_at_end(self._told_ms)
        except Moved:
            self._say("sink-moved", agreement=self._agreement)
            self.begin()
            return 0
        return len(records)

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
        count = self._stage()
        try:
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

    def _stage(self) -> int:
        """Read the topic to what is now its end into the stage."""
        self._table.begin_stage()
        self._topic.go_to_beginning()
        return self._stage_on(self._topic.ends())

    def _stage_on(self, ends: Sequence[int]) -> int:
        count = 0
        while not are_beyond(self._topic.positions(), ends):
            records = self._topic.poll(RECORDS_MAX, WAIT_MS)
            if records:
                self._table.stage(self._changes(records))
                count += len(records)
            sink_metrics.show_behind(self._agreement, self._topic.positions(), ends)
        return count

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
        exactly as far.
        """
        began_ms = self._now_ms()
        self._stage()
        for _ in range(CHECK_ATTEMPTS):
            reached = self._topic.positions()
            while not self._is_at(reached):
                if self._now_ms() - began_ms > within_s * 1000:
                    raise self._behind()
                wait(0.2)
            with self._table.unchanging():
                state = self._table.state()
                if are_beyond(reached, state.positions or []):
                    found = self._table.differences()
                    left = self._table.filled(self._rows.table.withdrawn(self._table.present()))
                    return found._replace(columns={**found.columns, **left})
            self._stage_on(self._topic.ends())
        raise Trouble(
            "the view changes too fast to be compared",
            where=self._agreement,
            mend="try again later",
        )

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
