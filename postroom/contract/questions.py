"""The questions of `postroom contract new`, in the order in which a person thinks about them.

Whoever gives no option is asked everything, with the usual answer offered. Whoever gives one has begun to
answer that way, and is asked only for what has no usual answer. Without a terminal that is wrong use: how
long something about citizens is kept, or how sensitive it is, is not for a tool to guess.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import typer

from postroom.contract.checks import (
    Check,
    is_duration,
    is_name,
    is_owner,
    is_pattern,
    is_type,
    is_word,
    one_of,
)
from postroom.errors import UserError

if TYPE_CHECKING:
    from schemas import Attribute, Contracts, DeclaredScheme, Kind
    from schemas.scaffold import Answers, Named

NONE = "none"
YES_NO = ("yes", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the options say; None where they say nothing. What is said of an attribute is said by its name."""

    domain: str | None = None
    fact: str | None = None
    version: int = 1
    owners: list[str] | None = None
    doc: str | None = None
    kind: str | None = None
    subject: str | None = None
    scheme_pattern: str | None = None
    scheme_description: str | None = None
    scheme_exclusive: bool | None = None
    same_person: list[str] | None = None
    superseded_by: list[str] | None = None
    other: str | None = None
    attributes: list[str] | None = None
    categories: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    sensitivities: Mapping[str, str] = field(default_factory=dict)
    repeats: list[str] | None = None
    item: str | None = None
    effective: str | None = None
    until: str | None = None
    correctable: bool = True
    retention: str | None = None


class Mistake(NamedTuple):
    """What is wrong with an option that is given or missing, and what to write instead."""

    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.what}{' ' if self.what.endswith('?') else '; '}{self.mend}"


