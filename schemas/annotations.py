"""What the `postroom` attribute of a schema says, read by the table of E4.

One reader per contract file. It collects every problem before it gives up, so that a department mends a
contract in one round.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from . import avro_type
from .avro import PlainCodec
from .avro_type import PARTIAL_DATE, Array, AvroType, Enum, Field, Primitive, SchemaInvalid
from .contract import STATES, AttributeField, Contract, IdentifierField, Kind, Role
from .identifiers import ANY_SCHEME, Schemes
from .problem import Problem, Reason, there_is_no
from .times import Duration, parse_duration

OWNER = re.compile(r"[a-z][a-z0-9-]{1,30}")
PATH = re.compile(r"(?P<domain>[a-z][a-z0-9-]*)/(?P<fact>[a-z][a-z0-9-]*)\.v(?P<version>[1-9][0-9]*)\.avsc")
REPEATED_ROLES = frozenset({Role.SAME_PERSON, Role.SUPERSEDED_BY})
FORMS = ("identifier", "attribute", "item", "prior", "term", "operational")
_RECORD_KEYS = frozenset({"owners", "kind", "retention"})
_NEEDED_KEYS: Mapping[str, frozenset[str]] = {"identifier": frozenset({"identifier", "role"})}
_ALLOWED_KEYS: Mapping[str, frozenset[str]] = {
    "identifier": frozenset({"identifier", "role", "schemes"}),
    "attribute": frozenset({"attribute", "term"}),
}


class Term(NamedTuple):
    """One thing that a kind needs to know: whether it must be stated, what it may be, and that in words."""

    required: bool
    fits: Callable[[AvroType], bool]
    expected: str


def _is_text(type_: AvroType) -> bool:
    return type_ == Primitive("string")


def _is_moment(type_: AvroType) -> bool:
    moments = {"date", PARTIAL_DATE, "timestamp-millis", "timestamp-micros"}
    return isinstance(type_, Primitive) and type_.logical in moments


def _is_categories(type_: AvroType) -> bool:
    return isinstance(type_, Array) and (_is_text(type_.items) or isinstance(type_.items, Enum))


def _state(kind: Kind) -> Term:
    states = STATES[kind]

    def fits(type_: AvroType) -> bool:
        return isinstance(type_, Enum) and set(type_.symbols) <= set(states)

    return Term(True, fits, "an enum of " + ", ".join(states))


_MOMENT = Term(False, lambda type_: _is_moment(avro_type.without_null(type_)), "a date or a timestamp")
_TEXT = Term(True, _is_text, "a string that is not null")
_NOTE = Term(False, lambda type_: _is_text(avro_type.without_null(type_)), "a string")

#: The terms of each kind (E4, §5); a kind that is not here has none.
TERMS: Mapping[Kind, Mapping[str, Term]] = {
    Kind.FACT: {"effective": _MOMENT, "until": _MOMENT},
    Kind.CONSENT: {
        "subscriber": _TEXT,
        "purpose": _TEXT,
        "categories": Term(True, _is_categories, "an array of strings, or of an enum of categories"),
        "state": _state(Kind.CONSENT),
        "valid_from": _MOMENT,
        "valid_until": _MOMENT,
        "evidence": _NOTE,
    },
    Kind.OBJECTION: {"subscriber": _TEXT, "purpose": _TEXT, "state": _state(Kind.OBJECTION)},
    Kind.RESTRICTION: {"state": _state(Kind.RESTRICTION)},
    Kind.ENROLMENT: {"agreement": _TEXT, "state": _state(Kind.ENROLMENT)},
}


class Known(NamedTuple):
    """What a contract may refer to; `repeats` maps each attribute to whether it repeats (E5)."""

    schemes: Schemes
    repeats: Mapping[str, bool]
    categories: frozenset[str]


class ContractReader:
    """Reads one contract; `problems` has everything that is wrong with it."""

    def __init__(self, file: str, schema: Mapping[str, object], known: Known) -> None:
        self.file = file
        self.schema = schema
        self.known = known
        self.problems: list[Problem] = []
        self._identifiers: list[IdentifierField] = []
        self._attributes: list[AttributeField] = []
        self._items: list[Field] = []
        self._priors: list[Field] = []
        self._terms: dict[str, str] = {}
        self._subject_is_marked = False
        self._kind = Kind.FACT

    def read(self) -> Contract | None:
        """The contract, or None when there are problems."""
        path = PATH.fullmatch(self.file)
        if path is None:
            self._problem("", Reason.MISPLACED, "the path does not name a domain, a fact and a version")
        try:
            codec = PlainCodec(self.schema)
        except SchemaInvalid as invalid:
            self._problem(invalid.where, Reason.SCHEMA_INVALID, invalid.problem)
            return None
        owners, retention = self._record_annotation()
        for field in codec.type.fields:
            self._field(field)
        subject = self._check_identifiers()
        self._check_attributes()
        self._check_prior()
        self._check_terms()
        if self.problems or path is None or subject is None or retention is None:
            return None
        return Contract(
            type=f"uk.gov.{path['domain']}.{path['fact']}.v{path['version']}",
            domain=path["domain"],
            fact=path["fact"],
            version=int(path["version"]),
            owners=owners,
            kind=self._kind,
            retention=retention,
            doc=codec.type.doc,
            path=self.file,
            schema=self.schema,
            subject=subject,
            links=tuple(field for field in self._identifiers if field.role in REPEATED_ROLES),
            other=next((field for field in self._identifiers if field.role is Role.OTHER), None),
            attributes=tuple(self._attributes),
            item=self._items[0].name if self._items else None,
            prior=self._priors[0].name if self._priors else None,
            terms=dict(self._terms),
            codec=codec,
        )

    def _problem(self, field: str, reason: Reason, why: str) -> None:
        self.problems.append(Problem(self.file, field, reason, why))

    # What stands on the record.

    def _record_annotation(self) -> tuple[frozenset[str], Duration | None]:
        said = self.schema.get("postroom")
        if not isinstance(said, dict):
            said = {}
        for key in sorted(said.keys() - _RECORD_KEYS):
            self._problem(
                "",
                Reason.ANNOTATION_INVALID,
                f"the record's `postroom` has owners, kind and retention, no `{key}`",
            )
        owners = said.get("owners")
        if not isinstance(owners, list) or not owners or not all(map(_is_owner, owners)):
            self._problem("", Reason.OWNERS_MISSING, "`owners` is not a list of departments' short names")
            owners = []
        kind = said.get("kind", "fact")
        if isinstance(kind, str) and kind in set(Kind):
            self._kind = Kind(kind)
        else:
            self._problem("", Reason.UNKNOWN_KIND, there_is_no("kind", kind, Kind))
        return frozenset(owners), self._retention(said.get("retention"))

    def _retention(self, said: object) -> Duration | None:
        try:
            if isinstance(said, str):
                return parse_duration(said)
        except ValueError:
            pass
        self._problem("", Reason.RETENTION_MISSING, "`retention` is missing or not an ISO 8601 duration")
        return None

    # What stands on each field.

    def _field(self, field: Field) -> None:
        said = field.attributes.get("postroom")
        if said is None:
            self._problem(field.name, Reason.ANNOTATION_MISSING, "the field has no `postroom` annotation")
            return
        forms = [form for form in FORMS if isinstance(said, dict) and form in said]
        form = "attribute" if forms == ["attribute", "term"] else forms[0] if len(forms) == 1 else None
        if form is None or not isinstance(said, dict):
            self._problem(
                field.name,
                Reason.ANNOTATION_INVALID,
                "the field must have exactly one of " + ", ".join(FORMS),
            )
            return
        lacks = sorted(_NEEDED_KEYS.get(form, frozenset()) - said.keys())
        too_much = sorted(said.keys() - _ALLOWED_KEYS.get(form, {form}))
        if lacks or too_much:
            why = (
                f"`{form}` needs `{lacks[0]}` too" if lacks else f"`{form}` does not go with `{too_much[0]}`"
            )
            self._problem(field.name, Reason.ANNOTATION_INVALID, why)
            return
        match form:
            case "identifier":
                self._identifier(field, said)
            case "attribute":
                self._attribute(field, said)
            case "term":
                self._term(field, said["term"])
            case _ if said[form] is not True:
                self._problem(field.name, Reason.ANNOTATION_INVALID, f"`{form}` can only be true")
            case "item":
                self._items.append(field)
            case "prior":
                self._priors.append(field)

    def _identifier(self, field: Field, said: Mapping[str, object]) -> None:
        scheme, role, schemes = said["identifier"], said["role"], said.get("schemes")
        if not isinstance(role, str) or role not in set(Role):
            self._problem(field.name, Reason.ROLE_MISPLACED, there_is_no("role", role, Role))
            return
        self._subject_is_marked |= role == Role.SUBJECT
        if not isinstance(scheme, str) or (scheme != ANY_SCHEME and scheme not in self.known.schemes):
            said_of = there_is_no("scheme", scheme, self.known.schemes.names)
            self._problem(field.name, Reason.UNKNOWN_SCHEME, said_of)
            return
        if "schemes" in said and not self._schemes_fit(field, scheme, schemes):
            return
        nullable = avro_type.nullable(field.type)
        if not _is_text(avro_type.without_null(field.type)):
            self._problem(field.name, Reason.FIELD_TYPE, "an identifier is a string, or null or a string")
        elif nullable and Role(role) not in REPEATED_ROLES:
            self._problem(field.name, Reason.FIELD_TYPE, f"the {role} of an event is never null")
        allowed = frozenset(map(str, schemes)) if isinstance(schemes, list) else None
        self._identifiers.append(IdentifierField(field.name, scheme, Role(role), allowed, nullable))

    def _schemes_fit(self, field: Field, scheme: str, schemes: object) -> bool:
        if scheme != ANY_SCHEME or not isinstance(schemes, list) or not schemes:
            self._problem(
                field.name, Reason.ANNOTATION_INVALID, "`schemes` is a list that narrows the scheme `*`"
            )
            return False
        unknown = sorted(str(each) for each in schemes if each not in self.known.schemes)
        if unknown:
            self._problem(field.name, Reason.UNKNOWN_SCHEME, f"there is no scheme {', '.join(unknown)}")
        return not unknown

    def _attribute(self, field: Field, said: Mapping[str, object]) -> None:
        attribute = said["attribute"]
        if self._kind is not Kind.FACT:
            self._problem(
                field.name, Reason.ATTRIBUTE_MISPLACED, f"a contract of kind {self._kind} states no attribute"
            )
        elif not isinstance(attribute, str) or attribute not in self.known.repeats:
            said_of = there_is_no("attribute", attribute, self.known.repeats)
            self._problem(field.name, Reason.UNKNOWN_ATTRIBUTE, said_of)
        elif any(attribute == other.attribute for other in self._attributes):
            self._problem(
                field.name, Reason.ATTRIBUTE_REPEATED, f"{attribute} stands on another field already"
            )
        else:
            self._attributes.append(AttributeField(field.name, attribute))
        if "term" in said:
            self._term(field, said["term"])

    def _term(self, field: Field, name: object) -> None:
        terms = TERMS.get(self._kind, {})
        if not isinstance(name, str) or name not in terms:
            known = ", ".join(terms) or "none"
            self._problem(
                field.name,
                Reason.UNKNOWN_TERM,
                f"the kind {self._kind} has no term {name!r} (it has: {known})",
            )
            return
        if name in self._terms:
            self._problem(
                field.name, Reason.ATTRIBUTE_REPEATED, f"the term {name} stands on another field already"
            )
        if not terms[name].fits(field.type):
            self._problem(field.name, Reason.FIELD_TYPE, f"the term {name} is {terms[name].expected}")
        elif name == "categories" and isinstance(field.type, Array) and isinstance(field.type.items, Enum):
            for category in sorted(set(field.type.items.symbols) - self.known.categories):
                self._problem(
                    field.name, Reason.UNKNOWN_CATEGORY, f"no attribute has the category {category}"
                )
        self._terms[name] = field.name

    # What must hold of the fields together.

    def _check_identifiers(self) -> IdentifierField | None:
        subjects = [field for field in self._identifiers if field.role is Role.SUBJECT]
        others = [field for field in self._identifiers if field.role is Role.OTHER]
        if not subjects and not self._subject_is_marked:  # a marked one is not missing, its scheme is wrong
            self._problem("", Reason.SUBJECT_MISSING, "no field says whom the event is about")
        for field in subjects[1:]:
            self._problem(field.name, Reason.SUBJECT_REPEATED, f"{subjects[0].name} is the subject already")
        if self._kind in (Kind.LINK, Kind.UNLINK):
            if not others:
                self._problem("", Reason.OTHER_MISSING, f"the kind {self._kind} needs the other identifier")
            misplaced = others[1:]
        else:
            misplaced = others
        for field in misplaced:
            self._problem(
                field.name, Reason.ROLE_MISPLACED, "the role other stands once, in a link or an unlink"
            )
        return subjects[0] if subjects else None

    def _check_attributes(self) -> None:
        repeating = {field.name: self.known.repeats[field.attribute] for field in self._attributes}
        if len(set(repeating.values())) > 1:
            names = ", ".join(sorted(name for name, repeats in repeating.items() if repeats))
            self._problem(
                names, Reason.ITEM, "attributes that repeat and attributes that do not stand in one contract"
            )
        if any(repeating.values()) and not self._items:
            self._problem(
                "", Reason.ITEM, "the contract's attributes repeat, and no field says which item it is"
            )
        for field in self._items if not any(repeating.values()) else self._items[1:]:
            self._problem(
                field.name, Reason.ITEM, "there is one item, and only where the contract's attributes repeat"
            )
        for field in self._items:
            if not _is_text(field.type):
                self._problem(field.name, Reason.FIELD_TYPE, "an item is a string that is not null")

    def _check_prior(self) -> None:
        if self._kind is Kind.ANNULMENT and not self._priors:
            self._problem("", Reason.PRIOR, "an annulment names no earlier event")
        for field in self._priors[1:]:
            self._problem(field.name, Reason.PRIOR, "an event names one earlier event at most")
        for field in self._priors:
            if self._kind is Kind.ANNULMENT and avro_type.nullable(field.type):
                self._problem(field.name, Reason.PRIOR, "an annulment's prior is never null")
            if not _is_text(avro_type.without_null(field.type)):
                self._problem(field.name, Reason.FIELD_TYPE, "a prior is a string, the id of an event")

    def _check_terms(self) -> None:
        for name, term in TERMS.get(self._kind, {}).items():
            if term.required and name not in self._terms:
                self._problem("", Reason.TERM_MISSING, f"the kind {self._kind} needs the term {name}")


def _is_owner(name: object) -> bool:
    return isinstance(name, str) and OWNER.fullmatch(name) is not None


def attribute_types(contract: Contract) -> dict[str, tuple[str, AvroType]]:
    """Each attribute of a contract with its field's name and Avro type, null left aside."""
    fields = {field.name: field.type for field in contract.codec.type.fields}
    return {
        each.attribute: (each.name, avro_type.without_null(fields[each.name])) for each in contract.attributes
    }
