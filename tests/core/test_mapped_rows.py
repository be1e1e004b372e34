"""Rows of CSV and JSON Lines: every one is given with its place, or named with what is wrong with it."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.mapped import FileWrong, MappingForm, Place, Row, read_header, read_rows
from producers.mapped.records import QuoteNeverCloses, Within, after, read_records, whole_record
from producers.mapped.rows import ROW_BYTES_MAX

WANTED = ("a", "b")


def form(**changes: object) -> MappingForm:
    written = {
        "contract": "uk.gov.consent.decision.v1",
        "source": "urn:gov:consent-service:forms",
        "id": "row",
        "time": {"column": "a"},
        "fields": {"subject": {"column": "b"}},
    }
    return MappingForm.model_validate(written | changes)


def rows(content: bytes | IO[bytes], **changes: object) -> list[Row]:
    stream = BytesIO(content) if isinstance(content, bytes) else content
    written = form(**changes)
    return list(read_rows(stream, written, read_header(stream, written, WANTED)))


def said(found: list[Row]) -> list[tuple[int, int, object]]:
    return [(row.place.row, row.place.line, row.cells or row.problem) for row in found]


def test_rows_are_numbered_as_a_spreadsheet_does():
    """The header is row 1; lines are those of the file, which differ where a cell holds line ends."""
    assert said(rows(b'a,b\n1,"x\ny"\n\n3,z')) == [
        (2, 2, {"a": "1", "b": "x\ny"}),
        (4, 5, {"a": "3", "b": "z"}),
    ]


def test_a_byte_order_mark_and_crlf_belong_to_no_cell():
    """As Excel writes it."""
    assert said(rows(b"\xef\xbb\xbfa,b\r\n1,2\r\n")) == [(2, 2, {"a": "1", "b": "2"})]


@pytest.mark.parametrize(("encoding", "raw"), [("iso-8859-1", b"\xe9"), ("windows-1252", b"\x80")])
def test_the_encoding_is_what_the_mapping_says(encoding: str, raw: bytes):
    """And under UTF-8 the same byte is a bad row that says so."""
    content = b"a,b\n1," + raw + b"\n2,x\n"
    assert said(rows(content, encoding=encoding))[0][2] == {"a": "1", "b": raw.decode(encoding)}
    wrong, fine = rows(content)
    assert (wrong.problem, "encoding" in wrong.mend) == ("is not utf-8", True)
    assert fine.cells == {"a": "2", "b": "x"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"1", "has 1 columns, and the header 2"),
        (b"1,2,3", "has 3 columns, and the header 2"),
        (b"1,\0", "NUL"),
        (b'1,"x"y', "quotes that do not match"),
    ],
)
def test_a_bad_row_is_named_and_the_next_one_is_read(line: bytes, words: str):
    """Its bytes are kept for the department to mend."""
    bad, fine = rows(b"a,b\n" + line + b"\n3,4\n")
    assert (words in bad.problem, bad.place, bad.raw) == (True, Place(2, 2, 4), line)
    assert fine.cells == {"a": "3", "b": "4"}


def test_a_row_that_is_short_and_one_that_is_long_are_mended_otherwise():
    """A delimiter in a cell makes it long; an end that was never written makes it short."""
    short, long = rows(b"a,b\n1\n1,2,3\n")
    assert "not whole" in short.mend
    assert "quote a cell" in long.mend


def test_a_quote_in_the_middle_of_a_cell_joins_no_rows():
    """As in 5" pipe: it is a character there."""
    assert len(rows(b'a,b\n1,5" pipe\n2,6" pipe\n')) == 2


def test_rows_of_nothing_say_nothing():
    """Spreadsheets end in rows of delimiters alone."""
    assert said(rows(b"a,b\n,\n \n1,2\n,\n")) == [(4, 4, {"a": "1", "b": "2"})]


class Endless:
    """A stream that makes up a row of a gigabyte as it is read, and never holds it."""

    def __init__(self, head: bytes, middle: int, tail: bytes) -> None:
        self.head, self.middle, self.tail = BytesIO(head), middle, BytesIO(tail)
        self.asked_most = 0

    def readline(self, size: int) -> bytes:
        self.asked_most = max(self.asked_most, size)
        if line := self.head.readline(size):
            return line
        if self.middle:
            piece = min(self.middle, size)
            self.middle -= piece
            return b"x" * piece
        return self.tail.readline(size)


def test_a_row_of_a_gigabyte_is_named_and_never_held():
    """It is read past in pieces; the next row is where it is."""
    stream = Endless(b"1,2\n", 1 << 30, b"\n3,4\n")
    found = list(read_records(stream, b",", ROW_BYTES_MAX))  # type: ignore[arg-type]
    assert [record.content for record in found] == [b"1,2", None, b"3,4"]
    assert found[1].size_bytes == (1 << 30) + 1
    assert stream.asked_most <= 65_536


