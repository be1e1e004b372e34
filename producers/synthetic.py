"""Synthetic people and places: identifiers that pass their checks and belong to nobody.

Every number is a pure function of a serial, so that no two citizens share one and another citizen's number
can be named without knowing that citizen (a wrong match needs it). Where the issuing body keeps a range that
it never issues, the numbers come from there:

==========  ====================================================================================
nhs         999 000 0000 to 999 999 9999, reserved for tests; modulus 11
nino        prefix NC, which HMRC uses for administration and gives to nobody
utr         seven digits after 99, with a valid check digit; there is no reserved range
driver      five letters of an invented family name; the serial where the initials would be
passport    nine digits from 990000000
onelogin    a subject that says ``synthetic``
ctax        the billing authority's ONS code, account numbers from 90000000
postcode    inward parts with the letters C, K, M, O and V, which Royal Mail never uses there
==========  ====================================================================================
"""

from __future__ import annotations

from datetime import date

CITIZENS_MAX = 250_000
"""Half of the NHS numbers that can be made; the other half are second numbers (:func:`nhs_number`)."""

FAMILY_NAMES = (
    *("Garamond", "Baskerville", "Bodoni", "Caslon", "Rockwell", "Bembo", "Plantin", "Perpetua", "Albertus"),
    *(
        "Clarendon",
        "Goudy",
        "Joanna",
        "Caledonia",
        "Sabon",
        "Didot",
        "Univers",
        "Futura",
        "Optima",
        "Palatino",
    ),
    *("Centaur", "Fournier", "Granjon", "Janson", "Ehrhardt", "Bulmer", "Walbaum", "Lutetia", "Spectrum"),
)
"""Typefaces: pleasant to read, and nobody takes them for a register of people."""

WOMEN = (
    "Rosa",
    "Amina",
    "Grace",
    "Priya",
    "Ffion",
    "Zofia",
    "Maeve",
    "Ines",
    "Halima",
    "Joan",
    "Lucy",
    "Edith",
)
MEN = (
    "Tomasz",
    "Omar",
    "Alfie",
    "Rhys",
    "Callum",
    "Imran",
    "George",
    "Kofi",
    "Stanley",
    "Luca",
    "Arthur",
    "Dev",
)

COUNCILS = {"leeds": ("council-leeds", "E08000035", "LS"), "york": ("council-york", "E06000014", "YO")}
"""Authority's short name to owner, ONS code and postcode area."""

STREETS = (
    "Specimen Street",
    "Sample Row",
    "Example Terrace",
    "Placeholder Lane",
    "Dummy Close",
    "Mock Avenue",
)
AREAS = {"leeds": ("Headingley", "Armley", "Chapel Allerton"), "york": ("Acomb", "Fulford", "Heworth")}
HOSPITALS = {"leeds": "St Example's Hospital, Leeds", "york": "York Specimen Infirmary"}
EMPLOYERS = (
    *("Placeholder Foods Ltd", "Sample Logistics plc", "Example Care Homes Ltd", "Mock & Daughters"),
    *("Specimen Rail Ltd", "Dummy Retail plc", "The Test Bakery", "Lorem Builders Ltd"),
)

_NEVER_IN_POSTCODES = "CKMOV"
_NHS_WEIGHTS = (10, 9, 8, 7, 6, 5, 4, 3, 2)
_UTR_WEIGHTS = (6, 7, 8, 9, 10, 5, 4, 3, 2)
_UTR_CHECK_DIGITS = "21987654321"


def nhs_number(serial: int, *, second: bool = False) -> str:
    """Ten digits from the range for tests; ``second`` gives the same citizen's other number."""
    pair = serial % CITIZENS_MAX + (CITIZENS_MAX if second else 0)
    for nine in (f"999{2 * pair:06d}", f"999{2 * pair + 1:06d}"):
        check = -sum(w * int(d) for w, d in zip(_NHS_WEIGHTS, nine, strict=True)) % 11
        if check < 10:
            break  # two numbers side by side are never both without a check digit
    return f"{nine}{check}"


def nino(serial: int) -> str:
    """A National Insurance number, canonical."""
    return f"NC{serial // 4 % 1_000_000:06d}{'ABCD'[serial % 4]}"


def utr(serial: int) -> str:
    """A Unique Taxpayer Reference, check digit first."""
    nine = f"99{serial % 10_000_000:07d}"
    total = sum(w * int(d) for w, d in zip(_UTR_WEIGHTS, nine, strict=True))
    return _UTR_CHECK_DIGITS[total % 11] + nine


def driver_number(serial: int, family_name: str, born: date, *, woman: bool) -> str:
    """Sixteen characters in DVLA's shape; the serial stands where initials and check digits would."""
    initials, arbitrary = divmod(serial % CITIZENS_MAX, 10)
    letters = ""
    for _ in range(4):
        initials, letter = divmod(initials, 26)
        letters += chr(65 + letter)
    month = born.month + (50 if woman else 0)
    year = f"{born.year % 100:02d}"
    surname = family_name.upper()[:5].ljust(5, "9")
    return f"{surname}{year[0]}{month:02d}{born.day:02d}{year[1]}{letters[:2]}{arbitrary}{letters[2:]}"


def passport_number(serial: int) -> str:
    """A passport number of nine digits."""
    return f"99{serial % 10_000_000:07d}"


def onelogin_subject(serial: int) -> str:
    """The subject of a GOV.UK One Login account."""
    return f"urn:fdc:gov.uk:2022:synthetic-{serial:07d}"


def council_tax_account(serial: int, authority: str) -> str:
    """A council tax account of the authority (`leeds` or `york`)."""
    return f"{COUNCILS[authority][1]}-9{serial % 10_000_000:07d}"


def address(authority: str, choice: int) -> dict[str, object]:
    """An address that no postman can find; ``choice`` picks it."""
    area = AREAS[authority][choice % 3]
    street = STREETS[choice // 3 % len(STREETS)]
    house = 1 + choice // 18 % 180
    district = f"{COUNCILS[authority][2]}{1 + choice % 9}"
    unit = _NEVER_IN_POSTCODES[choice % 5] + _NEVER_IN_POSTCODES[choice // 5 % 5]
    return {
        "lines": [f"{house} {street}", area],
        "postcode": f"{district} {choice // 7 % 10}{unit}",
        "uprn": f"99{choice % 10**10:010d}",
        "authority": authority,
    }


def practice(authority: str, choice: int) -> dict[str, object]:
    """A general practice with an ODS code of the right shape."""
    number = choice % 12
    area = AREAS[authority][number % 3]
    region = "B99" if authority == "leeds" else "B98"
    return {"ods_code": f"{region}{number:03d}", "name": f"{area} Example Surgery {number + 1}"}


def paye_reference(choice: int) -> str:
    """An employer's PAYE reference: office number, stroke, reference."""
    return f"951/PX{choice % len(EMPLOYERS):05d}"


def employer(choice: int) -> str:
    """The employer who holds :func:`paye_reference` of the same choice."""
    return EMPLOYERS[choice % len(EMPLOYERS)]
