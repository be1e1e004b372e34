"""A mapping: a department's own row becomes one event of its contract, the same one whenever it is sent."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers import Ready, make_ready
from producers.mapped import Event, FileFacts, MappingWrong, RowMapping, RowProblem, read_mapping
from producers.mapped.moments import FormatWrong, instant_of, parse_moment, read_format
from schemas import Contracts, load_contracts, parse_instant

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "files" / "carers" / "mapping.yaml"
NOW = parse_instant("2026-06-02T00:00:00Z")
FILE = FileFacts("carers-20260601.csv", "ab" * 32)
DEMOGRAPHICS = """\
contract: uk.gov.health.demographics.v1
source: urn:gov:nhs:pds
id: row
time: {name: "pds-%Y%m%d.csv"}
fields:
  nhs_number: {column: nhs}
  name.given_names: {column: given}
  name.family_name: {column: family}
  birth_date: {column: born, date: "%d/%m/%Y"}
  home_address.lines: [{column: street}, {column: town}]
  home_address.postcode: {column: postcode}
"""


@cache
def contracts() -> Contracts:
    return load_contracts(ROOT / "schemas")


def mapping(text: str, key: bytes = b"k" * 32) -> RowMapping:
    return read_mapping(text, contracts(), lambda _: key)


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(MappingWrong) as wrong:
        mapping(text)
    return [tuple(fault) for fault in wrong.value.faults]


def cells(**changes: str) -> dict[str, object]:
    row = {"Form": "F-1", "NHS number": "999 000 0018", "Decision": "Y", "Only": "", "Until": "-"}
    return row | {"How": "web", "Received": "31/05/2026 09:12"} | changes


def told(found: Event | list[RowProblem]) -> list[tuple[str, str]]:
    assert isinstance(found, list)
    return [(problem.column, problem.expected) for problem in found]


def test_the_example_makes_the_event_that_its_comments_promise():
    """Constants, an identifier in canonical form, a table, a list, a day, London's clock (E1, E3)."""
    found = mapping(EXAMPLE.read_text()).event(cells(Only="identity / contact", Until="31/12/2027"), 2, FILE)
    assert isinstance(found, Event)
    line = json.loads(found.line)
    assert line["data"] == {
        "subject": "nhs:9990000018",
        "subscriber": "council-york",
        "purpose": "carers-support",
        "categories": ["identity", "contact"],
        "state": "GRANTED",
        "valid_until": "2027-12-31",
        "channel": "ONLINE",
    }
    assert line["time"] == "2026-05-31T08:12:00Z"
    assert isinstance(make_ready(found.line, contracts(), NOW), Ready)


def test_what_says_nothing_takes_the_contracts_default():
    """An empty cell, and the texts that the mapping says mean nothing."""
    found = mapping(EXAMPLE.read_text()).event(cells(), 2, FILE)
    assert isinstance(found, Event)
    assert {"categories", "valid_until"}.isdisjoint(found.data)


def test_all_that_is_wrong_with_a_row_is_said_by_column_and_no_value():
    """A beginner mends a row once, not once for each mistake; nothing of the row is in the words."""
    found = mapping(EXAMPLE.read_text()).event(
        cells(
            **{"NHS number": "secret1", "Decision": "secret2", "Until": "31/02/2027", "Received": "secret3"}
        ),
        2,
        FILE,
    )
    assert [column for column, _ in told(found)] == ["NHS number", "Decision", "Until", "Received"]
    assert "secret" not in str(found)


