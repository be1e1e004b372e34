"""The contract gate: what may be published (E6). Registration happens only through it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .avro_parse import parse
from .avro_type import AvroType, Record, SchemaInvalid, without_null
from .catalogue import HISTORY, Contracts, Pair, read_contracts
from .compatibility import full_obstacles
from .contract import Contract, IdentifierField
from .identifiers import ANY_SCHEME, Schemes
from .meaning_kept import other_meanings
from .problem import Problem, Reason
from .views import generate

_PAIRS_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a contract as it was once registered."""

    number: int
    file: str
    schema: Mapping[str, object]
    type: Record
    subject: str = ""
    """Where a registry holds it; empty for one of the history."""


History = Mapping[str, tuple[Version, ...]]
"""The committed versions of each type, oldest first: `history/<type>/<n>.avsc`."""


def check_directory(directory: Path) -> tuple[Contracts, list[Problem]]:
    """The whole gate over a contracts directory: the sound contracts, and every problem of the others."""
    contracts, problems = read_contracts(directory)
    history, damage = read_history(directory)
    return contracts, sorted({*problems, *damage, *_overlooked(directory), *check(contracts, history)})


_MEANT_AS_CONTRACT = re.compile(
    r"[^.].*(\.v\d+(\.\w+)*|\.(avsc|avcs|asvc|acsv|avro|avpr|avdl)(\.\w+)?)", re.IGNORECASE
)
"""A name with a version, or with an ending of Avro's or nearly so; hidden files are an editor's."""


def _overlooked(directory: Path) -> Iterator[Problem]:
    """Files that somebody may believe to be contracts, and that nobody reads for their names."""
    for path in sorted(directory.rglob("*")):
        place = path.relative_to(directory)
        if place.parts[0] == HISTORY or path.suffix == ".avsc" or not path.is_file():
            continue
        if _MEANT_AS_CONTRACT.fullmatch(path.name):
            why = "it looks like a contract and is none: its name does not end with .avsc, so nobody reads it"
            yield Problem(place.as_posix(), "", Reason.MISPLACED, why)


def without_doc(contract: Contract) -> list[str]:
    """The fields that do not say what they are, and `the contract` if it does not.

    No rule asks for it; whoever reads the page of all contracts, or an agreement, does.
    """
    fields = contract.schema["fields"]
    said = [("the contract", contract.schema), *((each["name"], each) for each in _schemas(fields))]
    return [str(name) for name, schema in said if not str(schema.get("doc") or "").strip()]


def _schemas(fields: object) -> list[Mapping[str, object]]:
    return fields if isinstance(fields, list) else []


def read_history(directory: Path) -> tuple[History, list[Problem]]:
    """The history of a contracts directory, and what in it cannot be read."""
    problems: list[Problem] = []
    versions: dict[str, list[Version]] = {}
    for path in sorted((directory / HISTORY).glob("*/*.avsc")):
        file = path.relative_to(directory).as_posix()
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
            number, type_ = int(path.stem), parse(schema)
        except (OSError, SchemaInvalid, ValueError) as error:
            problems.append(Problem(file, "", Reason.UNREADABLE, str(error)))
            continue
        if not isinstance(type_, Record):
            problems.append(Problem(file, "", Reason.SCHEMA_INVALID, "the schema of an event is a record"))
            continue
        versions.setdefault(path.parent.name, []).append(Version(number, file, schema, type_))
    return {name: tuple(sorted(v, key=lambda each: each.number)) for name, v in versions.items()}, problems


def registered_version(subject: str, number: int, schema: Mapping[str, object]) -> Version:
    """A version that a registry holds, to ask `incompatible` about; SchemaInvalid when it is not a record."""
    type_ = parse(schema)
    if not isinstance(type_, Record):
        raise SchemaInvalid(subject, "the schema of an event is a record")
    return Version(number, "", schema, type_, subject)


def check(contracts: Contracts, history: History) -> list[Problem]:
    """What the gate finds in contracts that are sound by themselves: authority, compatibility, attributes'
    types.
    """
    found: list[Problem] = []
    for contract in contracts.by_type.values():
        found.extend(_without_authority(contract, contracts))
        found.extend(incompatible(contract, history.get(contract.type, ())))
    found.extend(_changed_attributes(contracts, history))
    return sorted(found)


