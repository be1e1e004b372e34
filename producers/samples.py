"""Sample events of a contract that nobody has published yet: valid, about nobody, the same for the same seed.

The identifiers come from the ranges of `producers.synthetic`, those of a department's own scheme from its
pattern. Of three events the first says all that the contract has a place for, the second only what it must,
the third something between.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from random import Random

from producers import synthetic
from producers.departments import Event
from schemas import Contract, Contracts, IdentifierField, Kind, Role, format_instant
from schemas.avro_type import (
    PARTIAL_DATE,
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    Union,
    nullable,
    without_null,
)
from schemas.pattern_example import example_of

DAY_MS = 86_400_000
_ANOTHER = 100_000
"""How far the serial of another person is from that of the subject."""
_DIGIT, _LETTER = "0123456789", "ABCDEFGHJKLMNPQRSTUVWXYZ"
_BUILT_IN = {
    "nino": synthetic.nino,
    "nhs": synthetic.nhs_number,
    "utr": synthetic.utr,
    "driver": lambda serial: synthetic.driver_number(serial, "Specimen", date(1970, 1, 1), woman=True),
    "passport": synthetic.passport_number,
    "onelogin": synthetic.onelogin_subject,
}


class NoSample(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """A scheme whose pattern defies guessing; its department has to write its events itself."""


def samples(
    contract: Contract,
    contracts: Contracts,
    count: int,
    at_ms: int,
    seed: int,
    terms: Sequence[Mapping[str, str]] = (),
) -> Iterator[Event]:
    """So many events recorded before the instant `at_ms`; NoSample.

    `terms` are values for what a kind names of agreements (`subscriber`, `purpose`, `agreement`), in turn.
    """
    for number in range(count):
        said = terms[number % len(terms)] if terms else {}
        yield _Sample(contract, contracts, number, at_ms, seed, said).event()


class _Sample:
    """One event in the making."""

    def __init__(
        self,
        contract: Contract,
        contracts: Contracts,
        number: int,
        at_ms: int,
        seed: int,
        said: Mapping[str, str],
    ) -> None:
        self._contract, self._contracts, self._number, self._said = contract, contracts, number, said
        self._time_ms = at_ms - DAY_MS + number * 1000
        self._random = Random(f"{seed} {contract.type} {number}")  # noqa: S311 - samples, not secrets
        self._serial = seed * 1000 + number
        self._identifiers = {field.name: field for field in contract.identifiers}
        self._terms = {name: term for term, name in contract.terms.items()}

    def event(self) -> Event:
        data = {
            field.name: self._field(field)
            for field in self._contract.codec.type.fields
            if not (field.has_default and self._left_out())
        }
        return {
            "specversion": "1.0",
            "id": f"sample-{self._number + 1}",
            "source": f"urn:gov:{min(self._contract.owners)}:sample",
            "type": self._contract.type,
            "time": format_instant(self._time_ms),
            "data": data,
        }

    def _left_out(self) -> bool:
        """What is optional stands in the first event, not in the second, and in others as it falls."""
        return (False, True, self._random.random() < 0.5)[min(self._number, 2)]

    def _field(self, field: Field) -> object:
        if field.name in self._identifiers:
            return self._identifier(self._identifiers[field.name])
        if field.name == self._contract.prior:
            return None if self._contract.kind is Kind.FACT and nullable(field.type) else "sample-1"
        if field.name == self._contract.item:
            return f"sample-item-{self._number % 2 + 1}"
        term = self._terms.get(field.name)
        return self._value(field.type) if term is None else self._term(term, field)

    def _term(self, term: str, field: Field) -> object:
        type_ = without_null(field.type)
        if term in self._said:
            return self._said[term]
        if term == "categories":
            return []
        if term in ("until", "valid_until"):
            return None if nullable(field.type) else self._moment(type_, 400)
        if isinstance(type_, Enum):
            return type_.symbols[self._number % len(type_.symbols)]
        if term in ("effective", "valid_from"):
            return self._moment(type_, -30)
        return f"sample-{term}"

    def _moment(self, type_: AvroType, days: int) -> object:
        """A moment so many days from the event, as its type writes it."""
        text = format_instant(self._time_ms + days * DAY_MS)
        logical = type_.logical if isinstance(type_, Primitive) else None
        return text if logical in ("timestamp-millis", "timestamp-micros") else text[:10]

    def _identifier(self, field: IdentifierField) -> str:
        scheme = field.scheme
        if scheme == "*":
            names = sorted(field.schemes or self._contracts.schemes.names, key=self._contracts.schemes.rank)
            scheme = names[self._number % len(names)]
        another = field.role in (Role.SUPERSEDED_BY, Role.OTHER)
        value = self._value_of(scheme, self._serial + (_ANOTHER if another else 0))
        return f"{scheme}:{value}" if field.scheme == "*" else value

    def _value_of(self, scheme: str, serial: int) -> str:
        if scheme in _BUILT_IN:
            return _BUILT_IN[scheme](serial)
        return declared_value(self._contracts.schemes.declared[scheme].pattern, serial)

    def _value(self, type_: AvroType) -> object:
        match without_null(type_):
            case (
                Primitive(logical="decimal", precision=precision, scale=scale)
                | Fixed(logical="decimal", precision=precision, scale=scale)
            ):
                return self._decimal(precision, scale)
            case Primitive() as primitive:
                return self._primitive(primitive)
            case Enum(symbols=symbols):
                return self._random.choice(symbols)
            case Fixed(size=size):
                return b64encode(bytes(size)).decode()
            case Array(items=items):
                return [self._value(items) for _ in range(self._random.randint(1, 2))]
            case Map(values=values):
                return {"sample": self._value(values)}
            case Record(fields=fields):
                return {
                    each.name: self._value(each.type)
                    for each in fields
                    if not (each.has_default and self._left_out())
                }
            case Union(branches=branches):
                return self._value(branches[0])

    def _decimal(self, precision: int, scale: int) -> str:
        digits = f"{self._random.randrange(10 ** min(precision, scale + 4)):0{scale + 1}d}"
        return f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits

    def _primitive(self, type_: Primitive) -> object:
        match type_.logical or type_.name:
            case "string":
                return f"sample text {self._random.randint(1, 99)}"
            case "boolean":
                return self._random.random() < 0.5
            case "int" | "long":
                return self._random.randint(0, 999)
            case "float" | "double":
                return self._random.randint(0, 999) / 4
            case "bytes":
                return b64encode(b"sample").decode()
            case "uuid":
                return f"00000000-0000-4000-8000-{self._random.randrange(10**12):012d}"
            case "time-millis" | "time-micros":
                return f"{self._random.randint(0, 23):02d}:30:00"
            case "date" | "timestamp-millis" | "timestamp-micros":
                return self._moment(type_, -self._random.randint(1, 9000))
            case logical if logical == PARTIAL_DATE:
                return str(self._moment(type_, -self._random.randint(1, 9000)))[
                    : self._random.choice((4, 7, 10))
                ]
            case _:
                return None


def declared_value(pattern: str, serial: int) -> str:
    """A value of a department's own scheme, another one for another serial where the pattern has room for it;
    NoSample.

    From the last character on, digits and letters are turned to those of the serial where the pattern still
    matches.
    """
    value = example_of(pattern)
    if value is None:
        raise NoSample(f"no value can be guessed of the pattern {pattern}")
    compiled, rest = re.compile(pattern), serial
    for at in range(len(value) - 1, -1, -1):
        kind = _DIGIT if value[at].isdigit() else _LETTER if value[at] in _LETTER else ""
        if kind:
            rest, digit = divmod(rest, len(kind))
            changed = value[:at] + kind[digit] + value[at + 1 :]
            value = changed if compiled.fullmatch(changed) else value
    return value
