"""A mapping file, read under the contracts in force: every fault with its line and key, all at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from producers.mapped.conversions import CannotConvert, Convert, converter
from producers.mapped.forms import CellForm, Fault, IdForm, MappingForm, MappingWrong, read_form
from producers.mapped.mapping import RowMapping, identifier_fields
from producers.mapped.tree import Branch, plan
from schemas import AvroType, Contract, Contracts, owner_of
from schemas.yaml_lines import Lines, line_of

KEY_BYTES_MIN = 32

ReadKey = Callable[[str], bytes]
"""Reads the key that a mapping names, beside it; MappingWrong is made of the ValueError that it raises."""


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

        def convert(field: str, form: CellForm, type_: AvroType) -> Convert | None:
            try:
                return converter(form, type_, self._contracts.schemes)
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