def test_a_record_that_says_nothing_is_left_out_and_half_a_one_is_refused():
    """Nobody has a name of two empty texts; a surname alone is the department's mistake."""
    row = dict.fromkeys(("given", "family", "born", "street", "town", "postcode"), "")
    pds = FileFacts("pds-20260601.csv", "ab" * 32)
    found = mapping(DEMOGRAPHICS).event(row | {"nhs": "9990000018"}, 2, pds)
    assert isinstance(found, Event)
    assert found.data == {"nhs_number": "9990000018"}
    whole = {
        "nhs": "9990000018",
        "family": "Garamond",
        "given": "Amina",
        "street": "1 High St",
        "postcode": "YO1",
    }
    found = mapping(DEMOGRAPHICS).event(row | whole, 2, pds)
    assert isinstance(found, Event)
    assert found.data["home_address"] == {"lines": ["1 High St"], "postcode": "YO1"}
    half = mapping(DEMOGRAPHICS).event(row | {"nhs": "9990000018", "family": "Garamond"}, 2, pds)
    assert told(half) == [("given", "a value: the contract must have one")]


def test_intakes_checks_are_said_by_column():
    """What only the contract or intake can know is had back to the column that it came from (E7)."""
    made = mapping(DEMOGRAPHICS)
    row = dict.fromkeys(made.columns, "") | {"nhs": "123", "born": "01/01/1990"}
    found = made.event(row, 2, FileFacts("pds-20260601.csv", "ab" * 32))
    assert isinstance(found, Event)
    refused = make_ready(found.line, contracts(), NOW)
    assert not isinstance(refused, Ready)
    assert [(p.column, "123" in p.expected) for p in made.explain(found, refused)] == [("nhs", False)]
    far = made.event(row | {"nhs": "9990000018"}, 2, FileFacts("pds-20990601.csv", "ab" * 32))
    assert isinstance(far, Event)
    refused = make_ready(far.line, contracts(), NOW)
    assert not isinstance(refused, Ready)
    assert [p.column for p in made.explain(far, refused)] == ["(the file's name)"]


def test_a_file_whose_name_has_no_day_has_no_time():
    """The time of an event is not that at which a file happened to be copied."""
    found = mapping(DEMOGRAPHICS).event({"nhs": "9990000018"}, 2, FileFacts("pds.csv", "ab" * 32))
    assert told(found)[-1][0] == "(the file's name)"


