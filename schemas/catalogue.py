"""The contracts directory: every contract, and what contracts may refer to (E5)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from . import yaml_lines
from .annotations import OWNER, PATH, ContractReader, Known, attribute_types
from .avro_type import NAME, Array, AvroType, Enum, Fixed, Map, Primitive, Record, Union
from .contract import Contract
from .identifiers import BUILT_IN, SCHEME_NAME, DeclaredScheme, Schemes
from .problem import ContractProblems, Problem, Reason

SENSITIVITIES = ("standard", "sensitive", "special-category")
SPECIAL_CATEGORY = "special-category"
HISTORY = "history"

Pair = tuple[str, str]
"""Two schemes, the smaller first."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that can be known of a citizen; `avro_type` is None while no contract states it (E5)."""

    name: str
    category: str
    description: str
    sensitivity: str
    items: bool
    trust: tuple[str, ...]
    avro_type: AvroType | None = None


@dataclass(frozen=True, slots=True)
class Contracts:
    """All that a contracts directory says."""

    by_type: Mapping[str, Contract]
    attributes: Mapping[str, Attribute]
    authority: Mapping[str, frozenset[Pair]]
    schemes: Schemes
    directory: Path


def load_contracts(directory: Path) -> Contracts:
    """Everything in a contracts directory; ContractProblems with all that is wrong in its structure.

    Authority and compatibility are not looked at here: they decide what may be published (the gate), not what
    can be read.
    """
    contracts, problems = read_contracts(directory)
    if problems:
        raise ContractProblems(problems)
    return contracts


def read_contracts(directory: Path) -> tuple[Contracts, list[Problem]]:
    """The sound part of a contracts directory, and what is wrong with the rest."""
    if not directory.is_dir():
        problem = Problem(str(directory), "", Reason.UNREADABLE, "there is no such directory")
        return Contracts({}, {}, {}, Schemes({}), directory), [problem]
    tables = _Tables(directory)
    schemes = Schemes(tables.declared_schemes())
    attributes = tables.attributes()
    authority = tables.authority(schemes)
    categories = frozenset(attribute.category for attribute in attributes.values())
    known = Known(schemes, {name: attribute.items for name, attribute in attributes.items()}, categories)
    problems = tables.problems
    by_type: dict[str, Contract] = {}
    for path in _contract_files(directory):
        contract = _read_contract(path, path.relative_to(directory).as_posix(), known, problems)
        if contract is not None:
            by_type[contract.type] = contract
    attributes = _with_types(attributes, by_type, problems)
    return Contracts(dict(sorted(by_type.items())), attributes, authority, schemes, directory), problems


def _contract_files(directory: Path) -> list[Path]:
    """Every .avsc below the directory but the history; the packages beside them hold none."""
    files = (path for path in directory.rglob("*.avsc") if path.relative_to(directory).parts[0] != HISTORY)
    return sorted(files)


def _read_contract(path: Path, file: str, known: Known, problems: list[Problem]) -> Contract | None:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_key_twice)
    except (OSError, ValueError, RecursionError) as error:
        problems.append(Problem(file, "", Reason.UNREADABLE, str(error)))
        return None
    if not isinstance(schema, dict):
        problems.append(Problem(file, "", Reason.SCHEMA_INVALID, "the schema of an event is a record"))
        return None
    reader = ContractReader(file, schema, known)
    contract = reader.read()
    problems.extend(reader.problems)
    return contract


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return read


def _with_types(
    attributes: Mapping[str, Attribute], by_type: Mapping[str, Contract], problems: list[Problem]
) -> dict[str, Attribute]:
    """The attributes with their Avro types; every later use must agree with the first one (E5)."""
    first: dict[str, tuple[str, AvroType]] = {}
    for contract in sorted(by_type.values(), key=lambda contract: contract.path):
        for name, (field, type_) in attribute_types(contract).items():
            where, known = first.setdefault(name, (contract.path, type_))
            if shape(known) != shape(type_):
                why = f"{name} has another Avro type in {where}"
                problems.append(Problem(contract.path, field, Reason.ATTRIBUTE_TYPE, why))
    return {
        name: replace(attribute, avro_type=first[name][1]) if name in first else attribute
        for name, attribute in attributes.items()
    }


def shape(type_: AvroType) -> object:
    """What makes two uses of an attribute the same type: everything but the names of types, docs and
    defaults.
    """
    match type_:
        case Primitive():
            return type_
        case Enum(symbols=symbols):
            return ("enum", symbols)
        case Fixed():
            return ("fixed", type_.size, type_.logical, type_.precision, type_.scale)
        case Array(items=items):
            return ("array", shape(items))
        case Map(values=values):
            return ("map", shape(values))
        case Union(branches=branches):
            return ("union", tuple(map(shape, branches)))
        case Record(fields=fields):
            return ("record", tuple((each.name, shape(each.type)) for each in fields))


