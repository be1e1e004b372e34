"""A mapping under its contract: from a row of a department's own file to one event (E1, E3).

The same row of the same file gives the same event, whoever sends it and whenever: its id is made of the row
alone, and its time stands in the row or in the file's name. So a file that is sent again, or half again after
a kill, says nothing twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from producers.mapped.conversions import AT_SOURCE, CannotConvert, Convert, converter, text_of
from producers.mapped.forms import CellForm, Fault, IdForm, MappingForm, MappingWrong, TimeForm, read_form
from producers.mapped.moments import instant_of, parse_moment, read_format
from producers.mapped.problem import RowProblem
from producers.mapped.tree import Branch, plan
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
from schemas.yaml_lines import Lines, line_of

Cells = Mapping[str, object]
"""A row: columns with their cells, text in CSV, any value of JSON in JSON Lines."""
ReadKey = Callable[[str], bytes]
"""Reads the key that a mapping names, beside it; MappingWrong is made of the ValueError that it raises."""


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


def read_mapping(text: str, contracts: Contracts, read_key: ReadKey) -> RowMapping:
    """A mapping from its file's text, under the contracts in force; MappingWrong with all that is wrong."""
    form, lines = read_form(text)
    reading = _Reading(form, lines, contracts)
    contract = contracts.by_type.get(form.contract)
    if contract is None:
        reading.fault(("contract",), _no_contract(form.contract, contracts))
        raise MappingWrong(reading.faults)
    root = reading.plan(contract)
    reading.look_at_source(contract)
    reading.look_at_columns()
    reading.look_at_id(contract)
    key = reading.key(read_key)
    if reading.faults:
        raise MappingWrong(sorted(reading.faults))
    return RowMapping(form, contract, contracts, root, key)


def _no_contract(type_: str, contracts: Contracts) -> str:
    import difflib

    near = difflib.get_close_matches(type_, contracts.by_type, n=1)
    hint = f"did you mean {near[0]}?" if near else "`postroom contract docs` lists them"
    return f"there is no such contract; {hint}"


class _Reading:
    """One reading of a mapping, whose faults pile up."""

    def __init__(self, form: MappingForm, lines: Lines, contracts: Contracts) -> None:
        self._form, self._lines, self._contracts = form, lines, contracts
        self.faults: list[Fault] = []

    def fault(self, place: tuple[str | int, ...], problem: str) -> None:
        """Add one, at its line."""
        self.faults.append(Fault(line_of(self._lines, place), ".".join(map(str, place)), problem))

    def plan(self, contract: Contract) -> Branch:
        """The fields as a tree beside the contract's; what does not go together is added to the faults."""

        def convert(field: str, form: CellForm, type_: object) -> Convert | None:
            try:
                return converter(form, type_, self._contracts.schemes)  # type: ignore[arg-type]
            except CannotConvert as cannot:
                self.fault(("fields", field), str(cannot))
                return None

        return plan(
            contract.codec.type,
            self._form.fields,
            convert,
            lambda field, problem: self.fault(("fields", field) if field else ("fields",), problem),
        )

    def look_at_source(self, contract: Contract) -> None:
        """Only an owner of the contract may be its source (E7)."""
        owner = owner_of(self._form.source)
        if owner not in contract.owners:
            owners = ", ".join(sorted(contract.owners))
            self.fault(("source",), f"{owner} may not publish this contract; {owners} may")

    def look_at_columns(self) -> None:
        """Of a file without a header the mapping names the columns, and uses no other."""
        known = self._form.columns
        if known is None:
            return
        for place, column in self._used():
            if column not in known:
                self.fault(place, f"{column!r} is not among `columns`")

    def look_at_id(self, contract: Contract) -> None:
        """An id stands in logs and dead letters: one that is made of a person's number needs a key."""
        form = self._form.id
        if not isinstance(form, IdForm) or form.key_file is not None:
            return
        telling = {field.name for field in identifier_fields(contract)}
        telling |= {attribute.name for attribute in contract.attributes}
        for place, column in self._used():
            if place[0] == "fields" and str(place[1]).partition(".")[0] in telling and column in form.columns:
                why = (
                    "whoever tries all numbers could undo the hash of it; name a `key_file`, or other columns"
                )
                self.fault(("id", "columns"), f"{column!r} says who somebody is: {why}")
                return

    def key(self, read_key: ReadKey) -> bytes | None:
        """The key of ids, if the mapping names one."""
        form = self._form.id
        if not isinstance(form, IdForm) or form.key_file is None:
            return None
        try:
            key = read_key(form.key_file).strip()
        except ValueError as error:
            self.fault(("id", "key_file"), str(error))
            return None
        if len(key) < KEY_BYTES_MIN:
            self.fault(("id", "key_file"), f"a key has {KEY_BYTES_MIN} bytes at least: openssl rand -hex 32")
        return key

    def _used(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Every use of a column, with its place."""
        form = self._form
        used: list[tuple[tuple[str | int, ...], str]] = []
        for name, cell in form.fields.items():
            cells: Sequence[CellForm] = cell if isinstance(cell, list) else [cell]
            used += [(("fields", name), each.column) for each in cells if each.column is not None]
        if isinstance(form.id, IdForm):
            used += [(("id", "columns"), column) for column in form.id.columns]
        if form.time.column is not None:
            used.append((("time", "column"), form.time.column))
        return used


KEY_BYTES_MIN = 32
