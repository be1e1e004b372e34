"""A contract: the Avro schema of a department's event and what its fields mean (E4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .avro import PlainCodec
from .avro_type import sorts_to_canonical_json
from .identifiers import ANY_SCHEME, IdentifierInvalid, Schemes
from .plain_containers import Plain
from .times import Duration


class Kind(StrEnum):
    """What an event of a contract states."""

    FACT = "fact"
    ANNULMENT = "annulment"
    LINK = "link"
    UNLINK = "unlink"
    CONSENT = "consent"
    OBJECTION = "objection"
    RESTRICTION = "restriction"
    ENROLMENT = "enrolment"


STATES: Mapping[Kind, tuple[str, ...]] = {
    Kind.CONSENT: ("GRANTED", "PAUSED", "WITHDRAWN"),
    Kind.OBJECTION: ("OBJECTED", "LIFTED"),
    Kind.RESTRICTION: ("RESTRICTED", "LIFTED"),
    Kind.ENROLMENT: ("ENROLLED", "ENDED"),
}
"""The states that each kind of statement may give (§5)."""


class Role(StrEnum):
    """What an identifier field is to the event."""

    SUBJECT = "subject"
    SAME_PERSON = "same-person"
    SUPERSEDED_BY = "superseded-by"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class IdentifierField:
    """A field that holds an identifier; scheme `*` holds `scheme:value` of `schemes`, or of any when that
    is None.
    """

    name: str
    scheme: str
    role: Role
    schemes: frozenset[str] | None
    nullable: bool

    def canonical(self, value: str, schemes: Schemes) -> str:
        """`scheme:value` of what an event has in this field (I1); IdentifierInvalid, without the value."""
        if self.scheme == ANY_SCHEME:
            return schemes.parse(value, self.schemes)
        return schemes.canonical(self.scheme, value)


@dataclass(frozen=True, slots=True)
class AttributeField:
    """A field that states an attribute of the citizen."""

    name: str
    attribute: str


@dataclass(frozen=True, slots=True)
class Contract:
    """One version of what a department publishes; `terms` maps a term to the name of the field that holds
    it.
    """

    type: str
    domain: str
    fact: str
    version: int
    owners: frozenset[str]
    kind: Kind
    retention: Duration
    doc: str
    path: str
    schema: Mapping[str, object] = field(compare=False, repr=False)
    subject: IdentifierField
    links: tuple[IdentifierField, ...]
    other: IdentifierField | None
    attributes: tuple[AttributeField, ...]
    item: str | None
    prior: str | None
    terms: Mapping[str, str]
    codec: PlainCodec = field(compare=False, repr=False)
    plain_form: bool = field(init=False, compare=False, repr=False)
    """Sorted compact JSON of the contract's plain data is its RFC 8785 form (R2)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain_form", sorts_to_canonical_json(self.codec.type))

    @property
    def linking(self) -> tuple[IdentifierField, ...]:
        """Every field that states something of a pair with the subject (I2)."""
        return self.links if self.other is None else (*self.links, self.other)

    @property
    def identifiers(self) -> tuple[IdentifierField, ...]:
        """Every field that holds an identifier, the subject first."""
        return (self.subject, *self.linking)

    def invalid_identifiers(
        self, data: Mapping[str, object], schemes: Schemes
    ) -> Iterator[tuple[str, IdentifierInvalid]]:
        """Each identifier field whose value no scheme takes, and why not (I1); a link that is null says
        nothing, and what is no text is the codec's to refuse.
        """
        for each in self.identifiers:
            value = data.get(each.name)
            if isinstance(value, str):
                try:
                    each.canonical(value, schemes)
                except IdentifierInvalid as invalid:
                    yield each.name, invalid

    def from_json(self, data: object) -> Plain:
        """An event's `data` as plain JSON of this contract, defaults filled in; ContractMismatch (E3)."""
        return self.codec.check(data)

    def from_avro(self, body: bytes, writer: Mapping[str, object] | None = None) -> Plain:
        """The plain JSON of Avro binary written with this contract, or with `writer`, another version of it;
        ContractMismatch for any damage (E2).
        """
        return self.codec.decode(body, writer)

    def reader(self, writer: Mapping[str, object] | None = None) -> Callable[[bytes], Plain]:
        """`from_avro` of all that one writer's schema has written; ContractMismatch from each call."""
        return self.codec.reader(writer)

    def to_avro(self, plain: Mapping[str, object]) -> bytes:
        """Avro binary of data that `from_json` has returned; ContractMismatch when it is something else."""
        return self.codec.encode(plain)
