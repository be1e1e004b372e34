"""I1: the schemes, how each is normalised and checked, which are exclusive, and in which order they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from stdnum.gb import nhs, utr

NINO = re.compile(
    r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]",
)
DRIVER = re.compile(
    r"[A-Z]{1,5}9{0,4}"  # five of the surname, filled up with nines (the length is checked apart)
    r"[0-9](?:[05][1-9]|[16][0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]"  # decade, month (+50: a woman), day, year
    r"[A-Z9]{2}[A-Z0-9][A-Z]{2}"  # initials, one to tell doubles apart, two check letters
)
PASSPORT = re.compile(r"[A-Z0-9]{6,9}")
ONELOGIN = re.compile(r"urn:fdc:gov\.uk:2022:[A-Za-z0-9_-]{8,}")


class IdentifierError(Exception):
    """A value that its scheme does not take, or that is not canonical where it must be."""


def _upper_without_separators(value: str) -> str:
    without = value.strip()
    for separator in " -./":
        without = without.replace(separator, "")
    return "".join(letter.upper() if letter.isascii() else letter for letter in without)


def _whole(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise IdentifierError
    return value


def _nino(value: str) -> str:
    return _whole(NINO, _upper_without_separators(value))


def _nhs(value: str) -> str:
    digits = _whole(re.compile("[0-9]{10}"), _upper_without_separators(value))
    if not nhs.is_valid(digits):
        raise IdentifierError
    return digits


def _utr(value: str) -> str:
    digits = _whole(re.compile("[0-9]{10}"), _upper_without_separators(value).removeprefix("K"))
    if utr.calc_check_digit(digits[1:]) != digits[0]:
        raise IdentifierError
    return digits


def _driver(value: str) -> str:
    number = _whole(DRIVER, _upper_without_separators(value))
    if len(number) != 16:
        raise IdentifierError
    return number


def _passport(value: str) -> str:
    return _whole(PASSPORT, _upper_without_separators(value))


def _onelogin(value: str) -> str:
    return _whole(ONELOGIN, value.strip())


BUILT_IN: Mapping[str, tuple[Callable[[str], str], bool]] = {  # in the order of I1's table: check, exclusive
    "nino": (_nino, True),
    "nhs": (_nhs, True),
    "utr": (_utr, True),
    "driver": (_driver, True),
    "passport": (_passport, False),
    "onelogin": (_onelogin, False),
}


class Schemes:
    """I1's table with the declared schemes (E5) behind it."""

    def __init__(self, declared: Mapping[str, Mapping[str, object]]) -> None:
        self.patterns = {name: re.compile(str(scheme["pattern"])) for name, scheme in declared.items()}
        self.exclusive = {name for name, (_, exclusive) in BUILT_IN.items() if exclusive}
        self.exclusive |= {name for name, scheme in declared.items() if scheme.get("exclusive")}
        self.order = [*BUILT_IN, *sorted(declared)]

    def canonical(self, scheme: str, value: str) -> str:
        """A value of a known scheme, normalised and checked, as `scheme:value`."""
        if scheme in BUILT_IN:
            return f"{scheme}:{BUILT_IN[scheme][0](value)}"
        if scheme not in self.patterns:
            raise IdentifierError
        return f"{scheme}:{_whole(self.patterns[scheme], value.strip())}"

    def already_canonical(self, text: str, allowed: frozenset[str] | None) -> str:
        """E4: what a `*` field takes: `scheme:value` that normalising would leave as it is."""
        scheme, colon, value = text.partition(":")
        if (
            not colon
            or (allowed is not None and scheme not in allowed)
            or self.canonical(scheme, value) != text
        ):
            raise IdentifierError
        return text

    def place(self, identifier: str) -> int:
        """Where the identifier's scheme stands in I1's table."""
        return self.order.index(scheme_of(identifier))


def scheme_of(identifier: str) -> str:
    """The scheme ends at the first colon (§1)."""
    return identifier.partition(":")[0]
