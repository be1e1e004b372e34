"""A drop: which files are taken and which left, bad rows put aside, and nobody's data said."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from connectors.files import metrics
from connectors.files.place import Drop, drops_in
from connectors.trouble import Misused
from tests.files_kit import AGAIN, HEADER, MAPPING, NIGHT, World, expected, row

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("put", "event"),
    [
        (lambda path: path.with_name("a.csv.sha256").unlink(), "no checksum"),
        (lambda path: path.write_text(NIGHT[:-5]), "checksum is not"),
        (lambda path: path.write_text(NIGHT + row("more")), "checksum is not"),
        (lambda path: path.with_name("a.csv.sha256").write_text("rubbish"), "checksum is not"),
        (
            lambda path: path.with_name("a.csv.sha256").write_text(
                hashlib.sha256(NIGHT.encode()).hexdigest() + "  other.csv\n"
            ),
            "checksum is not",
        ),
    ],
)
def test_a_half_file_is_never_taken(world: World, put, event: str):
    """Cut short, growing, without its checksum, or with another file's: it lies there, said once."""
    world.hand_in("a.csv", NIGHT)
    put(world.directory / "incoming" / "a.csv")
    world.work()
    world.work()
    assert world.kafka.taken == []
    assert [event in each["why"] for each in world.said if each["event"] == "files-left"] == [True]
    world.hand_in("a.csv", NIGHT)
    world.work()
    assert set(world.kafka.taken) == expected(world) - {world.id_of("r-9")}


def test_a_wrong_checksum_is_refused_once_nobody_writes_any_more(world: World, monkeypatch):
    """After five minutes in which nothing moved; beside it lies why."""
    from connectors.files import desk

    world.hand_in("a.csv", NIGHT, checksum="0" * 64)
    world.work()
    assert "a.csv" in world.names("incoming")
    monkeypatch.setattr(desk, "STALLED_S", 0.0)
    world.work()
    assert world.names("incoming") == []
    assert {"a.csv", "a.csv.why.json"} <= set(world.names("refused"))
    assert "sha256sum" in (world.directory / "refused" / "a.csv.why.json").read_text()


def test_a_file_that_may_still_be_written_is_looked_at_again(world: World):
    """A running process hashes only what was the same at its last look."""
    world.hand_in("a.csv", NIGHT)
    assert not world.round.run(lies_still=True)
    assert world.kafka.taken == []
    assert world.round.run(lies_still=True)


def test_the_same_file_under_another_name_is_not_taken_twice(world: World):
    """Its content is what it is (docs/adr/0056)."""
    world.hand_in("a.csv", NIGHT)
    world.work()
    count = len(world.kafka.taken)
    world.hand_in("monday.csv", NIGHT)
    world.live()
    world.work()
    assert len(world.kafka.taken) == count
    assert world.events().count("files-known") == 1
    assert {"a.csv", "monday.csv"} <= set(world.names("done"))


def test_the_next_file_is_due_so_long_after_the_last_that_came(world: World):
    """Also after one in which nothing was new; of a mapping that expects none nobody is told anything."""
    assert due(world) is None
    world.live(MAPPING + "expect_within: P1DT6H\n")
    for name in ("a.csv", "b.csv"):
        before_s = time.time()
        world.hand_in(name, NIGHT)
        world.work()
        when_s = due(world)
        assert when_s is not None
        assert before_s <= when_s - 30 * 3600 + 0.001 <= time.time() + 0.001
    metrics.DUE.clear()


def due(world: World) -> float | None:
    """When the drop's next file is late, if anybody expects one."""
    return REGISTRY.get_sample_value("postroom_files_due_timestamp_seconds", {"drop": world.directory.name})


def test_another_content_under_a_name_that_was_seen_is_another_file(world: World):
    """Many systems call each night's file alike; both are kept."""
    world.hand_in("export.csv", NIGHT)
    world.work()
    world.hand_in("export.csv", AGAIN)
    world.work()
    assert set(world.kafka.taken) == expected(world)
    kept = [path.read_text() for path in (world.directory / "done").glob("*export.csv")]
    assert sorted(kept) == sorted([NIGHT, AGAIN])


