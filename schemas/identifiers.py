"""Identifier schemes: how a value is normalised and checked (I1).

One table, in the order that I4 chooses anchors by. A value is never put into a message: errors say what is
wrong with it, not what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import mul
from types import MappingProxyType

ANY_SCHEME = "*"
SCHEME_NAME = re.compile(r"[a-z][a-z0-9-]*")

_NO_SEPARATORS = str.maketrans("", "", " -./")


class IdentifierInvalid(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """A value that is not an identifier of its scheme (E7 `identifier-invalid`); never holds the value."""

    def __init__(self, scheme: str, problem: str) -> None:
        super().__init__(problem if scheme == ANY_SCHEME else f"{scheme}: {problem}")
        self.scheme = scheme
        self.problem = problem


@dataclass(frozen=True, slots=True)
class DeclaredScheme:
    """A department's own scheme, from `identifiers.yaml` (E5): case-sensitive, only trimmed."""

    description: str
    owner: str
    pattern: str
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Scheme:
    """One row of I1's table: normalise, then the whole pattern, then the check digit."""

    name: str
    title: str
    """What people call it."""
    normalise: Callable[[str], str]
    pattern: re.Pattern[str]
    problem: str
    exclusive: bool
    check: Callable[[str], bool] | None = None
    telling: bool = False
    """No word or ticket looks like a value of it, so one in a text was put there."""
    example: str | None = None
    """A valid value, for documents; of a department's own scheme one is guessed from the pattern."""
    built_in: bool = True


def _upper_case(value: str) -> str:
    value = value.strip()
    return value.translate(_NO_SEPARATORS).upper() if value.isascii() else value  # 'ı'.upper() is an ASCII I


def _digits(value: str) -> str:
    return value.strip().translate(_NO_SEPARATORS)


def _digits_without_k(value: str) -> str:
    digits = _digits(value)
    return digits[1:] if digits[:1] in ("K", "k") else digits


# Over the ASCII codes of the digits: 48 times the sum of the NHS weights is 0 modulo 11, of the UTR weights
# 7.
_NHS_WEIGHTS = (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
_UTR_WEIGHTS = (6, 7, 8, 9, 10, 5, 4, 3, 2)
_UTR_CHECK_DIGITS = "21987654321"


def _nhs_check(value: str) -> bool:
    weighted: int = sum(map(mul, _NHS_WEIGHTS, value.encode()))
    return weighted % 11 == 0


def _utr_check(value: str) -> bool:
    remainder: int = (sum(map(mul, _UTR_WEIGHTS, value[1:].encode())) - 7) % 11
    return value[0] == _UTR_CHECK_DIGITS[remainder]


_NINO = r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]"
_TEN_DIGITS = re.compile(r"[0-9]{10}")
# Surname filled up with 9, decade, month (50 more for women), day, year, initials, and the DVLA's own three.
_DRIVER = (
    r"(?=[A-Z9]{5}[0-9].{10}\Z)[A-Z]+9*[0-9](?:[05][1-9]|[16][0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]"
    r"[A-Z9]{2}[A-Z0-9][A-Z]{2}"
)
_ONELOGIN = r"urn:fdc:gov\.uk:2022:[A-Za-z0-9_-]{8,}"

