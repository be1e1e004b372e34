"""Identifier schemes, row by row (I1)."""

import pytest
import stdnum.gb.nhs
import stdnum.gb.utr
from hypothesis import given
from hypothesis import strategies as st

from schemas import DeclaredScheme, IdentifierInvalid, Schemes, scheme_of
from schemas.identifiers import SCHEMES as TABLE
from schemas.identifiers import Scheme

SCHEMES = Schemes(
    {
        "zoo": DeclaredScheme("Zoo", "council-york", "[a-z]{2}:[0-9]+", True),
        "ctax": DeclaredScheme("Account", "council-leeds", "[0-9]{8}", False),
    }
)
DIGITS = st.text("0123456789", min_size=9, max_size=11)
SEPARATORS = st.sampled_from(["", " ", "-", ".", "/", "  "])


@pytest.mark.parametrize(
    ("scheme", "value", "canonical"),
    [
        ("nino", "AB123456C", "nino:AB123456C"),
        ("nino", " ab 12-34.56/c ", "nino:AB123456C"),
        ("nino", "JK345678B", "nino:JK345678B"),
        ("nhs", "9912003888", "nhs:9912003888"),
        ("nhs", "991 200-38.8/8", "nhs:9912003888"),
        ("utr", "1955839661", "utr:1955839661"),
        ("utr", "k 19558 39661", "utr:1955839661"),
        ("utr", "K1955839661", "utr:1955839661"),
        ("driver", "morga 753116 sm9ij", "driver:MORGA753116SM9IJ"),
        ("driver", "SM999861230A99CD", "driver:SM999861230A99CD"),
        ("passport", "12 34-56.78/9", "passport:123456789"),
        ("passport", "ab123456", "passport:AB123456"),
        ("onelogin", " urn:fdc:gov.uk:2022:aB-_0123 ", "onelogin:urn:fdc:gov.uk:2022:aB-_0123"),
        ("ctax", "\t10000001\n", "ctax:10000001"),
        ("zoo", "ab:12", "zoo:ab:12"),
    ],
)
def test_a_value_is_normalised_and_checked(scheme: str, value: str, canonical: str):
    """I1, column by column."""
    assert SCHEMES.canonical(scheme, value) == canonical
    assert SCHEMES.parse(canonical) == canonical
    assert scheme_of(canonical) == scheme


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        *(("nino", prefix + "123456A") for prefix in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")),
        *(("nino", first + "B123456A") for first in "DFIQUV"),
        *(("nino", "A" + second + "123456A") for second in "DFIOQUV"),
        ("nino", "AB123456E"),
        ("nino", "AB12345C"),
        ("nino", "AB123456"),
        ("nino", "AB123456C\n1"),
        ("nino", "AB١23456C"),
        ("nino", "AB123456C D"),
        ("nino", ""),
        ("nino", "AB123\t456C"),
        ("nhs", "9912003889"),
        ("nhs", "991200388"),
        ("nhs", "99120038881"),
        ("nhs", "99120\n03888"),
        ("nhs", "٩٩١٢٠٠٣٨٨٨"),
        ("nhs", "K9912003888"),
        ("nhs", ""),
        ("utr", "2955839661"),
        ("utr", "KK1955839661"),
        ("utr", "1955839661K"),
        ("utr", "195583966"),
        ("utr", "K"),
        ("utr", ""),
        ("driver", "MORGA753116SM9I"),
        ("driver", "MORGA723116SM9IJ"),
        ("driver", "MORGA753416SM9IJ"),
        ("driver", "MORGA75311６SM9IJ"),
        ("driver", "MORGA753116SM9I1"),
        ("driver", "MORG1753116SM9IJ"),
        ("driver", "MORGA753116S19IJ"),
        ("driver", "MORGA753006SM9IJ"),
        ("driver", "MORGA753326SM9IJ"),
        ("driver", "MORGA713116SM9IJ"),
        ("driver", "9ORGA753116SM9IJ"),
        ("driver", "MO9GA753116SM9IJ"),
        ("passport", "12345"),
        ("passport", "1234567890"),
        ("passport", "12345é"),
        ("passport", ""),
        ("onelogin", "urn:fdc:gov.uk:2022:short12"),
        ("onelogin", "urn:fdc:gov.uk:2022:12345678\n9"),
        ("onelogin", "URN:fdc:gov.uk:2022:12345678"),
        ("onelogin", "urn:fdc:govxuk:2022:12345678"),
        ("onelogin", "urn:fdc:gov.uk:2022:1234 5678"),
        ("ctax", "1000000"),
        ("ctax", "100000010"),
        ("ctax", "1000-0001"),
        ("zoo", "AB:12"),
        ("zoo", "ab:12 x"),
    ],
)
def test_a_value_that_is_not_of_its_scheme_is_refused_and_never_repeated(scheme: str, value: str):
    """I1; the error holds the scheme and the problem, not the value (E7: never the payload)."""
    with pytest.raises(IdentifierInvalid) as caught:
        SCHEMES.canonical(scheme, value)
    assert caught.value.scheme == scheme
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize("value", ["ıb123456c", "AB12345６C", "ſB123456C", "ﬀ123456A"])
def test_letters_that_only_become_ascii_in_upper_case_are_refused(value: str):
    """I1: 'ı'.upper() is I and 'ſ'.upper() is S; two spellings must not meet by accident."""
    for scheme in ("nino", "passport", "driver"):
        with pytest.raises(IdentifierInvalid):
            SCHEMES.canonical(scheme, value)


@given(DIGITS)
def test_check_digits_are_those_of_python_stdnum(digits: str):
    """I1: NHS modulus 11, UTR with the check digit first."""
    assert accepts("nhs", digits) == stdnum.gb.nhs.is_valid(digits)
    assert accepts("utr", digits) == stdnum.gb.utr.is_valid(digits)