class _Tables:
    """The three YAML files beside the contracts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.problems: list[Problem] = []

    def attributes(self) -> dict[str, Attribute]:
        rows = self._rows("attributes.yaml", "attributes")
        read = (self._attribute(name, row) for name, row in rows.items())
        return {attribute.name: attribute for attribute in read if attribute is not None}

    def _attribute(self, name: str, row: object) -> Attribute | None:
        checks: tuple[tuple[str, Callable[[object], bool], str], ...] = (
            ("category", _is_word, "a word [a-z][a-z0-9_-]*"),
            ("description", _is_phrase, "a text"),
            ("sensitivity", lambda value: value in SENSITIVITIES, "one of " + ", ".join(SENSITIVITIES)),
            ("items", lambda value: isinstance(value, bool), "true or false"),
            ("trust", _are_owners, "a list of departments' short names"),
        )
        filled = self._fill(
            "attributes.yaml", name, row, checks, {"items": False, "trust": [], "sensitivity": "standard"}
        )
        if filled is None or not self._named("attributes.yaml", name, NAME):
            return None
        values = filled | {"trust": tuple(filled["trust"])}  # type: ignore[arg-type]  # _are_owners saw the list
        return Attribute(name=name, **values)  # type: ignore[arg-type]  # each was checked by its row

    def declared_schemes(self) -> dict[str, DeclaredScheme]:
        rows = self._rows("identifiers.yaml", "schemes", needed=False)
        checks: tuple[tuple[str, Callable[[object], bool], str], ...] = (
            ("description", _is_phrase, "a text"),
            ("owner", lambda value: _are_owners([value]), "a department's short name"),
            ("pattern", _is_pattern, "a regular expression for the whole value"),
            ("exclusive", lambda value: isinstance(value, bool), "true or false"),
        )
        schemes: dict[str, DeclaredScheme] = {}
        for name, row in rows.items():
            filled = self._fill("identifiers.yaml", name, row, checks, {"exclusive": False})
            if name in BUILT_IN:
                self._problem(
                    "identifiers.yaml", name, Reason.CATALOGUE_INVALID, "a built-in scheme has this name"
                )
            elif filled is not None and self._named("identifiers.yaml", name, SCHEME_NAME):
                schemes[name] = DeclaredScheme(**filled)  # type: ignore[arg-type]  # each was checked by its row
        return schemes

    def authority(self, schemes: Schemes) -> dict[str, frozenset[Pair]]:
        read: dict[str, frozenset[Pair]] = {}
        for owner, pairs in self._rows("authority.yaml", None, needed=False).items():
            if not self._named("authority.yaml", owner, OWNER):
                continue
            read[owner] = frozenset(
                pair for pair in (self._pair(owner, each, schemes) for each in _listed(pairs)) if pair
            )
            if not isinstance(pairs, list):
                self._problem(
                    "authority.yaml", owner, Reason.CATALOGUE_INVALID, "expected a list of pairs of schemes"
                )
        return read

    def _pair(self, owner: str, pair: object, schemes: Schemes) -> Pair | None:
        if not isinstance(pair, list) or len(pair) != 2:
            self._problem(
                "authority.yaml", owner, Reason.CATALOGUE_INVALID, "a pair is two schemes: [nino, nhs]"
            )
            return None
        unknown = sorted(str(each) for each in pair if each not in schemes)
        if unknown:
            self._problem(
                "authority.yaml", owner, Reason.UNKNOWN_SCHEME, f"there is no scheme {', '.join(unknown)}"
            )
            return None
        low, high = sorted(map(str, pair))
        return low, high

    def _rows(self, file: str, key: str | None, needed: bool = True) -> dict[str, object]:
        path = self._directory / file
        if not path.exists() and not needed:
            return {}
        try:
            data, _ = yaml_lines.load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            self._problem(file, "", Reason.UNREADABLE, getattr(error, "strerror", None) or str(error))
            return {}
        rows = data if key is None else data.get(key) if isinstance(data, dict) else None
        if isinstance(data, dict) and key is not None:
            for name in sorted(map(str, data.keys() - {key})):
                self._problem(file, name, Reason.CATALOGUE_INVALID, f"the file holds only `{key}`")
        if rows is None:
            rows = {}
        if not isinstance(rows, dict):
            self._problem(file, key or "", Reason.CATALOGUE_INVALID, "expected names with what they mean")
            return {}
        return {str(name): row for name, row in rows.items()}

    def _fill(
        self,
        file: str,
        name: str,
        row: object,
        checks: tuple[tuple[str, Callable[[object], bool], str], ...],
        defaults: Mapping[str, object],
    ) -> dict[str, object] | None:
        before = len(self.problems)
        if not isinstance(row, dict):
            self._problem(
                file, name, Reason.CATALOGUE_INVALID, "expected " + ", ".join(key for key, _, _ in checks)
            )
            return None
        for key in sorted(map(str, row.keys() - {key for key, _, _ in checks})):
            self._problem(file, f"{name}.{key}", Reason.CATALOGUE_INVALID, "there is no such key")
        filled = dict(defaults) | row
        for key, fits, expected in checks:
            if key not in filled or not fits(filled[key]):
                self._problem(file, f"{name}.{key}", Reason.CATALOGUE_INVALID, f"expected {expected}")
        return None if len(self.problems) != before else filled

    def _named(self, file: str, name: str, pattern: re.Pattern[str]) -> bool:
        if pattern.fullmatch(name) is None:
            self._problem(file, name, Reason.CATALOGUE_INVALID, f"the name does not match {pattern.pattern}")
            return False
        return True

    def _problem(self, file: str, field: str, reason: Reason, why: str) -> None:
        self.problems.append(Problem(file, field, reason, why))


_WORD = re.compile(r"[a-z][a-z0-9_-]*")


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_phrase(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_owners(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and OWNER.fullmatch(each) for each in value)


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and re.compile(value) is not None
    except re.error:
        return False


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


__all__ = ["PATH", "Attribute", "Contracts", "Pair", "load_contracts", "read_contracts", "shape"]
