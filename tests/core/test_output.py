"""How data is written for a person: a table where it fits, a paragraph for each row where it would not."""

from __future__ import annotations

import json
import re
import sys

import pytest

from postroom.output import Form, write_rows

KEY = "s-dfd84a5f8b3a768879eee46db48048e6"
ROWS = [
    {"key": KEY, "agreement": "council-leeds-council-tax-reduction@1", "fields": "name, address"},
    {"key": KEY[::-1], "agreement": "council-york-carers@12", "fields": None},
]
COLUMNS = ("key", "agreement", "fields")


def written(width: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The rows on a terminal of this width; None: into a pipe."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: width is not None, raising=False)
    monkeypatch.setenv("COLUMNS", str(width or 40))
    monkeypatch.setenv("TERM", "xterm")
    write_rows(ROWS, Form.TABLE, COLUMNS)
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.mark.parametrize("width", [None, 160, 90, 60])
def test_an_identifier_is_never_broken(width, monkeypatch, capsys):
    """Whoever copies a key from a narrow terminal gets the whole of it."""
    text = written(width, monkeypatch, capsys)
    for row in ROWS:
        assert row["key"] in text
        assert row["agreement"] in text


def test_a_row_that_does_not_fit_is_a_paragraph_with_the_names_of_its_columns(monkeypatch, capsys):
    """Each value beside what it is, and nothing wider than the terminal."""
    lines = written(60, monkeypatch, capsys).splitlines()
    assert all(len(line.rstrip()) <= 60 for line in lines)
    assert [line.split()[0] for line in lines if line.strip()] == [*COLUMNS, *COLUMNS]


def test_a_row_that_fits_is_a_line(monkeypatch, capsys):
    """One heading, then a line for each row."""
    lines = written(160, monkeypatch, capsys).splitlines()
    assert sum("agreement" in line for line in lines) == 1
    assert sum("@" in line for line in lines) == len(ROWS)


def test_programs_get_the_same_whatever_the_terminal(monkeypatch, capsys):
    """JSON has no width."""
    monkeypatch.setenv("COLUMNS", "20")
    write_rows(ROWS, Form.JSON, COLUMNS)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_a_strangers_word_is_shown_as_it_is(monkeypatch, capsys):
    """An event's id may hold what turns a line around, or hides part of it; an operator sees that it does."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    write_rows([{"id": "a\u202egpj.exe\u200b\x1b[2Jb\u2028c é"}], Form.TABLE, ["id"])
    assert "a\\u202egpj.exe\\u200b\\u001b[2Jb\\u2028c é" in capsys.readouterr().out


def test_a_pipe_gets_one_whole_line_for_each_row_in_the_columns_order(monkeypatch, capsys):
    """`grep` and `awk` read lines: nothing is wrapped, cut or left out, however long it is, and no stranger's
    newline makes a row of its own.
    """
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    monkeypatch.setenv("COLUMNS", "20")
    view = json.dumps({"lines": ["1 Sample Row"] * 200})
    write_rows(
        [{"key": KEY, "view": view, "id": "a\nb"}, {"key": "s-1", "view": "-"}],
        Form.TABLE,
        ["key", "view", "id"],
    )
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["key", "view", "id"]
    assert [line.split("   ")[0] for line in lines] == [KEY, "s-1"]
    assert view in lines[0]
    assert lines[0].endswith("   a\\u000ab")


@pytest.mark.parametrize("terminal", [True, False])
def test_where_there_is_nothing_it_is_said_in_words(terminal, monkeypatch, capsys):
    """A bare heading leaves open whether that is good; stdout stays free for programs."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    write_rows([], Form.TABLE, COLUMNS, none="no dead letter is open")
    assert capsys.readouterr() == ("", "no dead letter is open\n")
    write_rows([], Form.TABLE, COLUMNS, none="")
    assert capsys.readouterr() == ("", "")
    write_rows([], Form.JSON, COLUMNS)
    write_rows([], Form.JSONL, COLUMNS)
    assert capsys.readouterr() == ("[]\n", "")


@pytest.mark.parametrize(
    ("form", "written_as"), [(Form.TABLE, "name, address"), (Form.JSONL, '["name","address"]')]
)
def test_a_list_is_words_for_a_person_and_a_list_for_a_program(
    form: Form, written_as: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A program should not have to take a text apart; a hostile member is shown as what it is."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    write_rows([{"key": KEY, "fields": ["name", "address"]}, {"fields": []}], form, ("key", "fields"))
    assert written_as in capsys.readouterr().out
    write_rows([{"fields": ["a\nb\x1b[2J"]}], Form.TABLE, ("fields",))
    assert "a\\u000ab\\u001b[2J" in capsys.readouterr().out