def unfrozen(contracts: Contracts, history: History) -> dict[str, Mapping[str, object]]:
    """The files that the history lacks, by path below the contracts directory: one for each contract that is
    not as its latest version was.
    """
    missing: dict[str, Mapping[str, object]] = {}
    for contract in contracts.by_type.values():
        versions = history.get(contract.type, ())
        if not versions or versions[-1].schema != contract.schema:
            number = versions[-1].number + 1 if versions else 1
            missing[f"{HISTORY}/{contract.type}/{number}.avsc"] = contract.schema
    return missing


def incompatible(contract: Contract, versions: Iterable[Version]) -> Iterator[Problem]:
    """Why a contract is not FULL compatible with some of its earlier versions, or means another thing (E6):
    each reason once, with all the versions that it is about.
    """
    found: dict[tuple[Reason, str, str], list[Version]] = {}
    for version in versions:
        for obstacle in full_obstacles(contract.codec.type, version.type):
            found.setdefault((Reason.NOT_COMPATIBLE, *obstacle), []).append(version)
        for obstacle in other_meanings(contract.schema, version.schema):
            found.setdefault((Reason.OTHER_MEANING, *obstacle), []).append(version)
    for (reason, path, why), seen in found.items():
        yield Problem(contract.path, path, reason, f"{why}; see {_places(seen)}")


def _places(versions: Sequence[Version]) -> str:
    """Where these versions are: all of them in a history, or all in a registry."""
    if not versions[0].subject:
        return ", ".join(version.file for version in versions)
    numbers = ", ".join(str(version.number) for version in versions)
    return f"version{'s' if len(versions) > 1 else ''} {numbers} of {versions[0].subject} in the registry"


def pairs_of(subject: IdentifierField, field: IdentifierField, schemes: Schemes) -> frozenset[Pair]:
    """Every pair of schemes that a linking field can link, the smaller scheme first (E6)."""
    pairs = ((a, b) for a in _schemes_of(subject, schemes) for b in _schemes_of(field, schemes))
    return frozenset((a, b) if a <= b else (b, a) for a, b in pairs)


def _schemes_of(field: IdentifierField, schemes: Schemes) -> frozenset[str]:
    if field.scheme != ANY_SCHEME:
        return frozenset({field.scheme})
    return frozenset(schemes.names) if field.schemes is None else field.schemes


def _without_authority(contract: Contract, contracts: Contracts) -> Iterator[Problem]:
    for field in contract.linking:
        pairs = pairs_of(contract.subject, field, contracts.schemes)
        for owner in sorted(contract.owners):
            # INVARIANT: every owner needs every pair; an owner without a row in authority.yaml may link
            # nothing.
            missing = sorted(pairs - contracts.authority.get(owner, frozenset()))
            if missing:
                shown = ", ".join(f"{a} with {b}" for a, b in missing[:_PAIRS_SHOWN_MAX])
                more = (
                    f" and {len(missing) - _PAIRS_SHOWN_MAX} more" if len(missing) > _PAIRS_SHOWN_MAX else ""
                )
                why = f"{owner} has no authority over {shown}{more}"
                yield Problem(contract.path, field.name, Reason.NO_AUTHORITY, why)


def _changed_attributes(contracts: Contracts, history: History) -> Iterator[Problem]:
    """Attributes whose type changed under their name since any contract stated them, a withdrawn one too
    (V1).
    """
    for versions in history.values():
        for version in versions:
            for field in version.type.fields:
                said = field.attributes.get("postroom")
                name = said.get("attribute") if isinstance(said, dict) else None
                known = contracts.attributes.get(name) if isinstance(name, str) else None
                if known is None or known.avro_type is None:
                    continue
                for path, why in full_obstacles(_as_viewed(known.avro_type), _as_viewed(field.type)):
                    where = ".".join(filter(None, (known.name, path)))
                    text = f"in views, {why}; see the field {field.name} in {version.file}"
                    yield Problem("attributes.yaml", where, Reason.ATTRIBUTE_TYPE, text)


def _as_viewed(type_: AvroType) -> AvroType:
    return parse(generate(without_null(type_), "view.attribute"))
