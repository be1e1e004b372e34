"""`postroom files`: what it says to a beginner, and that no command shows a value of a row."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from connectors.files.journal import Journal, Standing, State
from tests.command_kit import postroom

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "files" / "carers"
MAPPING, SAMPLE = str(EXAMPLE / "mapping.yaml"), EXAMPLE / "carers-20260601.csv"
RULES = {
    "POSTROOM_CONTRACTS": str(ROOT / "schemas"),
    "POSTROOM_AGREEMENTS": str(ROOT / "schemas" / "agreements"),
    "POSTROOM_KAFKA": "127.0.0.1:1",
    "POSTROOM_REGISTRY": "http://127.0.0.1:1",
}
CHECK = ("files", "check", MAPPING)


def test_the_example_is_sound(tmp_path: Path):
    """What a reader tries first, with nothing running."""
    done = postroom(tmp_path, *CHECK, str(SAMPLE), **RULES)
    assert (done.returncode, done.stdout) == (0, "")
    assert "3 rows become events" in done.stderr


def test_every_problem_is_named_by_row_and_column_and_no_value_is_shown(tmp_path: Path):
    """Exit 1; kinds are counted, and as many rows named as are wanted."""
    wrong = SAMPLE.read_text().replace("999 000 0026", "SECRET1").replace(";N;", ";SECRET2;")
    file = tmp_path / "wrong.csv"
    file.write_text(wrong + "F-9;SECRET3;;Y;;;web;31/05/2026 09:12\n")
    done = postroom(tmp_path, *CHECK, str(file), "-o", "json", "--show", "2", **RULES)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["counts"] == {"good": 1, "bad": 3, "repeated": 0}
    assert [(row["row"], row["column"]) for row in found["rows"]] == [(3, "NHS number"), (4, "Decision")]
    assert {kind["column"]: kind["rows"] for kind in found["problems"]} == {"NHS number": 2, "Decision": 1}
    shown = done.stdout + done.stderr + postroom(tmp_path, *CHECK, str(file), **RULES).stdout
    for text in ("SECRET", "Garamond", "F-9", "999"):
        assert text not in shown


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"F-1,999\n", "its header is another: 0 of the"),
        (SAMPLE.read_bytes().replace(b"Decision", b"Decison"), "it has 'Decison'"),
        (SAMPLE.read_bytes().replace(b'Bodoni; Rosa"', b"Bodoni; Rosa"), "is not closed within 1 MiB"),
    ],
)
def test_what_keeps_a_whole_file_from_being_taken_is_said(tmp_path: Path, content: bytes, words: str):
    """With what to do about it; nothing of a file without a header is shown."""
    file = tmp_path / "wrong.csv"
    file.write_bytes(content)
    done = postroom(tmp_path, *CHECK, str(file), **RULES)
    assert done.returncode == 1
    assert words in done.stderr
    assert "F-1" not in done.stderr + done.stdout


def test_a_file_that_would_be_refused_for_its_bad_rows_is_said_to_be(tmp_path: Path):
    """Before it is, on a night."""
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        (EXAMPLE / "mapping.yaml").read_text().replace("above_percent: 100", "above_percent: 1")
    )
    file = tmp_path / "wrong.csv"
    file.write_text(SAMPLE.read_text().replace(";N;", ";no;"))
    done = postroom(tmp_path, "files", "check", str(mapping), str(file), **RULES)
    assert "more than 1 % is bad" in done.stderr


def test_a_key_file_lies_beside_the_mapping_and_is_its_owners(tmp_path: Path):
    """One that others may read is no secret."""
    mapping, key = tmp_path / "mapping.yaml", tmp_path / "ids.key"
    mapping.write_text((EXAMPLE / "mapping.yaml").read_text().replace("[Form]", "[Form], key_file: ids.key"))
    command = ("files", "check", str(mapping), str(SAMPLE))
    assert "id.key_file" in postroom(tmp_path, *command, **RULES).stdout
    key.write_bytes(b"k" * 64)
    key.chmod(0o644)
    assert postroom(tmp_path, *command, **RULES).returncode == 1
    key.chmod(0o600)
    assert postroom(tmp_path, *command, **RULES).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("files",), 2, "Usage"),
        (("files", "check", "nowhere.yaml"), 2, "cannot be read"),
        ((*CHECK, "nowhere.csv"), 2, "cannot be read"),
        ((*CHECK, "--contracts", "nowhere"), 2, "no contracts directory"),
        (("files", "run"), 2, "there is no drop"),
        (("files", "send"), 2, "there is no drop"),
        (("files", "status"), 0, ""),
        (("files", "forget", "carers", "5d41"), 2, "no such file"),
    ],
)
def test_what_is_wrong_is_said_with_the_right_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
):
    """DESIGN §8."""
    done = postroom(tmp_path, *arguments, **RULES)
    assert done.returncode == code, done.stderr
    assert words in done.stderr


def test_send_ends_with_3_when_the_systems_are_away_and_takes_nothing(tmp_path: Path):
    """The file stays where it is for the next time; a drop that is wrong is told from one that waits."""
    drop = tmp_path / "drops" / "carers"
    (drop / "incoming").mkdir(parents=True)
    shutil.copy(MAPPING, drop / "mapping.yaml")
    shutil.copy(SAMPLE, drop / "incoming" / "a.csv")
    checksum = hashlib.sha256(SAMPLE.read_bytes()).hexdigest()
    (drop / "incoming" / "a.csv.sha256").write_text(f"{checksum}  a.csv\n")
    done = postroom(tmp_path, "files", "send", **RULES)
    assert done.returncode == 3, done.stderr
    assert (drop / "incoming" / "a.csv").exists()
    (drop / "mapping.yaml").write_text("contract: 7\n")
    done = postroom(tmp_path, "files", "send", **RULES)
    assert done.returncode == 2
    assert "line 1: contract" in done.stderr


def test_status_says_of_what_lies_in_a_drop_why_it_waits(tmp_path: Path):
    """No file is read for it; what has its checksum is next, and the others say what their sender does."""
    drop = tmp_path / "drops" / "carers"
    incoming = drop / "incoming"
    incoming.mkdir(parents=True)
    shutil.copy(MAPPING, drop / "mapping.yaml")
    checksum = hashlib.sha256(SAMPLE.read_bytes()).hexdigest()
    for name in ("whole.csv", "unmarked.csv", "misnamed.csv", "Müller.csv"):
        shutil.copy(SAMPLE, incoming / name)
    (incoming / "whole.csv.sha256").write_text(f"{checksum}  whole.csv\n")
    (incoming / "misnamed.csv.sha256").write_text(f"{checksum}  other.csv\n")
    (incoming / "alone.csv.sha256").write_text(f"{checksum}  alone.csv\n")
    (incoming / "link.csv").symlink_to(SAMPLE)
    done = postroom(tmp_path, "files", "status", "-o", "json", **RULES)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row["state"] for row in rows} == {"waiting"}
    assert {row["file"]: row["reason"] for row in rows} == {
        "whole.csv": "next",
        "unmarked.csv": "no-checksum",
        "misnamed.csv": "wrong-checksum",
        "(a name that is not shown)": "odd-name",
        "link.csv": "link",
        "alone.csv.sha256": "lone-checksum",
    }
    table = postroom(tmp_path, "files", "status", **RULES).stdout
    for row in rows:
        assert row["why"].startswith("it"), f"{row['reason']} is no sentence for its sender"
        assert row["why"] in table
        assert row["mend"] in table
    assert "odd-name" not in table, "the word is for programs"


def test_status_of_a_drop_in_use_lists_each_file_once(tmp_path: Path):
    """What is under way stands in the journal; what was published before is said to be."""
    drop = tmp_path / "drops" / "carers"
    (drop / "incoming").mkdir(parents=True)
    shutil.copy(MAPPING, drop / "mapping.yaml")
    shutil.copy(SAMPLE, drop / "incoming" / "a.csv")
    sha256 = hashlib.sha256(SAMPLE.read_bytes()).hexdigest()
    (drop / "incoming" / "a.csv.sha256").write_text(f"{sha256}  a.csv\n")
    told = []
    for state in State:
        (tmp_path / ".state" / "files" / "journal.db").unlink(missing_ok=True)
        (tmp_path / ".state" / "files").mkdir(parents=True, exist_ok=True)
        journal = Journal(tmp_path / ".state" / "files" / "journal.db")
        standing = Standing("carers", sha256, "a.csv", 7, State.TAKEN, 0)
        journal.take(standing)
        if state is not State.TAKEN:
            journal.end(standing, state, 0)
        journal.close()
        rows = json.loads(postroom(tmp_path, "files", "status", "-o", "json", **RULES).stdout)
        told.append((state.value, [(row["state"], row["reason"]) for row in rows]))
    assert dict(told) == {
        "taken": [("taken", "")],
        "published": [("published", ""), ("waiting", "published-before")],
        "refused": [("refused", ""), ("waiting", "next")],
    }
