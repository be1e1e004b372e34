"""A mapping under its contract: from a row of a department's own file to one event (E1, E3).

The same row of the same file gives the same event, whoever sends it and whenever: its id is made of the row
alone, and its time stands in the row or in the file's name. So a file that is sent again, or half again after
a kill, says nothing twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from producers.mapped.conversions import AT_SOURCE, text_of
from producers.mapped.forms import IdForm, MappingForm, TimeForm
from producers.mapped.moments import instant_of, parse_moment, read_format
from producers.mapped.problem import RowProblem
from producers.mapped.tree import Branch
from producers.ready import Refused
from schemas import (
    Contract,
    ContractMismatch,
    Contracts,
    IdentifierField,
    IdentifierInvalid,
    Rejection,
    beginning,
    format_instant,
    owner_of,
    parse_instant,
)

Cells = Mapping[str, object]
"""A row: columns with their cells, text in CSV, any value of JSON in JSON Lines."""


class Event(NamedTuple):
    """A row's event: its CloudEvent in JSON, and its data for saying what is wrong with it."""

    id: str
    line: bytes
    data: dict[str, object]


class FileFacts(NamedTuple):
    """What a row's event takes from its file: its name, and the SHA-256 of its content."""

    name: str
    sha256: str


class RowMapping:
    """One mapping, ready; `columns` are those that it reads."""

    def __init__(
        self, form: MappingForm, contract: Contract, contracts: Contracts, root: Branch, key: bytes | None
    ) -> None:
        self.form, self.contract, self.owner = form, contract, str(owner_of(form.source))
        self._contracts, self._root, self._key = contracts, root, key
        self._nothing = frozenset(form.nothing)
        self._time = _time(form.time)
        self.id_columns = tuple(form.id.columns) if isinstance(form.id, IdForm) else ()
        time_columns = [form.time.column] if form.time.column is not None else []
        self.columns = tuple(dict.fromkeys([*root.columns(), *self.id_columns, *time_columns]))

    @property
    def ids_are_given(self) -> bool:
        """Whether two rows of a file may claim to be one event."""
        return bool(self.id_columns)

    def event(self, cells: Cells, number: int, file: FileFacts) -> Event | list[RowProblem]:
        """The event of row `number`, or all that keeps it from being one."""
        problems: list[RowProblem] = []
        found = {name: self._cell(cells, name) for name in self.columns}
        data = self._root.build(found, problems)
        time = self._when(found, file, problems)
        name = self._id(found, number, file, problems)
        if problems:
            return problems
        made = {"specversion": "1.0", "id": name, "source": self.form.source, "type": self.contract.type}
        try:
            line = msgspec.json.encode(made | {"time": time, "data": data})
        except (UnicodeEncodeError, TypeError, OverflowError):
            return [RowProblem("", "text of Unicode and numbers of JSON", AT_SOURCE)]
        return Event(name, line, data if isinstance(data, dict) else {})

    def explain(self, event: Event, refused: Refused) -> list[RowProblem]:
        """Say by columns what intake's checks have against an event."""
        if refused.reason is Rejection.CONTRACT_MISMATCH:
            try:
                self.contract.from_json(event.data)
            except ContractMismatch as error:
                return [RowProblem(self.column_at(path), what, AT_SOURCE) for path, what in error.problems]
        if refused.reason is Rejection.IDENTIFIER_INVALID:
            return [
                RowProblem(self.column_at(f"$.{field.name}"), f"an identifier ({invalid})", AT_SOURCE)
                for field in identifier_fields(self.contract)
                if (invalid := self._unknown(field, event.data.get(field.name))) is not None
            ]
        of_time = refused.reason in (Rejection.TIME_IN_FUTURE, Rejection.TIME_TOO_OLD)
        column = self.form.time.column or "(the file's name)" if of_time else ""
        return [RowProblem(column, refused.why, refused.mend)]

    def column_at(self, path: str) -> str:
        """The column that a path of the data comes from; the path itself where none does."""
        return self._root.column_at(path.removeprefix("$").strip("."), path)

    def _cell(self, cells: Cells, name: str) -> object:
        """A cell without the blanks around it; None when it says nothing."""
        cell = cells.get(name) if not name.startswith("/") else _pointed(cells, name)
        if type(cell) is str:
            cell = cell.strip()
            return None if cell in self._nothing else cell
        return cell

    def _when(self, found: Cells, file: FileFacts, problems: list[RowProblem]) -> str:
        form = self.form.time
        text, column = (
            (file.name, "(the file's name)")
            if form.column is None
            else (text_of(found[form.column]) or "", form.column)
        )
        if not text:
            problems.append(RowProblem(column, "the time at which this was recorded", AT_SOURCE))
            return ""
        try:
            return format_instant(self._time(text))
        except ValueError:
            written = form.name or form.timestamp or form.date or "as 2026-03-02T09:00:00Z or 2026-03-02"
            mend = f"{AT_SOURCE}, or say in `time` how it is written"
            problems.append(RowProblem(column, f"a real moment written {written}", mend))
            return ""

    def _id(self, found: Cells, number: int, file: FileFacts, problems: list[RowProblem]) -> str:
        form = self.form.id
        if not isinstance(form, IdForm):
            # A later row has the greater id, and wins where two rows state the same at the same time (R2).
            return f"{self._digest(file.sha256.encode())[:24]}-{number:09d}"
        parts = [text_of(found[name]) for name in form.columns]
        for name, part in zip(form.columns, parts, strict=True):
            if part is None and found[name] is not None:
                problems.append(RowProblem(name, "a text or a whole number, for the event's id", AT_SOURCE))
        if not any(parts):
            problems.append(
                RowProblem(form.columns[0], "something that the event's id is made of", AT_SOURCE)
            )
        return self._digest(*((part or "").encode("utf-8", "replace") for part in parts))[:32]

    def _digest(self, *parts: bytes) -> str:
        """A hash of what makes the event this one; its type too, for two of one source may share a number."""
        content = b"".join(b"%d:%s" % (len(part), part) for part in (self.contract.type.encode(), *parts))
        if self._key is None:
            return hashlib.sha256(content).hexdigest()
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()

    def _unknown(self, field: IdentifierField, value: object) -> IdentifierInvalid | None:
        if not isinstance(value, str):
            return None
        try:
            if field.scheme == "*":
                self._contracts.schemes.parse(value, field.schemes)
            else:
                self._contracts.schemes.canonical(field.scheme, value)
        except IdentifierInvalid as invalid:
            return invalid
        return None


def _pointed(cells: Cells, pointer: str) -> object:
    """What a JSON Pointer (RFC 6901) names in a row of JSON; None when nothing is there."""
    at: object = cells
    for part in pointer[1:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, Mapping):
            at = at.get(name)
        elif isinstance(at, list) and name.isdecimal() and int(name) < len(at):
            at = at[int(name)]
        else:
            return None
    return at


def _time(form: TimeForm) -> Callable[[str], int]:
    written = form.name or form.timestamp or form.date
    if written is None:
        return lambda text: beginning(text) if len(text) == 10 else parse_instant(text)
    format_ = read_format(written)
    return lambda text: instant_of(parse_moment(text, format_), form.zone)


def identifier_fields(contract: Contract) -> tuple[IdentifierField, ...]:
    """Every field of a contract that holds an identifier."""
    other = () if contract.other is None else (contract.other,)
    return (contract.subject, *contract.links, *other)
