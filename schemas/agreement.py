"""A data-sharing agreement: who gets which attributes of whom, on which basis, until when (C5)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from . import yaml_lines
from .agreement_file import PAIRWISE, AgreementFile, WhereFile, read_file
from .avro_type import AvroType, Record, without_null
from .catalogue import Contracts
from .problem import there_is_no
from .times import Duration, beginning, ending, parse_duration
from .written import Fault

DEATH = "death"
"""The attribute of which a golden value says that the person has died (C5, C6)."""


class Basis(StrEnum):
    """The lawful bases of UK GDPR article 6."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"
    RECOGNISED_LEGITIMATE_INTEREST = "recognised_legitimate_interest"


#: The bases that need no statutory power behind them.
WITHOUT_GATEWAY = frozenset({Basis.CONSENT, Basis.CONTRACT})


@dataclass(frozen=True, slots=True)
class Everyone:
    """The agreement is about every person."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The agreement is about the persons whom its subscriber enrolled (C4)."""


@dataclass(frozen=True, slots=True)
class Deceased:
    """The agreement is about the persons who have died: a golden `death` exists (docs/adr/0076)."""


@dataclass(frozen=True, slots=True)
class Where:
    """The agreement is about the persons whose golden value, or its field, is one of `values`, as JSON."""

    attribute: str
    field: str | None
    values: frozenset[str]

    def matches(self, value: object) -> bool:
        """Whether a plain JSON value (already narrowed to the field) is one of the list."""
        text = text_of(value)
        return text is not None and text in self.values


EVERYONE = Everyone()
ENROLLED = Enrolled()
DECEASED = Deceased()
Scope = Everyone | Enrolled | Deceased | Where
WORDS: dict[str, Scope] = {"everyone": EVERYONE, "enrolled": ENROLLED, "deceased": DECEASED}
"""The scopes that are one word."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One attribute that the agreement names; `fields` narrows a record value, None leaves it whole."""

    attribute: str
    fields: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """One agreement in force from `valid_from` until before `valid_until`, both instants."""

    agreement: str
    version: int
    subscriber: str
    purpose: str
    basis: Basis
    gateway: str | None
    valid_from: int
    valid_until: int
    subject: str
    pairwise_group: str | None
    scope: Scope
    attributes: tuple[Grant, ...]
    honours_objection: bool
    sees_restricted: bool
    after_death: Literal["stop", "continue"]
    delete_within: Duration
    file: str

    @property
    def scope_attribute(self) -> str | None:
        """The attribute whose golden value decides who is in scope, if one does (C5)."""
        match self.scope:
            case Where(attribute=attribute):
                return attribute
            case Deceased():
                return DEATH
            case _:
                return None


@dataclass(frozen=True, slots=True, order=True)
class AgreementProblem:
    """One thing wrong in an agreement file, with the line that says it."""

    file: str
    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field + ': ' if self.field else ''}{self.problem}"


