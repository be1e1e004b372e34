"""Files of events: lines as they are, in bounded memory."""

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from producers.files import read_lines, to_lines

LIMIT = 8


class Meter(BytesIO):
    """A file that remembers the most that was asked of it at once."""

    most = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0, "a line was read without a bound"
        self.most = max(self.most, size)
        return super().readline(size)


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line and not line.endswith(b"\r"))))
def test_lines_come_back_with_their_numbers(contents: list[bytes]):
    """Every line is there, blank ones too; only those over the limit lose their content (E3, E7)."""
    lines = list(read_lines(BytesIO(b"".join(content + b"\n" for content in contents)), LIMIT))
    assert [line.number for line in lines] == list(range(1, len(contents) + 1))
    assert [line.content for line in lines] == [c if len(c) <= LIMIT else None for c in contents]
    assert sum(line.size_bytes for line in lines) == sum(len(content) + 1 for content in contents)


def test_the_last_line_may_lack_its_end():
    """A file that was cut after its last character is whole."""
    assert [line.content for line in read_lines(BytesIO(b"one\r\ntwo"))] == [b"one", b"two"]


def test_a_line_of_exactly_the_limit_is_kept():
    """The end of a line is not part of it, however it is written."""
    for end in (b"\n", b"\r\n", b""):
        (line,) = read_lines(BytesIO(b"x" * LIMIT + end), LIMIT)
        assert line.content == b"x" * LIMIT


def test_an_endless_line_is_read_in_pieces():
    """A line of a gigabyte must not become a gigabyte of memory."""
    file = Meter(b"x" * 1000 + b"\nnext\n")
    first, second = read_lines(file, LIMIT)
    assert first.content is None
    assert first.size_bytes == 1001
    assert second.content == b"next"
    assert file.most <= LIMIT + 2


def test_a_blank_line_counts_and_says_nothing():
    """Blank means white space only (E3)."""
    lines = list(read_lines(BytesIO(b"\n \t\r\nx\n")))
    assert [(line.number, line.blank) for line in lines] == [(1, True), (2, True), (3, False)]


def test_an_event_becomes_a_line():
    """What is written is read again."""
    (line,) = read_lines(BytesIO(b"".join(to_lines([{"id": "ä"}]))))
    assert line.content == '{"id":"ä"}'.encode()
