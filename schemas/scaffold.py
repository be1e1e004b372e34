"""A first contract from a department's answers: the annotated schema (E4), and what the catalogue lacks for
it (E5, E6).

Nothing is made here that the gate would refuse for another reason than a line that the catalogue lacks:
`problems` is the gate's own reader, over the catalogue as it would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from .annotations import TERMS, ContractReader, Known
from .catalogue import Attribute, Contracts, Pair
from .contract import STATES, Contract, Kind, Role
from .gate import pairs_of
from .identifiers import ANY_SCHEME, DeclaredScheme, Schemes
from .problem import Problem

Schema = dict[str, object]

#: The words for types that a department may answer with; anything else is written by hand afterwards.
TYPES: Mapping[str, object] = {
    "text": "string",
    "date": {"type": "int", "logicalType": "date"},
    "partial-date": {"type": "string", "logicalType": "partial-date"},
    "timestamp": {"type": "long", "logicalType": "timestamp-millis"},
    "whole-number": "long",
    "decimal": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
    "yes-no": "boolean",
}
MOMENTS = ("date", "timestamp", "partial-date")
ONE_OF = "one-of="
"""What a list of symbols begins with: `one-of=ADULT|CHILD|OTHER`."""
RESTS = ("OTHER", "UNKNOWN", "NOT_KNOWN", "UNSPECIFIED")

_TERM_DOCS = {
    "subscriber": "Who receives: the short name in the agreement.",
    "purpose": "What for: the words of the agreement.",
    "categories": "Which categories of attributes; none named: all, but never a special category.",
    "state": "What was decided.",
    "agreement": "The name of the agreement.",
    "valid_from": "The first day, if it begins later.",
    "valid_until": "The last day, if it ends by itself.",
    "evidence": "Where the proof is kept: a reference, never the words themselves.",
}


class UnknownType(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """A word for a type that is not in `TYPES`, or an attribute whose type nobody has said yet."""


@dataclass(frozen=True, slots=True)
class Named:
    """A field to be made: its name, and a word for its type; None for the type that the attribute has."""

    name: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What a department says of its new contract."""

    domain: str
    fact: str
    owners: tuple[str, ...]
    doc: str
    subject: str
    retention: str
    version: int = 1
    kind: Kind = Kind.FACT
    same_person: tuple[str, ...] = ()
    superseded_by: tuple[str, ...] = ()
    other: str | None = None
    attributes: tuple[Named, ...] = ()
    item: str = "reference"
    effective: Named | None = None
    until: Named | None = None
    correctable: bool = True
    new_attributes: Mapping[str, Attribute] = field(default_factory=dict)
    new_schemes: Mapping[str, DeclaredScheme] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where the contract stands below the contracts directory."""
        return f"{self.domain}/{self.fact}.v{self.version}.avsc"

    @property
    def type(self) -> str:
        """The type of its events (E1)."""
        return f"uk.gov.{self.domain}.{self.fact}.v{self.version}"


def schema_of(answers: Answers, contracts: Contracts) -> Schema:
    """The annotated schema that the answers make; UnknownType."""
    said: Schema = {"owners": list(answers.owners), "retention": answers.retention}
    if answers.kind is not Kind.FACT:
        said = {"owners": said["owners"], "kind": answers.kind.value, "retention": said["retention"]}
    return {
        "type": "record",
        "name": _camel(answers.fact),
        "namespace": f"uk.gov.{answers.domain}".replace("-", "_"),
        "doc": answers.doc,
        "postroom": said,
        "fields": list(_fields(answers, contracts)),
    }


def problems(answers: Answers, schema: Schema, contracts: Contracts) -> tuple[Contract | None, list[Problem]]:
    """The contract, and what the gate finds in it even when the catalogue has all that is new (E6)."""
    schemes = Schemes({**contracts.schemes.declared, **answers.new_schemes})
    attributes = {**contracts.attributes, **answers.new_attributes}
    known = Known(
        schemes,
        {name: attribute.items for name, attribute in attributes.items()},
        frozenset(attribute.category for attribute in attributes.values()),
    )
    reader = ContractReader(answers.path, schema, known)
    return reader.read(), reader.problems


def missing_pairs(contract: Contract, answers: Answers, contracts: Contracts) -> dict[str, list[Pair]]:
    """By owner, the pairs of schemes that the contract links and the owner has no authority over (E6)."""
    schemes = Schemes({**contracts.schemes.declared, **answers.new_schemes})
    pairs = frozenset(pair for each in contract.linking for pair in pairs_of(contract.subject, each, schemes))
    missing = {owner: sorted(pairs - contracts.authority.get(owner, frozenset())) for owner in answers.owners}
    return {owner: lacking for owner, lacking in missing.items() if lacking}


def repeating(answers: Answers, contracts: Contracts) -> bool:
    """Whether the attributes are of those that a person can have several of, so that an item is needed."""
    attributes = {**contracts.attributes, **answers.new_attributes}
    return any(each.name in attributes and attributes[each.name].items for each in answers.attributes)


def type_of(word: str, name: str) -> object:
    """The Avro type that a word stands for; UnknownType."""
    if word.startswith(ONE_OF):
        symbols = [symbol.strip() for symbol in word.removeprefix(ONE_OF).split("|")]
        made = {"type": "enum", "name": f"{_camel(name)}Value", "symbols": symbols}
        return made | {"default": rest} if (rest := rest_of(symbols)) is not None else made
    if word not in TYPES:
        raise UnknownType(f"{word} is none of {', '.join(TYPES)}, {ONE_OF}A|B")
    return TYPES[word]


def rest_of(symbols: Sequence[str]) -> str | None:
    """The symbol that says of a value only that it is none of the others; None where all say something.

    It alone can be an enum's default, which an older reader takes for a symbol that it does not know: any
    other would be a statement about somebody that nobody has made. Without a default no symbol can be added
    (E6).
    """
    return next((symbol for symbol in symbols if symbol.upper() in RESTS), None)


def closed(answers: Answers) -> list[Named]:
    """The attributes whose new list of symbols can never grow."""
    listed = [each for each in answers.attributes if (each.type or "").startswith(ONE_OF)]
    return [each for each in listed if "default" not in cast("Schema", type_of(each.type or "", each.name))]


def stated_type(attribute: str, contracts: Contracts) -> object | None:
    """The type of an attribute as the first contract that states it writes it; None when none does (E5)."""
    for contract in sorted(contracts.by_type.values(), key=lambda each: each.path):
        names = {each.attribute: each.name for each in contract.attributes}
        fields = contract.schema["fields"]
        if attribute not in names or not isinstance(fields, list):
            continue
        written = next(each["type"] for each in fields if each["name"] == names[attribute])
        if not isinstance(written, list):
            return cast("object", written)
        rest = [branch for branch in written if branch != "null"]
        return rest[0] if len(rest) == 1 else rest
    return None


def _fields(answers: Answers, contracts: Contracts) -> Iterator[Schema]:
    own = _own_name(answers.subject)
    taken = any(each.name == own for each in answers.attributes)  # a card's number, and what is said of it
    subject = f"{own}_number" if taken else own
    yield _identifier(answers.subject, Role.SUBJECT, "Whom the event is about.", subject)
    for scheme in answers.same_person:
        doc = "Another identifier of the same person, if known."
        again = "same_person" if scheme in (answers.subject, ANY_SCHEME) else None
        yield _identifier(scheme, Role.SAME_PERSON, doc, again)
    for scheme in answers.superseded_by:
        doc = "The identifier that takes the place of the subject's."
        yield _identifier(scheme, Role.SUPERSEDED_BY, doc, "superseded_by")
    if answers.other is not None:
        yield _identifier(answers.other, Role.OTHER, "The identifier on the other side.", "other")
    if repeating(answers, contracts):
        yield _field(answers.item, "string", "Which one, of those that the person has.", {"item": True})
    for each in answers.attributes:
        yield _attribute(each, answers, contracts)
    yield from _terms(answers)
    if answers.kind is Kind.ANNULMENT:
        yield _field("prior", "string", "The id of the earlier event that is annulled.", {"prior": True})
    elif answers.kind is Kind.FACT and answers.correctable:
        doc = "The id of the earlier event that this one corrects, if it corrects one."
        yield _optional("prior", "string", doc, {"prior": True})


def _own_name(scheme: str) -> str:
    return "subject" if scheme == ANY_SCHEME else scheme.replace("-", "_")


def _identifier(scheme: str, role: Role, doc: str, name: str | None = None) -> Schema:
    said: Schema = {"identifier": scheme, "role": role.value}
    make = _optional if role is Role.SAME_PERSON else _field
    return make(name or _own_name(scheme), "string", doc, said)


def _attribute(each: Named, answers: Answers, contracts: Contracts) -> Schema:
    type_ = stated_type(each.name, contracts) if each.type is None else type_of(each.type, each.name)
    if type_ is None:
        raise UnknownType(f"no contract states {each.name} yet, and its type is not said")
    known = answers.new_attributes.get(each.name) or contracts.attributes.get(each.name)
    doc = "" if known is None else known.description
    return _field(each.name, type_, doc, {"attribute": each.name})


def _terms(answers: Answers) -> Iterator[Schema]:
    """What a fact may say of time, or what another kind needs (E4, §5)."""
    if answers.kind is Kind.FACT:
        if answers.effective is not None:
            type_ = type_of(answers.effective.type or "date", answers.effective.name)
            doc = "From when it is true."
            yield _field(answers.effective.name, type_, doc, {"term": "effective"})
        if answers.until is not None:
            type_ = type_of(answers.until.type or "date", answers.until.name)
            doc = "Until when it is true, a date being the last day; null while that is open."
            yield _optional(answers.until.name, type_, doc, {"term": "until"})
        return
    for name, term in TERMS.get(answers.kind, {}).items():
        make = _field if term.required else _optional
        yield make(name, _term_type(name, answers.kind), _TERM_DOCS[name], {"term": name})


def _term_type(name: str, kind: Kind) -> object:
    if name == "state":
        return {"type": "enum", "name": f"{kind.value.capitalize()}State", "symbols": list(STATES[kind])}
    if name == "categories":
        return {"type": "array", "items": "string"}
    return TYPES["date"] if name.startswith("valid_") else "string"


def _field(name: str, type_: object, doc: str, said: Schema) -> Schema:
    return {"name": name, "type": type_, "doc": doc, "postroom": said}


def _optional(name: str, type_: object, doc: str, said: Schema) -> Schema:
    branches = ["null", *(type_ if isinstance(type_, list) else [type_])]
    return {"name": name, "type": branches, "default": None, "doc": doc, "postroom": said}


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.replace("_", "-").split("-"))
