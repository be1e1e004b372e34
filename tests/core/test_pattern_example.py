"""An example of a declared scheme, for the page that departments copy from (E5)."""

from __future__ import annotations

import re

import pytest

from schemas.pattern_example import example_of


@pytest.mark.parametrize(
    ("pattern", "example"),
    [
        ("E0[6-9][0-9]{6}-[0-9]{8}", "E06111111-11111111"),
        ("[0-9]{4}", "1111"),
        ("[a-zA-Z]{2}-[0-9]{2}", "AA-11"),
        ("X[0-9A-F]{3,5}", "X111"),
        (r"\d{3}\.\w+", "111.1"),
        ("(?:AB|CD)-(1|2)+", "AB-1"),
        ("(?P<year>20[0-9]{2})/x?y*z+?", "2011/z"),
        ("^ab$", "ab"),
        (r"\Aab\Z", "ab"),
        ("[^0-9]{2}", "AA"),
        (r"[^\W_]", "1"),
        ("[]x-]", "x"),
        ("a|b", "a"),
        ("", ""),
        (".{3}", "111"),
        ("(?i)ab", "ab"),
        ("a{,2}b", "b"),
        ("a{b", "a{b"),
    ],
)
def test_an_example_matches_the_whole_pattern(pattern: str, example: str) -> None:
    """I1: the value is checked against its whole pattern."""
    assert example_of(pattern) == example
    assert re.fullmatch(pattern, example)


@pytest.mark.parametrize("pattern", ["(?!1)[0-9]{3}", r"([a-z])\1{2}", "(?=x)y", "[^1]{2}(?<=z)"])
def test_a_pattern_that_asks_for_more_is_shown_an_example_that_matches_or_none(pattern: str) -> None:
    """What is shown is tried first; nothing is shown that would be refused."""
    example = example_of(pattern)
    assert example is None or re.fullmatch(pattern, example)