def test_what_its_sender_does_to_a_file_that_was_taken_changes_nothing(world: World):
    """It is published from our own copy: changed, the newer one is a file of its own and stays; deleted, it
    was still handed in.
    """
    world.hand_in("a.csv", NIGHT)
    world.kafka.state = "dead"
    world.work()
    world.hand_in("a.csv", AGAIN)
    world.kafka.state, world.kafka.fail = "well", {}
    world.work()
    assert set(world.kafka.taken) == expected(world)
    assert world.names("incoming") == []


def test_links_devices_and_odd_names_are_left_alone(world: World, tmp_path: Path):
    """Whoever may write into `incoming` may not have us read what he may not; a name can forge no log."""
    secret = tmp_path / "secret.csv"
    secret.write_text(HEADER + row("secret"))
    incoming = world.directory / "incoming"
    incoming.mkdir()
    (incoming / "link.csv").symlink_to(secret)
    os.link(secret, incoming / "hard.csv")
    os.mkfifo(incoming / "pipe.csv")
    (incoming / "sub.csv").mkdir()
    (incoming / "NC000001C\n{}.csv").write_text(NIGHT)
    (incoming / "beside.csv").write_text(HEADER + row("beside"))
    (incoming / "beside.csv.sha256").symlink_to(secret)
    digest = hashlib.sha256(secret.read_bytes()).hexdigest()
    for name in ("link.csv", "hard.csv", "pipe.csv", "sub.csv", "NC000001C\n{}.csv"):
        (incoming / f"{name}.sha256").write_text(f"{digest}\n")
    world.work()
    assert world.kafka.taken == []
    left = {each["file"]: each["reason"] for each in world.said if each["event"] == "files-left"}
    assert left == {
        "link.csv": "link",
        "hard.csv": "hard-link",
        "pipe.csv": "no-file",
        "sub.csv": "no-file",
        "(a name that is not shown)": "odd-name",
        "beside.csv": "no-checksum",
    }
    whys = {each["file"]: each["why"] for each in world.said if each["event"] == "files-left"}
    assert all(" " in why for why in whys.values()), "a word for programs is no answer for people"
    mends = {each["file"]: each["mend"] for each in world.said if each["event"] == "files-left"}
    assert "sha256sum FILE > FILE.sha256" in mends["beside.csv"]
    assert "A-Z, a-z, 0-9" in mends["(a name that is not shown)"]
    assert all(mends.values())


def test_a_drop_whose_directories_are_links_or_everybodys_is_not_used(world: World, tmp_path: Path):
    """Else what is put away would go where somebody else wants it."""
    (world.directory / "done").symlink_to(tmp_path)
    with pytest.raises(Misused, match="no directory"):
        Drop(world.directory).prepare()
    (world.directory / "done").unlink()
    (world.directory / "incoming").chmod(0o777)
    with pytest.raises(Misused, match="everybody may write"):
        Drop(world.directory).prepare()
    (world.directory / "mapping.yaml").chmod(0o666)
    with pytest.raises(Misused, match="everybody may change"):
        drops_in(world.directory.parent)
    with pytest.raises(Misused, match="no drop"):
        drops_in(tmp_path / "nowhere")


def test_bad_rows_lie_where_only_their_owner_reads_and_can_be_handed_in_again(world: World):
    """With their header; mended, they are the rows that they would have been."""
    world.hand_in("a.csv", NIGHT)
    world.work()
    for path in (world.directory / "quarantine").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = next((world.directory / "quarantine").glob("*.csv")).read_text()
    world.hand_in("mended.csv", kept.replace("NC999999Z!", "NC000002C"))
    world.work()
    assert world.id_of("bad", "NC000002C") in world.kafka.taken


def test_nothing_of_a_row_is_in_the_log_or_the_reasons(world: World):
    """Numbers, names of columns and what was expected there: no value (no personal data anywhere)."""
    world.hand_in("a.csv", NIGHT)
    world.work()
    reasons = next((world.directory / "quarantine").glob("*.reasons.jsonl")).read_text()
    assert '"column": "nino"' in reasons
    for told in (reasons, str(world.said)):
        assert "NC" not in told
        assert "r-3" not in told