@given(st.integers(0, 10**9 - 1).map(lambda n: f"{n:09d}"))
def test_every_number_with_the_right_check_digit_is_accepted(nine: str):
    """I1, the other half: the valid ones are found valid."""
    utr = stdnum.gb.utr.calc_check_digit(nine) + nine
    assert SCHEMES.canonical("utr", utr) == f"utr:{utr}"
    valid = [nine + digit for digit in "0123456789" if accepts("nhs", nine + digit)]
    assert len(valid) <= 1
    assert valid == [nine + d for d in "0123456789" if stdnum.gb.nhs.is_valid(nine + d)]


@given(st.sampled_from(["AB123456C", "9912003888", "1955839661", "MORGA753116SM9IJ", "123456789"]), st.data())
def test_normalising_is_idempotent_and_blind_to_separators(value: str, data: st.DataObject):
    """I1: however it is spaced, one identifier; normalising twice changes nothing."""
    spaced = "".join(character + data.draw(SEPARATORS) for character in value)
    for scheme in ("nino", "nhs", "utr", "driver", "passport"):
        if accepts(scheme, value):
            canonical = SCHEMES.canonical(scheme, spaced.lower())
            assert canonical == SCHEMES.canonical(scheme, value) == f"{scheme}:{value}"
            assert SCHEMES.canonical(scheme, canonical.partition(":")[2]) == canonical


@given(st.sampled_from(TABLE), st.data())
def test_what_has_the_pattern_is_normal_already(scheme: Scheme, data: st.DataObject):
    """I1: so a canonical value need not be normalised again, and no value has two canonical forms."""
    value = data.draw(st.from_regex(scheme.pattern, fullmatch=True))
    assert scheme.normalise(value) == value


@given(
    st.sampled_from(["nino:AB123456C", "nhs:9912003888", "utr:1955839661", "driver:MORGA753116SM9IJ"])
    | st.sampled_from(["passport:123456789", "onelogin:urn:fdc:gov.uk:2022:abcdefgh"]),
    st.text(st.sampled_from(" \t\n\r\v\f\u00a0\u2003\u3000"), max_size=3),
    st.text(st.sampled_from(" \t\n\r\v\f\u00a0\u2003\u3000"), max_size=3),
)
def test_white_space_around_a_value_is_nobodys_meaning(canonical: str, before: str, after: str):
    """I1: trimmed, of whatever white space; a line's end comes with many an export."""
    scheme, _, value = canonical.partition(":")
    assert SCHEMES.canonical(scheme, before + value + after) == canonical


@pytest.mark.parametrize("inside", ["\n", "\t", "\u00a0"])
def test_white_space_within_a_value_is_no_separator_but_the_space(inside: str):
    """I1: spaces, hyphens, dots and strokes separate; anything else is a mistake."""
    for scheme, value in (("nino", "AB123456C"), ("nhs", "9912003888"), ("passport", "123456789")):
        with pytest.raises(IdentifierInvalid):
            SCHEMES.canonical(scheme, value[:4] + inside + value[4:])


def test_a_declared_scheme_is_trimmed_even_if_its_pattern_takes_spaces():
    """I1: declared schemes are only trimmed, and always."""
    schemes = Schemes({"own": DeclaredScheme("", "dwp", " ?[a-z]+ ?", False)})
    assert schemes.canonical("own", " ab ") == "own:ab"


@pytest.mark.parametrize(
    "text",
    [
        "nino:ab123456c",
        "nino:AB 123456C",
        "nino:",
        "nino",
        "",
        ":AB123456C",
        "NINO:AB123456C",
        "utr:K1955839661",
        "horse:1",
        "nhs:9912003889",
        "ctax: 10000001",
        "onelogin:urn:fdc:gov.uk:2022:aB-_0123 ",
        " nino:AB123456C",
    ],
)
def test_only_the_canonical_form_is_taken_where_any_scheme_may_stand(text: str):
    """E4: for SCHEME `*`, one that is not canonical is invalid."""
    with pytest.raises(IdentifierInvalid):
        SCHEMES.parse(text)


def test_a_field_may_narrow_the_schemes():
    """E4: `schemes`."""
    assert SCHEMES.parse("nhs:9912003888", frozenset({"nhs"})) == "nhs:9912003888"
    with pytest.raises(IdentifierInvalid):
        SCHEMES.parse("nino:AB123456C", frozenset({"nhs"}))


def test_an_unknown_scheme_has_no_identifiers():
    """I1: the table and the declared ones, no others."""
    with pytest.raises(IdentifierInvalid):
        SCHEMES.canonical("horse", "1")


def test_the_order_is_the_tables_then_declared_by_name():
    """I4: the anchor's scheme is the one that stands first."""
    assert SCHEMES.names == ("nino", "nhs", "utr", "driver", "passport", "onelogin", "ctax", "zoo")
    assert sorted(SCHEMES.names, key=SCHEMES.rank) == list(SCHEMES.names)


def test_exclusive_schemes_are_those_of_the_table_and_as_declared():
    """I1: a person has one live value at a time."""
    assert SCHEMES.exclusive == {"nino", "nhs", "utr", "driver", "zoo"}


def test_a_declared_scheme_cannot_take_a_built_in_name():
    """I1: the table is not a department's to change."""
    with pytest.raises(ValueError, match="built-in"):
        Schemes({"nino": DeclaredScheme("", "dwp", ".*", False)})


def accepts(scheme: str, value: str) -> bool:
    try:
        SCHEMES.canonical(scheme, value)
    except IdentifierInvalid:
        return False
    return True