class TestId:
    """What makes a row the same event again (E1)."""

    def test_columns_make_the_same_event_of_the_same_row_in_another_file(self):
        """Wherever it stands and whatever else the file says."""
        made = mapping(EXAMPLE.read_text())
        one, other = made.event(cells(), 2, FILE), made.event(cells(), 9, FileFacts("x.csv", "cd" * 32))
        changed = made.event(cells(Form="F-2"), 2, FILE)
        assert isinstance(one, Event)
        assert isinstance(other, Event)
        assert isinstance(changed, Event)
        assert one == other
        assert one.id != changed.id
        assert "F-1" not in one.id

    def test_a_row_of_a_file_is_another_in_another_file_and_its_order_is_kept(self):
        """By checksum and number; the later row has the greater id, so it wins at equal times (R2)."""
        made, row = mapping(DEMOGRAPHICS), {"nhs": "9990000018"}
        pds = FileFacts("pds-20260601.csv", "ab" * 32)
        found = [made.event(row, number, pds) for number in (2, 10, 100_000_000)]
        ids = [event.id for event in found if isinstance(event, Event)]
        assert ids == sorted(ids)
        assert len(set(ids)) == 3
        assert made.event(row, 2, pds) == found[0]
        assert made.event(row, 2, FileFacts("pds-20260601.csv", "cd" * 32)) != found[0]

    def test_two_contracts_of_one_source_never_share_an_id(self):
        """Their registers number alike, and (source, id) is one event."""
        other = EXAMPLE.read_text().replace("consent.decision", "consent.restriction")
        other = other[: other.index("fields:")] + (
            "fields: {subject: {column: NHS number, scheme: nhs}, state: {value: RESTRICTED}}\n"
        )
        one, two = (mapping(text).event(cells(), 2, FILE) for text in (EXAMPLE.read_text(), other))
        assert isinstance(one, Event)
        assert isinstance(two, Event)
        assert one.id != two.id

    def test_a_persons_number_needs_a_key(self):
        """An id stands in logs and dead letters, and the hash of a number is undone by trying all numbers."""
        telling = EXAMPLE.read_text().replace("columns: [Form]", "columns: [NHS number, Received]")
        (fault,) = faults(telling)
        assert fault[1] == "id.columns"
        assert "key_file" in fault[2]
        keyed = telling.replace("Received]", "Received], key_file: ids.key")
        one, two = (mapping(keyed, key).event(cells(), 2, FILE) for key in (b"a" * 32, b"b" * 32))
        assert isinstance(one, Event)
        assert isinstance(two, Event)
        assert one.id != two.id

    def test_a_key_that_is_short_or_away_is_said(self):
        """Sixteen guessable bytes are no key."""
        keyed = EXAMPLE.read_text().replace("[Form]", "[Form], key_file: ids.key")
        with pytest.raises(MappingWrong, match="openssl"):
            mapping(keyed, b"short")

        def away(_: str) -> bytes:
            raise ValueError("the key cannot be read")

        with pytest.raises(MappingWrong, match="cannot be read"):
            read_mapping(keyed, contracts(), away)

    def test_no_id_of_nothing(self):
        """All rows without a form number would be one event."""
        assert told(mapping(EXAMPLE.read_text()).event(cells(Form=" "), 2, FILE))[0][0] == "Form"

    @given(
        st.lists(st.text(max_size=4), min_size=2, max_size=2),
        st.lists(st.text(max_size=4), min_size=2, max_size=2),
    )
    def test_other_columns_are_another_event(self, one: list[str], two: list[str]):
        """Also where what stands in them, read as one text, is the same."""
        text = EXAMPLE.read_text().replace("[Form]", "[Form, Only]")
        rows = [cells(Form=f"f{form}", Only=only) for form, only in (one, two)]
        found = [mapping(text).event(row, 2, FILE) for row in rows]
        assert all(isinstance(event, Event) for event in found)
        same = [str(a).strip() for a in one] == [str(b).strip() for b in two]
        shown = {event.id for event in found if isinstance(event, Event)}
        said = [tuple(_said(row[name]) for name in ("Form", "Only")) for row in rows]
        assert (len(shown) == 1) == (said[0] == said[1] or same)


def _said(cell: object) -> str:
    text = str(cell).strip().encode("utf-8", "replace").decode()
    return "" if text in ("", "-") else text


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (
            ("contract: uk.gov.consent.decision", "contract: uk.gov.consent.decisions"),
            "contract",
            "did you mean",
        ),
        (("urn:gov:consent-service", "urn:gov:dvla"), "source", "dvla may not publish"),
        (("source: urn:gov", "source: gov"), "source", "expected urn:gov:<owner>:<system>"),
        (("  state:", "  stat:"), "fields.stat", "did you mean state?"),
        (("  state:", "  x:"), "fields", "nothing says where state comes from"),
        (("GRANTED,", "GIVEN,"), "fields.state", "values: Y: expected one of GRANTED"),
        (("scheme: nhs", "scheme: nhss"), "fields.subject", "there is no scheme nhss"),
        (('split: "/"', 'date: "%d/%m/%Y"'), "fields.categories", "date is for a date"),
        (("{value: council-york}", "{value: 7}"), "fields.subscriber", "value: expected text"),
        (("{value: council-york}", "{value: a, column: b}"), "fields.subscriber", "exactly one of column"),
        (("{value: council-york}", "{value: a, scheme: nhs}"), "fields.subscriber", "a value has none"),
        (("{value: council-york}", "[{column: a}]"), "fields.subscriber", "make a list"),
        (("%d/%m/%Y %H:%M", "%d/%m/%y %H:%M"), "time.timestamp", "century"),
        (("%d/%m/%Y %H:%M", "%d/%m/%Y %H"), "time.timestamp", "%H and %M"),
        (("id: {columns: [Form]}", "id: rows"), "id", "expected row"),
        (("id: {columns: [Form]}", "id: {columns: []}"), "id.columns", "1 or more"),
        (('delimiter: ";"', "format: jsonl"), "", "JSON Lines have no encoding"),
        (('delimiter: ";"', 'delimiter: ";"\ncolumns: [A]'), "fields.subject", "not among `columns`"),
        (('delimiter: ";"', "delimeter: x"), "delimeter", "there is no such key; did you mean delimiter?"),
        (("refuse_above_percent: 100", "refuse_above_percent: 101"), "refuse_above_percent", "100"),
        (('delimiter: ";"', 'delimiter: ";"\nexpect_within: 1 day'), "expect_within", "P1DT6H"),
        (('delimiter: ";"', 'delimiter: ";"\nexpect_within: P0D'), "expect_within", "P1DT6H"),
    ],
)
def test_a_wrong_mapping_is_said_by_line_and_key(change: tuple[str, str], key: str, words: str):
    """With what is meant, where that can be guessed; each of these is a mistake somebody makes."""
    found = faults(EXAMPLE.read_text().replace(*change))
    assert any(key == at and words in problem for _, at, problem in found), found
    assert all(line >= 1 for line, _, _ in found)


