"""What the contract gate finds wrong, one row per reason: what it means and what to do about it (E6)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Every reason for which the gate refuses."""

    UNREADABLE = "unreadable"
    MISPLACED = "misplaced"
    SCHEMA_INVALID = "schema-invalid"
    CATALOGUE_INVALID = "catalogue-invalid"
    OWNERS_MISSING = "owners-missing"
    RETENTION_MISSING = "retention-missing"
    UNKNOWN_KIND = "unknown-kind"
    ANNOTATION_MISSING = "annotation-missing"
    ANNOTATION_INVALID = "annotation-invalid"
    SUBJECT_MISSING = "subject-missing"
    SUBJECT_REPEATED = "subject-repeated"
    OTHER_MISSING = "other-missing"
    ROLE_MISPLACED = "role-misplaced"
    UNKNOWN_SCHEME = "unknown-scheme"
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    UNKNOWN_CATEGORY = "unknown-category"
    UNKNOWN_TERM = "unknown-term"
    TERM_MISSING = "term-missing"
    ATTRIBUTE_MISPLACED = "attribute-misplaced"
    ATTRIBUTE_REPEATED = "attribute-repeated"
    ATTRIBUTE_TYPE = "attribute-type-differs"
    ITEM = "item-misused"
    PRIOR = "prior-misused"
    FIELD_TYPE = "field-type"
    NOT_COMPATIBLE = "not-compatible"
    OTHER_MEANING = "other-meaning"
    NO_AUTHORITY = "no-authority"


_NAMES_SHOWN_MAX = 12
_NEAR_CHARACTERS_MAX = 200  # comparing takes time that grows with a text, which may be anybody's

#: What a department does about each reason.
MEND: dict[Reason, str] = {
    Reason.UNREADABLE: "write the file as UTF-8 JSON (.avsc) or YAML",
    Reason.MISPLACED: "keep a contract at <domain>/<fact>.v<N>.avsc, lower case with hyphens, N from 1",
    Reason.SCHEMA_INVALID: "write it as Avro 1.11 says, without recursive types",
    Reason.CATALOGUE_INVALID: "write the entry as the others in the file are (docs/DESIGN.md, E5)",
    Reason.OWNERS_MISSING: 'list who may publish it: "owners": ["dwp"], short names [a-z][a-z0-9-]{1,30}',
    Reason.RETENTION_MISSING: 'say how long it counts, as an ISO 8601 duration: "retention": "P7Y"',
    Reason.UNKNOWN_KIND: "use one of these kinds, or leave it out for a fact",
    Reason.ANNOTATION_MISSING: (
        'give the field exactly one annotation; {"operational": true} keeps it out of the record'
    ),
    Reason.ANNOTATION_INVALID: (
        'give a field one of {"identifier": SCHEME, "role": ROLE}, {"attribute": NAME}, {"term": NAME}, '
        '{"item": true}, {"prior": true}, {"operational": true}; docs/DESIGN.md, E4, says what each means'
    ),
    Reason.SUBJECT_MISSING: (
        'mark the field that says whom the event is about: {"identifier": SCHEME, "role": "subject"}'
    ),
    Reason.SUBJECT_REPEATED: (
        "keep one subject; another identifier of the same person has the role same-person"
    ),
    Reason.OTHER_MISSING: 'mark the identifier on the other side with the role "other", exactly once',
    Reason.ROLE_MISPLACED: (
        "use subject, same-person or superseded-by; other only on kinds link and unlink, once"
    ),
    Reason.UNKNOWN_SCHEME: "use a scheme that there is, or declare the department's own in identifiers.yaml",
    Reason.UNKNOWN_ATTRIBUTE: "use an attribute of attributes.yaml, or add it there",
    Reason.UNKNOWN_CATEGORY: "use a category that an attribute in attributes.yaml has",
    Reason.UNKNOWN_TERM: "use a term that the contract's kind has (docs/DESIGN.md, E4 and section 5)",
    Reason.TERM_MISSING: "add a field for the term; the kind says nothing without it",
    Reason.ATTRIBUTE_MISPLACED: "state attributes in a contract of kind fact",
    Reason.ATTRIBUTE_REPEATED: "state an attribute once in a contract, and a term once",
    Reason.ATTRIBUTE_TYPE: "give the attribute one Avro type everywhere, or state another attribute",
    Reason.ITEM: (
        'mark a text field {"item": true} exactly when the contract\'s attributes repeat (items: true)'
    ),
    Reason.PRIOR: ("a prior is the text id of one earlier event; an annulment always has it"),
    Reason.FIELD_TYPE: "give the field a type that its annotation can use",
    Reason.NOT_COMPATIBLE: (
        "add fields with a default only, change no type and no default, take no symbol from an enum, and "
        "give it new ones only if it has had a default since its first version; a new meaning is a new "
        "version, v<N+1>"
    ),
    Reason.OTHER_MEANING: (
        "leave the annotation as it was, and say the new thing in a new field with a default, or in a new "
        "version, v<N+1>: what is stored would be read by the new one"
    ),
    Reason.NO_AUTHORITY: "ask for the pair in authority.yaml, or take the owner or the scheme out",
}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong: where it is, which reason, why it applies here. `field` is empty for a whole file."""

    file: str
    field: str
    reason: Reason
    why: str

    @property
    def mend(self) -> str:
        """What to do about it."""
        return MEND[self.reason]

    def __str__(self) -> str:
        where = f"{self.file}: {self.field}" if self.field else self.file
        return f"{where}: {self.reason}: {self.why}. To mend: {self.mend}."


def near_hint(name: object, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known name is near, else nothing; it shows the known name only."""
    if not isinstance(name, str) or len(name) > _NEAR_CHARACTERS_MAX:
        return ""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def few_of(known: Iterable[str]) -> str:
    """The names that there are, when a line can hold them; else nothing."""
    names = sorted(known)
    return f"; there are {', '.join(names)}" if 0 < len(names) <= _NAMES_SHOWN_MAX else ""


def there_is_no(what: str, name: object, known: Iterable[str]) -> str:
    """That a name is not known, and which is near; else which there are, when a line can hold them."""
    names = list(known)
    return f"there is no {what} {name!r}{near_hint(name, names) or few_of(names)}"


class ContractProblems(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """A contracts directory that cannot be used; `problems` has all of them, sorted."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))