class Questions:
    """Makes answers of what was said and, at a terminal, of what is asked.

    Mistakes of the options pile up, `mistakes` of whoever read them first, and are told together: one round
    should be enough. What rests on one that is wrong is not looked at.
    """

    def __init__(self, said: Said, known: Contracts, mistakes: Iterable[Mistake] = ()) -> None:
        self._said = said
        self._known = known
        self._asks_all = said == Said()
        self._mistakes = [*mistakes]

    def answers(self) -> Answers:
        """Ask what is not said; UserError with every mistake when nobody can answer."""
        answers = self._answers()
        if self._mistakes:
            told = "\n".join(dict.fromkeys(map(str, self._mistakes)))
            raise UserError("the options make no contract; nothing was written", why=told)
        return answers

    def _answers(self) -> Answers:
        from schemas import Kind
        from schemas.scaffold import Answers

        said, kinds = self._said, [each.value for each in Kind]
        domain = self._ask("--domain", "Domain", said.domain, check=is_word)
        fact = self._ask("--fact", "Fact, what the events are about", said.fact, check=is_word)
        owners = tuple(said.owners or _list(self._ask("--owner", "Owners, who may publish it", None)))
        for owner in owners:
            self._owner(owner)
        doc = self._ask("--doc", "What has happened, in one sentence", said.doc)
        kind = Kind(
            self._ask("--kind", f"Kind ({', '.join(kinds)})", said.kind, "fact", one_of(kinds)) or "fact"
        )
        schemes = ", ".join(self._known.schemes.names)
        subject = self._ask(
            "--subject", f"Scheme that names the person ({schemes}, *, or a new one)", said.subject
        )
        new_schemes = self._new_schemes(subject, owners)
        other, same_person = self._linked(kind, schemes)
        self._schemes("--same-person", same_person, new_schemes)
        self._schemes("--other", [] if other is None else [other], new_schemes)
        attributes = self._attributes() if kind is Kind.FACT else ()
        new_attributes = self._new_attributes(attributes, owners)
        moments = self._moments() if kind is Kind.FACT else (None, None)
        return Answers(
            domain, fact, owners, doc, subject,
            self._ask("--retention", "How long it counts (P7Y, P90D)", said.retention, check=is_duration),
            version=said.version,
            kind=kind,
            same_person=same_person,
            superseded_by=self._schemes("--superseded-by", said.superseded_by or (), new_schemes),
            other=other,
            attributes=attributes,
            item=self._item(attributes, new_attributes),
            effective=moments[0],
            until=moments[1],
            correctable=said.correctable,
            new_attributes=new_attributes,
            new_schemes=new_schemes,
        )  # fmt: skip

    def _new_schemes(self, name: str, owners: tuple[str, ...]) -> dict[str, DeclaredScheme]:
        from schemas import DeclaredScheme
        from schemas.problem import there_is_no

        said = self._said
        if (
            name in ("", "*")
            or name in self._known.schemes
            or not self._ask("--subject", "", name, check=is_word)
        ):
            return {}
        known = there_is_no("scheme", name, self._known.schemes.names)
        if said.scheme_pattern is None and not at_a_terminal():
            mend = "name one; if it is a new one, give --scheme-pattern and --scheme-description"
            self._mistakes.append(Mistake(f"--subject does not fit: {known}", mend))
            return {name: DeclaredScheme("", "", "", False)}
        question = _if_new(known, f"the pattern of the whole of a {name}")
        pattern = self._ask("--scheme-pattern", question, said.scheme_pattern, check=is_pattern)
        description = self._ask("--scheme-description", f"What a {name} is", said.scheme_description)
        exclusive = said.scheme_exclusive
        if exclusive is None:
            question = f"Does a person have one {name} at a time"
            exclusive = self._ask("--scheme-exclusive", question, None, "no", one_of(YES_NO)) == "yes"
        return {name: DeclaredScheme(description, "".join(owners[:1]), pattern, exclusive)}

    def _schemes(self, option: str, named: Iterable[str], new: Mapping[str, object]) -> tuple[str, ...]:
        """The schemes that an option names; there must be such."""
        from schemas.problem import there_is_no

        known = ["*", *self._known.schemes.names, *new]
        for name in named:
            if name and name not in known:
                why = there_is_no("scheme", name, known[1:])
                mend = "name one that there is, or declare the department's own in identifiers.yaml"
                self._mistakes.append(Mistake(f"{option} does not fit: {why}", mend))
        return tuple(named)

    def _owner(self, name: str) -> None:
        """An owner, who may be a new one; who only looks like one that there is, is said."""
        from postroom.console import say
        from schemas import near_hint

        owners = {owner for contract in self._known.by_type.values() for owner in contract.owners}
        near = near_hint(name, owners)
        if self._ask("--owner", "", name, check=is_owner) and name not in owners and near:
            say(f"hint: --owner {name}: no contract names it yet{near}")

    def _linked(self, kind: Kind, schemes: str) -> tuple[str | None, tuple[str, ...]]:
        """The scheme of the other side, and those of the same person."""
        from schemas import Kind

        said = self._said
        if kind in (Kind.LINK, Kind.UNLINK):
            return self._ask("--other", f"Scheme of the other side ({schemes} or *)", said.other), ()
        if said.same_person is None:
            question = "Other schemes of the same person, that the events may name"
            return said.other, tuple(_list(self._ask("--same-person", question, None, NONE)))
        return said.other, tuple(each for each in said.same_person if each != NONE)

    def _attributes(self) -> tuple[Named, ...]:
        from schemas.scaffold import stated_type

        said = self._said.attributes
        if said is None:
            names = ", ".join(sorted(self._known.attributes))
            said = _list(
                self._ask("--attribute", f"Attributes that it states ({names}, or new ones)", None, NONE)
            )
        named = [_named(each) for each in said if each != NONE]
        for each in named:
            self._ask("--attribute", "", each.name, check=is_name)
            if each.type:
                self._ask("--attribute", "", each.type, check=is_type)
        return tuple(
            each if each.type or stated_type(each.name, self._known) is not None else self._typed(each)
            for each in named
            if is_name(each.name) is None
        )

    def _typed(self, named: Named) -> Named:
        from dataclasses import replace

        from schemas.problem import there_is_no
        from schemas.scaffold import ONE_OF, TYPES

        words = f"{', '.join(TYPES)}, {ONE_OF}A|B"
        question = f"Type of {named.name} ({words})"
        why, mend = (
            f"no contract states {named.name} yet",
            f"say its type: --attribute {named.name}:TYPE ({words})",
        )
        if named.name not in self._known.attributes:
            why = there_is_no("attribute", named.name, self._known.attributes)
            mend = f"name one; if it is a new one, {mend}"
            question = _if_new(why, question)
        if not at_a_terminal():
            self._mistakes.append(Mistake(f"--attribute does not fit: {why}", mend))
            return named
        return replace(named, type=self._ask(f"--attribute {named.name}:TYPE", question, None, check=is_type))

    def _new_attributes(self, named: Iterable[Named], owners: tuple[str, ...]) -> dict[str, Attribute]:
        new = [each.name for each in named if each.type and each.name not in self._known.attributes]
        return {name: self._new_attribute(name, owners) for name in new}

    def _new_attribute(self, name: str, owners: tuple[str, ...]) -> Attribute:
        from schemas import Attribute
        from schemas.catalogue import SENSITIVITIES

        said = self._said
        categories = sorted({each.category for each in self._known.attributes.values()})
        category = f"Category of {name}, to which a citizen consents ({', '.join(categories)}, or a new one)"
        sensitivity = f"Sensitivity of {name} ({', '.join(SENSITIVITIES)})"
        return Attribute(
            name,
            self._ask(f"--category {name}=…", category, said.categories.get(name), check=is_word),
            self._ask(f"--describe {name}=…", f"What {name} is", said.descriptions.get(name)),
            self._ask(
                f"--sensitivity {name}=…",
                sensitivity,
                said.sensitivities.get(name),
                check=one_of(SENSITIVITIES),
            ),
            items=self._repeats(name),
            trust=owners,
        )

    def _repeats(self, name: str) -> bool:
        if self._said.repeats is not None:
            return name in self._said.repeats
        question = f"Does a person have several {name} at once"
        return self._ask(f"--repeats {name}", question, None, "no", one_of(YES_NO)) == "yes"

    def _item(self, named: Iterable[Named], new: Mapping[str, Attribute]) -> str:
        attributes = {**self._known.attributes, **new}
        if not any(each.name in attributes and attributes[each.name].items for each in named):
            return ""
        return self._ask("--item", "Field that says which of several it is", self._said.item, "reference")

    def _moments(self) -> tuple[Named | None, Named | None]:
        return (
            self._moment("--effective", "From when it is true: FIELD", self._said.effective),
            self._moment("--until", "Until when it is true: FIELD", self._said.until),
        )

    def _moment(self, option: str, question: str, said: str | None) -> Named | None:
        from schemas.scaffold import MOMENTS

        named = _named(self._ask(option, f"{question} or FIELD:TYPE ({', '.join(MOMENTS)})", said, NONE))
        if named.type is not None:
            self._ask(option, "", named.type, check=one_of(MOMENTS))
        return None if named.name == NONE else named

    def _ask(
        self,
        option: str,
        question: str,
        said: str | None,
        default: str | None = None,
        check: Check | None = None,
    ) -> str:
        """What the option says, else what the terminal answers, else the default; "" where that is a mistake.

        Where a default is not offered, a question that has one is not asked.
        """
        from postroom.console import say

        name = option.partition(" ")[0]
        while True:
            answer = said
            if answer is None and self._mistakes and at_a_terminal():
                return default or ""  # it will end all the same
            if answer is None and (default is None or self._asks_all) and at_a_terminal():
                answer = typer.prompt(question, default=default, err=True)
            answer = answer if answer is not None else default
            if answer is None:
                mend = option if option != name else f"{option} …"
                self._mistakes.append(Mistake(f"{name} is not given: {question}", mend))
                return ""
            wrong = check(answer) if check is not None else None
            if wrong is None:
                return answer
            if said is not None or not at_a_terminal():
                given = option.partition(" ")[2].replace("…", answer) or answer
                self._mistakes.append(Mistake(f"{name} does not fit: {given!r}", wrong))
                return ""
            say(wrong)


def at_a_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _if_new(unknown: str, question: str) -> str:
    """A question about a name that is not known, which may be a slip or a new one."""
    stop = "" if unknown.endswith("?") else "."
    return f"{unknown}{stop} If it is a new one: {question}"


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip() not in ("", NONE)]


def _named(text: str) -> Named:
    from schemas.scaffold import Named

    name, _, type_ = text.partition(":")
    return Named(name.strip(), type_.strip() or None)


def by_name(said: list[str] | None, option: str, mistakes: list[Mistake]) -> dict[str, str]:
    """What `--option NAME=TEXT` says, by name; without an `=` it is a mistake."""
    pairs = {}
    for each in said or ():
        name, equals, text = each.partition("=")
        if not equals:
            mistakes.append(Mistake(f"--{option} does not fit: {each!r}", f"--{option} NAME=…"))
        pairs[name.strip()] = text.strip()
    return pairs