def test_a_quote_that_swallows_the_file_puts_all_of_it_in_doubt():
    """Else a million rows would be one bad one, within every threshold."""
    with pytest.raises(FileWrong, match=r"row 2 \(line 2\)"):
        rows(b'a,b\n1,"x\n' + b"2,y\n" * 400_000)
    with pytest.raises(QuoteNeverCloses):
        list(read_records(BytesIO(b'1,"x\n2,y'), b",", ROW_BYTES_MAX))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        ("a,b\n".encode("utf-16"), "UTF-16"),
        (b"\n1,2\n", "blank"),
        (b"a,c,a\n", "no column 'b'"),
        (b"a,b,a\n", "'a' stands twice"),
        (b"secret,1990\n", "0 of the 2 columns"),
        (b"a;b\n1;2\n", "0 of the 2 columns"),
        (b"a,\xe9\n", "not utf-8"),
        (b'a,"b\n', "quote"),
        (b"a,b\r1,2\r", "carriage return"),
        (b"x" * (ROW_BYTES_MAX + 3), "no header"),
    ],
)
def test_a_file_that_cannot_be_taken_at_all_says_why(content: bytes, words: str):
    """And shows nothing of what stands in it: a file without a header begins with somebody's data."""
    with pytest.raises(FileWrong, match=words) as wrong:
        rows(content)
    assert "secret" not in str(wrong.value) + wrong.value.mend


def test_a_misspelt_header_is_shown_beside_the_one_that_is_wanted():
    """Where most of the header is known it is a header, and its names may be shown."""
    with pytest.raises(FileWrong) as wrong:
        read_header(BytesIO(b"number,surnam\n"), form(), ("number", "surname"))
    assert wrong.value.mend == "it has 'surnam'"


def test_a_file_with_another_delimiter_is_said_to_have_one():
    """The commonest mistake of all."""
    with pytest.raises(FileWrong) as wrong:
        rows(b"a;b\n")
    assert "semicolon" in wrong.value.mend


def test_a_file_without_header_has_the_columns_that_the_mapping_names():
    """Then its first row is row 1."""
    assert said(rows(b"1,2\n", columns=["a", "b"])) == [(1, 1, {"a": "1", "b": "2"})]


def test_json_lines_are_rows_of_any_json():
    """Blank lines count; what is no object, or says a key twice (E3), is named."""
    found = rows(
        b'\xef\xbb\xbf{"a": 1, "b": [2]}\n\n[1]\n{"a"\n{"a": "\xff"}\n{"a": 1, "a": 2}\n', format="jsonl"
    )
    assert said(found) == [
        (1, 1, {"a": 1, "b": [2]}),
        (3, 3, "is no object of JSON"),
        (4, 4, "is not JSON in UTF-8"),
        (5, 5, "is not JSON in UTF-8"),
        (6, 6, "has $.a twice"),
    ]
    (long,) = rows(b'{"a": "' + b"x" * ROW_BYTES_MAX + b'"}\n', format="jsonl")
    assert (long.cells, long.raw, long.problem) == (None, None, "is longer than 1 MiB")


TABLES = st.lists(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6), min_size=2, max_size=2
    ),
    max_size=8,
)


@given(TABLES, st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t|"))
def test_what_pythons_csv_writes_is_read_as_it_was_and_from_every_place(
    table: list[list[str]], end: str, delimiter: str
):
    """Whatever its cells hold; and behind each row the reading goes on as if it had never stopped."""
    text = StringIO()
    writer = csv.writer(text, lineterminator=end, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b"], *table])
    stream, written = BytesIO(text.getvalue().encode()), form(delimiter=delimiter)
    header = read_header(stream, written, WANTED)
    found = list(read_rows(stream, written, header))
    assert [row.cells for row in found] == [{"a": a, "b": b} for a, b in table if a or b]
    for number, row in enumerate(found):
        assert list(read_rows(stream, written, header, row.behind)) == found[number + 1 :]


@given(st.text('",\nx', max_size=30), st.integers(1, 7))
def test_where_a_record_ends_does_not_depend_on_how_it_comes(text: str, size: int):
    """Whole, or in pieces of any size (a row is read in pieces of 64 KiB)."""
    line = text.replace("\n", "").encode() + b"\n"
    whole, within = after(line, Within.START, b","), Within.START
    for at in range(0, len(line), size):
        within = after(line[at : at + size], within, b",")
    assert within == whole
    if whole_record(b",")(line):
        assert whole is Within.START


def test_the_pattern_of_a_usual_record_takes_usual_records():
    """Else it would save nothing; and what it does not take, it gives up at once."""
    usual = whole_record(b";")
    for line in (b'a;"b;c";\n', b'"a ""b"" c"\r\n', b";;\n", b"\n", b'5" pipe;x\n'):
        assert usual(line)
    for line in (b'"a\n', b'a;"b"c\n', b"a;b"):
        assert not usual(line)
    assert not usual(b'"' + b'""' * 500_000 + b"x\n")