def test_what_keys_of_a_mapping_say_against_each_other_is_told_beside_the_rest():
    """Two sources of one value, and a key that there is not: one round."""
    text = "source: dwp\ntime: {column: A, name: '%Y'}\nfields:\n  a: {column: A, value: 1, datum: x}\n"
    told = {(at, problem) for _, at, problem in faults(text)}
    assert ("time", "give exactly one of column and name") in told
    assert ("fields.a", "give exactly one of column and value") in told
    assert {"source", "contract", "id", "fields.a.datum"} <= {at for at, _ in told}


def test_a_file_that_is_no_mapping_is_said():
    """YAML that does not parse, and YAML that is a list."""
    assert faults("a: [")[0][1] == ""
    assert "has keys" in faults("- a")[0][2]
    assert "stands twice" in faults(EXAMPLE.read_text() + "id: row\n")[0][2]


@pytest.mark.parametrize(
    ("text", "format_", "expected"),
    [
        ("1/6/2026", "%d/%m/%Y", "2026-05-31T23:00:00Z"),
        ("20260601", "%Y%m%d", "2026-05-31T23:00:00Z"),
        ("01-Jan-2026", "%d-%b-%Y", "2026-01-01T00:00:00Z"),
        ("2026-07-01 12:30:15", "%Y-%m-%d %H:%M:%S", "2026-07-01T11:30:15Z"),
        ("25/10/2026 01:30", "%d/%m/%Y %H:%M", "2026-10-25T00:30:00Z"),
        ("29/03/2026 01:30", "%d/%m/%Y %H:%M", None),
        ("31/02/2026", "%d/%m/%Y", None),
        ("2026061", "%Y%m%d", None),
        ("01/06/2026 24:00", "%d/%m/%Y %H:%M", None),
        ("01/06/26", "%d/%m/%Y", None),
    ],
)
def test_moments_are_read_strictly_by_londons_clock(text: str, format_: str, expected: str | None):
    """A day is where it begins in London (§1); the hour that a clock skips never was, of one shown twice the
    first is taken.
    """
    if expected is None:
        with pytest.raises(ValueError, match=r"written so|day|month|time"):
            instant_of(parse_moment(text, read_format(format_)), "Europe/London")
    else:
        assert instant_of(parse_moment(text, read_format(format_)), "Europe/London") == parse_instant(
            expected
        )


def test_utc_is_utc():
    """`zone: UTC` has no summer."""
    moment = parse_moment("2026-07-01 12:30", read_format("%Y-%m-%d %H:%M"))
    assert instant_of(moment, "UTC") == parse_instant("2026-07-01T12:30:00Z")


@pytest.mark.parametrize("text", ["%d/%m", "%Y-%m-%d %Y", "%m %b %d %Y", "%A %d %m %Y", "%Y-%m-%d %H"])
def test_a_format_that_could_mean_two_things_is_refused(text: str):
    """Or nothing at all."""
    with pytest.raises(FormatWrong):
        read_format(text)