#: I1, row by row; the order is the order of anchors (I4). The examples belong to nobody.
SCHEMES: tuple[Scheme, ...] = (
    Scheme(
        "nino",
        "National Insurance number",
        _upper_case,
        re.compile(_NINO),
        "not the shape of a National Insurance number",
        exclusive=True,
        telling=True,
        example="AB123456C",
    ),
    Scheme(
        "nhs",
        "NHS number",
        _digits,
        _TEN_DIGITS,
        "not ten digits with a valid check digit",
        exclusive=True,
        check=_nhs_check,
        telling=True,
        example="9912003888",
    ),
    Scheme(
        "utr",
        "Unique Taxpayer Reference",
        _digits_without_k,
        _TEN_DIGITS,
        "not ten digits with a valid check digit",
        exclusive=True,
        check=_utr_check,
        telling=True,
        example="1955839661",
    ),
    Scheme(
        "driver",
        "Driver number",
        _upper_case,
        re.compile(_DRIVER),
        "not the shape of a driver number",
        exclusive=True,
        telling=True,
        example="MORGA753116SM9IJ",
    ),
    Scheme(
        "passport",
        "Passport number",
        _upper_case,
        re.compile(r"[A-Z0-9]{6,9}"),
        "not six to nine letters or digits",
        exclusive=False,
        example="123456789",
    ),
    Scheme(
        "onelogin",
        "GOV.UK One Login subject",
        str.strip,
        re.compile(_ONELOGIN),
        "not the shape of a GOV.UK One Login subject",
        exclusive=False,
        example="urn:fdc:gov.uk:2022:example-0001",
    ),
)
BUILT_IN: Mapping[str, Scheme] = MappingProxyType({scheme.name: scheme for scheme in SCHEMES})


class Schemes:
    """Every scheme in force: I1's table, then the departments' own by name."""

    def __init__(self, declared: Mapping[str, DeclaredScheme]) -> None:
        if declared.keys() & BUILT_IN.keys():
            raise ValueError("a declared scheme has the name of a built-in one")
        self.declared: Mapping[str, DeclaredScheme] = MappingProxyType(dict(sorted(declared.items())))
        own = {name: _own_scheme(name, scheme) for name, scheme in self.declared.items()}
        self._table: dict[str, Scheme] = {**BUILT_IN, **own}
        self.names: tuple[str, ...] = tuple(self._table)
        self.exclusive: frozenset[str] = frozenset(n for n in self.names if self._table[n].exclusive)
        self._ranks = {name: (i, "") for i, name in enumerate(BUILT_IN)} | {
            n: (len(BUILT_IN), n) for n in own
        }

    def canonical(self, scheme: str, value: str) -> str:
        """`scheme:value`, normalised and checked; IdentifierInvalid says what is wrong without the value."""
        row = self._table.get(scheme)
        if row is None:
            raise IdentifierInvalid(scheme, "unknown scheme")
        normal, matches = value, row.pattern.fullmatch(value) is not None
        if not (matches and row.built_in):  # I1's patterns have no character that normalising changes
            normal = row.normalise(value)
            matches = row.pattern.fullmatch(normal) is not None
        if not matches or (row.check is not None and not row.check(normal)):
            raise IdentifierInvalid(scheme, row.problem)
        return f"{scheme}:{normal}"

    def parse(self, text: str, allowed: frozenset[str] | None = None) -> str:
        """The same text if it is the canonical `scheme:value` of a known (and allowed) scheme (E4, SCHEME
        `*`).
        """
        scheme, colon, value = text.partition(":")
        if not colon or scheme not in self._table:
            raise IdentifierInvalid(ANY_SCHEME, "not `scheme:value` of a known scheme")
        if allowed is not None and scheme not in allowed:
            raise IdentifierInvalid(scheme, "a scheme that this field does not take")
        if self.canonical(scheme, value) != text:
            raise IdentifierInvalid(scheme, "not in canonical form")
        return text

    def title(self, scheme: str) -> str:
        """What people call the identifiers of a scheme."""
        return self._table[scheme].title

    def rank(self, scheme: str) -> tuple[int, str]:
        """Where a scheme stands in I1's table, declared ones last by name; smaller stands first (I4)."""
        return self._ranks[scheme]

    def __contains__(self, scheme: object) -> bool:
        return scheme in self._table


def _own_scheme(name: str, declared: DeclaredScheme) -> Scheme:
    pattern = re.compile(declared.pattern)
    problem = f"does not match the scheme's pattern {declared.pattern}"
    title = declared.description.partition(".")[0]
    return Scheme(name, title, str.strip, pattern, problem, declared.exclusive, built_in=False)


def scheme_of(identifier: str) -> str:
    """The scheme of a canonical identifier: up to the first colon (§1)."""
    return identifier[: identifier.index(":")]