CARERS = (ROOT / "docs" / "examples" / "files" / "carers" / "mapping.yaml").read_text()
FORMS = "Form;NHS number;Name;Decision;Only;Until;How;Received\n"


def test_an_end_before_its_beginning_goes_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ADR 0071: such a consent is never in force, and whoever published it should hear so by morning."""
    world = World(tmp_path, monkeypatch, CARERS)
    form = "F-{0};999 000 0018;Garamond, Amina;Y;;{1};web;31/05/2025 09:12\n"
    rows = form.format(1, "01/05/2025") + form.format(2, "02/05/2025") + form.format(3, "01/05/2026")
    world.hand_in("a.csv", FORMS + rows)
    world.work()
    assert len(world.kafka.taken) == 3
    [told] = [each for each in world.said if each["event"] == "files-odd-rows"]
    assert (told["level"], told["column"], told["rows"], told["file"]) == ("warning", "Until", 2, "a.csv")
    assert "never in force" in told["problem"]
    [line] = world.told.odd
    assert line.startswith("a.csv: Until: it ends before it begins")
    assert line.endswith("2 rows, published all the same")
    assert not [text for text in ("999", "Garamond", "05/2025") if text in f"{world.said}{world.told}"]


def test_a_file_without_a_row_came_and_says_so(world: World):
    """A night without news has its header: it is published, the next is due from now on, and somebody whose
    export wrote nothing reads it.
    """
    world.hand_in("a.csv", HEADER)
    world.work()
    assert "a.csv" in world.names("done")
    assert [each["level"] for each in world.said if each["event"] == "files-without-rows"] == ["warning"]
    assert world.told.odd == ["a.csv has no row, so it came and says nothing"]
    assert (world.told.published, world.told.left) == (1, [])


def test_a_file_without_a_byte_is_refused(world: World):
    """Where the header should be is nothing: an export that broke is no night without news."""
    world.hand_in("a.csv", "")
    world.work()
    assert "a.csv" in world.names("refused")
    assert ["it is empty" in left for left in world.told.left] == [True]


def test_a_file_with_too_many_bad_rows_is_published_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of a file that does not fit its mapping the rows that look good may be wrong too. Mended and handed in
    again it is taken; so it is under a better mapping.
    """
    strict = MAPPING.replace("percent: 100", "percent: 20")
    world = World(tmp_path, monkeypatch, strict)
    broken = HEADER + row("r-1") + row("x", "no")
    world.hand_in("a.csv", broken)
    world.work()
    assert world.kafka.taken == []
    assert world.names("refused") == ["a.csv", "a.csv.sha256", "a.csv.why.json"]
    assert "1 of 2 rows are bad" in (world.directory / "refused" / "a.csv.why.json").read_text()
    world.live(MAPPING)
    world.hand_in("a.csv", broken)
    world.work()
    assert world.kafka.taken == [world.id_of("r-1")]


def test_two_rows_that_claim_to_be_one_event_and_differ_are_not_both_taken(world: World):
    """(source, id) would be one event with two contents; the second is put aside, naming the first (E1)."""
    world.hand_in("a.csv", HEADER + row("r-1") + row("r-1", "NC000002C"))
    world.work()
    assert world.kafka.taken == [world.id_of("r-1")]
    reasons = next((world.directory / "quarantine").glob("*.reasons.jsonl")).read_text()
    assert "another event than row 2" in reasons


def test_a_mapping_that_changes_on_the_way_judges_the_file_again(world: World):
    """What was judged good by other rules is not published under these; what went out stays out."""
    world.hand_in("a.csv", NIGHT)
    world.kafka.state = "dead"
    world.work()
    world.kafka.state, world.kafka.fail = "well", {}
    world.live(MAPPING + "nothing: ['', 'NC000001C']\n")
    world.work()
    assert world.kafka.taken == []
    assert world.events().count("files-judged") == 2
    assert len(next((world.directory / "quarantine").glob("*.csv")).read_text().splitlines()) == 12
