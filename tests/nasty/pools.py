"""Small pools of identifiers of every scheme, valid by their check digits, and the many ways to write one."""

from __future__ import annotations

import re
from random import Random

from stdnum.gb import nhs, utr

from tests.model.identifiers import BUILT_IN, IdentifierError, Schemes

_PIECE = re.compile(r"\[([^\]]+)\](?:\{(\d+)(?:,(\d+))?\})?|([A-Za-z0-9_-])(?:\{(\d+)\})?")


def fresh_value(rng: Random, scheme: str, schemes: Schemes) -> str:
    """A random canonical value of a scheme."""
    while True:
        value = _candidate(rng, scheme, schemes)
        try:
            return schemes.canonical(scheme, value).partition(":")[2]
        except IdentifierError:
            continue


def _candidate(rng: Random, scheme: str, schemes: Schemes) -> str:
    digits = "".join(rng.choices("0123456789", k=9))
    letters = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=9))
    if scheme == "nino":
        return letters[:2] + digits[:6] + rng.choice("ABCD")
    if scheme == "nhs":
        return digits + rng.choice("0123456789")  # one in eleven is valid; the caller asks again
    if scheme == "utr":
        return str(utr.calc_check_digit(digits)) + digits
    if scheme == "driver":
        surname = (letters[: rng.randint(2, 5)] + "9999")[:5]
        month = rng.choice((0, 50)) + rng.randint(1, 12)
        day = rng.randint(1, 28)
        initials = rng.choice((letters[5:7], letters[5] + "9"))
        return f"{surname}{digits[0]}{month:02d}{day:02d}{digits[1]}{initials}9{letters[7:9]}"
    if scheme == "passport":
        return rng.choice((digits, letters[:3] + digits[:3]))
    if scheme == "onelogin":
        return "urn:fdc:gov.uk:2022:" + "".join(rng.choices("aAbB_-19", k=8))
    return of_pattern(rng, schemes.patterns[scheme].pattern)


def of_pattern(rng: Random, pattern: str) -> str:
    """A string of a simple pattern: letters, and classes with a count."""
    text = ""
    for piece in _PIECE.finditer(pattern):
        chosen, low, high, letter, times = piece.groups()
        if letter:
            text += letter * int(times or 1)
        else:
            count = rng.randint(int(low or 1), int(high or low or 1))
            text += "".join(rng.choices(_members(chosen), k=count))
    return text


def _members(inside: str) -> str:
    spans = re.findall(r"(.)-(.)|(.)", inside)
    return "".join(
        single or "".join(map(chr, range(ord(first), ord(last) + 1))) for first, last, single in spans
    )


def written(rng: Random, scheme: str, value: str) -> str:
    """A canonical value as a department might write it."""
    if rng.random() < 0.7:
        return value
    if scheme in ("onelogin",) or scheme not in BUILT_IN:
        return rng.choice((" ", "", "\t")) + value + rng.choice((" ", "  ", "\n"))
    loose = value if rng.random() < 0.5 else value.lower()
    separator = rng.choice((" ", "-", ".", "/", "  "))
    cut = sorted(rng.sample(range(1, len(loose)), k=min(2, len(loose) - 1)))
    loose = separator.join((loose[: cut[0]], loose[cut[0] : cut[-1]], loose[cut[-1] :]))
    if scheme == "utr" and rng.random() < 0.5:
        loose = "K" + loose
    return rng.choice((loose, f" {loose} ", f"{loose}\n", f"\u00a0{loose}\t"))


def wrong_value(rng: Random, scheme: str, value: str) -> str:
    """A value that its scheme does not take, whatever is done to it."""
    if scheme in ("nhs", "utr") and value.isdigit():
        changed = (int(value[-1]) + rng.randint(1, 9)) % 10
        wrong = value[:-1] + str(changed)
        check = nhs.is_valid if scheme == "nhs" else utr.is_valid
        if not check(wrong):
            return wrong
    if scheme == "nino":
        return rng.choice(("BG123456A", "AB123456E", "AO123456C", "AB12345C", "AB123456", "Q" + value[1:]))
    return rng.choice(("", "!", value + "!!!!!!!!!!!!", "\u0661\u0662\u0663"))