class AgreementProblems(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """Agreements that cannot be used; `problems` has all that is wrong, sorted by file and line."""

    def __init__(self, problems: Iterable[AgreementProblem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


def text_of(value: object) -> str | None:
    """A plain JSON scalar as JSON writes it, by which `where` compares: the text "7" is not the number 7."""
    match value:
        case float() if value.is_integer():
            return str(int(value))
        case str() | bool() | int() | float():
            return json.dumps(value)
        case _:
            return None


def load_agreements(directory: Path, contracts: Contracts) -> dict[str, Agreement]:
    """Every agreement of a directory (`*.yaml`) by name, the greatest version of each; AgreementProblems
    (C5).
    """
    if not directory.is_dir():
        raise AgreementProblems([AgreementProblem(str(directory), 1, "", "there is no such directory")])
    problems: list[AgreementProblem] = []
    newest: dict[str, Agreement] = {}
    for path in sorted(directory.glob("*.yaml")):
        agreement = _read(path, contracts, problems)
        if agreement is None:
            continue
        other = newest.setdefault(agreement.agreement, agreement)
        if other is not agreement and other.version == agreement.version:
            why = f"version {agreement.version} of {agreement.agreement} is also in {other.file}"
            problems.append(AgreementProblem(path.name, 1, "version", why))
        elif agreement.version > other.version:
            newest[agreement.agreement] = agreement
    if problems:
        raise AgreementProblems(problems)
    return dict(sorted(newest.items()))


def _read(path: Path, contracts: Contracts, problems: list[AgreementProblem]) -> Agreement | None:
    try:
        read = read_file(path)
    except (OSError, yaml_lines.YamlInvalid, UnicodeDecodeError) as error:
        line = error.line if isinstance(error, yaml_lines.YamlInvalid) else 1
        problem = (
            error.problem if isinstance(error, yaml_lines.YamlInvalid) else "cannot be read as UTF-8 text"
        )
        problems.append(AgreementProblem(path.name, line, "", problem))
        return None
    faults = list(read.faults)
    if read.content is not None:
        rest = _faults(read.content, contracts)
        faults += [each for each in rest if not any(_stands_for(fault, each) for fault in read.faults)]
    for place, problem in faults:
        field = ".".join(map(str, place))
        problems.append(AgreementProblem(path.name, yaml_lines.line_of(read.lines, place), field, problem))
    return None if faults or read.content is None else _agreement(read.content, path.name)


def _stands_for(form: Fault, found: Fault) -> bool:
    """Whether what was found at a place is of a stand-in for what has not the right form."""
    nearer = min(len(form[0]), len(found[0]))
    return form[0][:nearer] == found[0][:nearer]


def _agreement(written: AgreementFile, file: str) -> Agreement:
    return Agreement(
        agreement=written.agreement,
        version=written.version,
        subscriber=written.subscriber,
        purpose=written.purpose,
        basis=Basis(written.basis),
        gateway=written.gateway,
        valid_from=beginning(written.valid.from_),
        valid_until=ending(written.valid.until),
        subject=written.subject,
        pairwise_group=written.pairwise_group,
        scope=_scope(written.scope),
        attributes=tuple(
            Grant(grant.attribute, None if grant.fields is None else tuple(grant.fields))
            for grant in written.attributes
        ),
        honours_objection=written.honours_objection,
        sees_restricted=written.sees_restricted,
        after_death=written.after_death,
        delete_within=parse_duration(written.delete_within),
        file=file,
    )


def _scope(written: str | WhereFile) -> Scope:
    if isinstance(written, str):
        return WORDS[written]
    where = written.where
    values = frozenset(text for text in map(text_of, where.in_) if text is not None)
    return Where(where.attribute, where.field, values)


def _faults(written: AgreementFile, contracts: Contracts) -> Iterable[Fault]:
    """What is wrong with an agreement whose every value has the right form."""
    if (
        written.basis not in {basis.value for basis in WITHOUT_GATEWAY}
        and not (written.gateway or "").strip()
    ):
        yield ("gateway",), f"the basis {written.basis} needs the statutory power it rests on, as text"
    if beginning(written.valid.from_) >= ending(written.valid.until):
        yield ("valid",), "it ends before it begins"
    if written.subject != PAIRWISE and written.subject not in contracts.schemes:
        yield ("subject",), f"expected pairwise or a scheme: {', '.join(contracts.schemes.names)}"
    yield from _grant_faults(written, contracts)
    if isinstance(written.scope, WhereFile):
        yield from _where_faults(written, written.scope, contracts)
    if written.scope == "deceased":
        yield from _deceased_faults(written, contracts)


def _grant_faults(written: AgreementFile, contracts: Contracts) -> Iterable[Fault]:
    seen: set[str] = set()
    for index, grant in enumerate(written.attributes):
        place: tuple[str | int, ...] = ("attributes", index)
        if grant.attribute in seen:
            yield (*place, "attribute"), f"{grant.attribute} stands twice"
        seen.add(grant.attribute)
        type_ = _type_of(grant.attribute, contracts)
        if isinstance(type_, str):
            yield (*place, "attribute"), type_
        elif type_ is not None and grant.fields is not None:
            for problem in _field_problems(grant.attribute, type_, grant.fields):
                yield (*place, "fields"), problem


def _where_faults(written: AgreementFile, scope: WhereFile, contracts: Contracts) -> Iterable[Fault]:
    where, place = scope.where, ("scope", "where")
    type_ = _type_of(where.attribute, contracts)
    if isinstance(type_, str):
        yield (*place, "attribute"), type_
        return
    if type_ is None:
        pass
    elif where.field is not None:
        for problem in _field_problems(where.attribute, type_, [where.field]):
            yield (*place, "field"), problem
    elif isinstance(type_, Record):
        yield place, f"{where.attribute} is a record: say which `field` of it is compared"
    if Basis(written.basis) is not Basis.CONSENT:
        return
    # INVARIANT: presence in a topic discloses too, so consent must cover what decides about presence (C5).
    grant = next((grant for grant in written.attributes if grant.attribute == where.attribute), None)
    if grant is None:
        yield (*place, "attribute"), "on basis consent the scope may only name an attribute of the agreement"
    elif grant.fields is not None and where.field not in grant.fields:
        yield (
            (*place, "field"),
            f"on basis consent the scope may only name a field among those of {where.attribute}",
        )


def _deceased_faults(written: AgreementFile, contracts: Contracts) -> Iterable[Fault]:
    unknown = _type_of(DEATH, contracts)
    if isinstance(unknown, str):
        yield ("scope",), unknown
    if written.after_death == "stop":
        yield (
            ("after_death",),
            "it is about persons who have died and stops with death (the default), so nothing could ever be "
            "shared: write `after_death: continue`",
        )
    # INVARIANT: whoever is in the topic has died, so consent must cover that (C5).
    if Basis(written.basis) is Basis.CONSENT and DEATH not in {
        grant.attribute for grant in written.attributes
    }:
        yield (
            ("scope",),
            f"on basis consent an agreement about persons who have died must share the attribute {DEATH}: "
            "who is in its topic is known to have died",
        )


def _type_of(attribute: str, contracts: Contracts) -> AvroType | str | None:
    """An attribute's type, None while no contract states it, or what is wrong with its name."""
    known = contracts.attributes.get(attribute)
    if known is None:
        return f"{there_is_no('attribute', attribute, contracts.attributes)} (attributes.yaml has them)"
    # While no contract states it its value is unknown, which is no fault of the agreement (C7).
    return None if known.avro_type is None else without_null(known.avro_type)


def _field_problems(attribute: str, type_: AvroType, fields: list[str]) -> Iterable[str]:
    if not isinstance(type_, Record):
        yield f"{attribute} is not a record and has no fields"
        return
    known = [each.name for each in type_.fields]
    for name in fields:
        if name not in known:
            yield f"{attribute} has no field {name!r} (it has: {', '.join(known)})"
    if len(set(fields)) != len(fields):
        yield "a field stands twice"
