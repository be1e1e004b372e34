"""`postroom files check`: a mapping against its contract and a file, offline, and nobody's data shown.

Nothing is published and nothing is asked of Kafka or a registry. What is wrong is named by row, line and
column, with what to do about it; of the header only names that the mapping knows, or nearly.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postroom.errors import UserError
from postroom.output import Form, write_json, write_line, write_rows

if TYPE_CHECKING:
    from producers.mapped import Bad, Counts, RowMapping, Verdict
    from schemas import Addressees, Contracts

FAULT_COLUMNS = ("line", "key", "problem")
ROW_COLUMNS = ("row", "line", "column", "expected", "mend")
SUM_COLUMNS = ("column", "expected", "rows", "first", "mend")
PIECE_BYTES = 1_048_576
KINDS_SHOWN_MAX = 50
KINDS_MAX = 1_000
"""Kinds of problems that are counted apart; there are a few for each column."""


@dataclass
class Findings:
    """All that is wrong with a mapping or a file, as far as it is shown."""

    faults: list[dict[str, Any]] = field(default_factory=list)
    file: dict[str, str] | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    first: dict[tuple[str, str, str], int] = field(default_factory=dict)
    counts: Counts | None = None
    refuse_above_percent: float = 100.0

    @property
    def are_any(self) -> bool:
        """Whether something is wrong."""
        return bool(self.faults or self.file or (self.counts and self.counts.bad))

    def take(self, bad: Bad, show: int) -> None:
        """Take a bad row: its problems while there is room, and the kinds of them."""
        place = bad.row.place
        for problem in bad.problems:
            kind = (problem.column, problem.expected, problem.mend)
            if kind in self.kinds or len(self.kinds) < KINDS_MAX:
                self.kinds[kind] += 1
                self.first.setdefault(kind, place.row)
            if len(self.rows) < show:
                named = {"column": problem.column, "expected": problem.expected, "mend": problem.mend}
                self.rows.append({"row": place.row, "line": place.line} | named)


def look(mapping_file: Path, file: Path | None, contracts_dir: Path, show: int) -> Findings:
    """Everything that is wrong; UserError for what cannot be read at all."""
    from postroom.inputs import addressees_at, contracts_at
    from postroom.mappings import mapping_at
    from postroom.settings import settings
    from producers.mapped import FileWrong, MappingWrong

    found, contracts = Findings(), contracts_at(contracts_dir)
    try:
        mapping = mapping_at(mapping_file, contracts)
    except MappingWrong as wrong:
        found.faults = [fault._asdict() for fault in wrong.faults]
        return found
    found.refuse_above_percent = mapping.form.refuse_above_percent
    if file is not None:
        try:
            addressees = addressees_at(settings().agreements_dir, contracts)
            _look_at_file(found, _verdicts(mapping, file, contracts, addressees), show)
        except FileWrong as wrong:
            found.file = {"problem": wrong.what, "mend": wrong.mend}
    return found


def _look_at_file(found: Findings, through: Generator[Verdict], show: int) -> None:
    from producers.mapped import Bad, Counts

    found.counts = Counts()
    with closing(through) as verdicts:
        for verdict in verdicts:
            found.counts.take(verdict)
            if isinstance(verdict, Bad):
                found.take(verdict, show)


def _verdicts(
    mapping: RowMapping, file: Path, contracts: Contracts, addressees: Addressees | None
) -> Generator[Verdict]:
    from connectors.files.seen import seen_ids
    from postroom.console import counting
    from producers.mapped import FileFacts, read_header, read_rows, sift

    try:
        size_bytes = file.stat().st_size
        with file.open("rb") as stream, seen_ids() as seen:
            digest = hashlib.sha256()
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
            stream.seek(0)
            facts = FileFacts(file.name, digest.hexdigest())
            header = read_header(stream, mapping.form, mapping.columns)
            with counting("checking", size_bytes) as advance:
                rows = read_rows(stream, mapping.form, header)
                for verdict in sift(rows, mapping, facts, contracts, _now_ms, seen, addressees):
                    yield verdict
                    advance(verdict.row.behind.offset - verdict.row.place.offset)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UserError("the file cannot be read", where=str(file), why=why) from error


def write(found: Findings, output: Form) -> None:
    """Write all of it: tables for a person, one document for a program."""
    sums = [
        {
            "column": column,
            "expected": expected,
            "rows": count,
            "first": found.first[column, expected, mend],
            "mend": mend,
        }
        for (column, expected, mend), count in found.kinds.most_common(KINDS_SHOWN_MAX)
    ]
    if output is Form.TABLE:
        tables = (found.faults, FAULT_COLUMNS), (sums, SUM_COLUMNS), (found.rows, ROW_COLUMNS)
        for rows, columns in tables:
            if rows:
                write_rows(rows, output, columns)
        return
    counts = found.counts
    told = {"good": counts.good, "bad": counts.bad, "repeated": counts.repeated} if counts else None
    document = {
        "mapping": found.faults,
        "file": found.file,
        "counts": told,
        "problems": sums,
        "warnings": [
            {"column": column, "problem": problem, "rows": rows}
            for (column, problem), rows in (counts.odd if counts else Counter()).most_common()
        ],
        "rows": found.rows,
    }
    (write_line if output is Form.JSONL else write_json)(document)


def tell(found: Findings) -> None:
    """Sum it up in words, and say what comes next."""
    from postroom.console import counted, say

    if found.faults:
        say(
            f"the mapping cannot be used: {len(found.faults)} to mend, each with the line of the mapping file"
        )
    if found.file:
        say(f"the file would be refused as a whole: {found.file['problem']}; {found.file['mend']}")
    if (counts := found.counts) is not None and not found.file:
        good, bad = counted(counts.good, "row becomes an event", "rows become events"), counts.bad
        say(f"{good}, {bad or 'none'} bad, {counts.repeated or 'none'} repeated")
        if counts.bad_percent > found.refuse_above_percent:
            say(f"more than {found.refuse_above_percent:g} % is bad: nothing of the file would be published")
        elif counts.bad:
            say("the bad rows would be put aside with their reasons, the others published")
    odd = counts.odd if counts else Counter()
    for (column, problem), rows in odd.most_common(KINDS_SHOWN_MAX):
        say(f"warning, {counted(rows, 'row')}: {column}: {problem}")
    if not found.are_any and not odd:
        say("nothing is wrong")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
