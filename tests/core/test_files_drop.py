"""A drop: each file once, whatever is killed; half ones never; bad rows put aside; nobody's data said."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from prometheus_client import REGISTRY

from connectors.files import metrics
from connectors.files.place import Drop, drops_in
from connectors.trouble import Misused, Unreachable
from postroom import files_round
from producers.mapped import clerk
from tests.contract.connector_contract import Died, Fuse
from tests.files_kit import HEADER, IN_FLIGHT_MAX, MAPPING, TYPE, World, row

NIGHT = HEADER + "".join(row(f"r-{number}") for number in range(9)) + row("bad", "NC999999Z!") + row("r-3")
AGAIN = HEADER + row("r-3") + row("r-9")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def expected(world: World) -> set[str]:
    return {world.id_of(f"r-{number}") for number in range(10)}


def settled(world: World) -> None:
    """Nothing lost, nothing under two names, everything put away, nothing left over."""
    assert set(world.kafka.taken) == expected(world)
    assert world.names("incoming") == []
    done = {path.name: path.read_text() for path in (world.directory / "done").iterdir()}
    assert NIGHT in done.values()
    assert AGAIN in done.values()
    assert {name for name in done if not name.endswith(".sha256")} == {"a.csv", "b.csv", "c.csv"}
    assert world.journal is not None
    assert {each.state for each in world.journal.all()} == {"published"}
    kept, reasons = sorted((world.directory / "quarantine").iterdir())
    assert kept.read_text() == HEADER + row("bad", "NC999999Z!")
    assert [json.loads(line)["row"] for line in reasons.read_text().splitlines()] == [11]
    assert [path.name for path in (world.state / "cis").iterdir()] == []


def hand_in_three(world: World) -> None:
    """A night's file, the same again under another name, and another that repeats one of its rows."""
    world.hand_in("a.csv", NIGHT)
    world.hand_in("b.csv", NIGHT)
    world.hand_in("c.csv", AGAIN)


def touches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a life that ends well touches the disk, the journal or the broker."""
    quiet = World(tmp_path / "quiet", monkeypatch)
    hand_in_three(quiet)
    quiet.fuse.left = 1_000_000
    quiet.work()
    settled(quiet)
    return 1_000_000 - quiet.fuse.left


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_every_point_and_again_at_others_each_file_is_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Before and after each change of the disk, the journal and the broker: two lives end, the third finds
    everything as if neither had (E1).
    """
    monkeypatch.setattr(clerk, "NOTED_EVERY_ROWS", 2)
    every(tmp_path, monkeypatch, range(1, touches(tmp_path, monkeypatch) + 1), (1, 7, 19))


def test_killed_at_many_points_each_file_is_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same at every third point, so that it is seen every time that tests run."""
    monkeypatch.setattr(clerk, "NOTED_EVERY_ROWS", 2)
    every(tmp_path, monkeypatch, range(1, touches(tmp_path, monkeypatch) + 1, 3), (5,))


def every(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: range, second: tuple[int, ...]) -> None:
    for at in first:
        for later in second:
            with monkeypatch.context() as patched:
                world = World(tmp_path / f"{at}-{later}", patched)
                hand_in_three(world)
                for touch in (at, later):
                    world.fuse.left = touch
                    with suppress(Died):
                        world.work()
                    world.live()
                world.work()
                settled(world)
                world.live()
                world.work()
                settled(world)


def test_it_goes_on_at_the_row_that_was_acknowledged(world: World, monkeypatch: pytest.MonkeyPatch):
    """A kill late in a file does not send the file again: at most what was under way and not yet noted."""
    monkeypatch.setattr(clerk, "NOTED_EVERY_ROWS", 10)
    world.hand_in("a.csv", HEADER + "".join(row(f"r-{number}") for number in range(300)))
    world.kafka.fuse.left = 2 * 270
    with suppress(Died):
        world.work()
    taken = len(world.kafka.taken)
    assert taken > 200
    world.live()
    world.work()
    assert len(set(world.kafka.taken)) == 300
    assert (
        len(world.kafka.taken) - 300 <= IN_FLIGHT_MAX + 2 * 10
    )  # what may be in flight, and what is not noted


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
    left = {each["file"]: each["why"] for each in world.said if each["event"] == "files-left"}
    assert left == {
        "link.csv": "link",
        "hard.csv": "hard-link",
        "pipe.csv": "no-file",
        "sub.csv": "no-file",
        "(a name that is not shown)": "odd-name",
        "beside.csv": "it has no checksum beside it yet",
    }
    mends = {each["file"]: each["mend"] for each in world.said if each["event"] == "files-left"}
    assert "sha256sum FILE > FILE.sha256" in mends["beside.csv"]
    assert "A-Z, a-z, 0-9" in mends["(a name that is not shown)"]
    assert all(mends.values())


def test_what_is_taken_away_while_it_runs_is_trouble_and_mended_by_the_next_round(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """Our copy of a file: it is taken anew. A drop's directory: it is made again."""
    world.hand_in("a.csv", NIGHT)
    world.kafka.fail = {4: MessageSizeTooLargeError()}
    monkeypatch.setattr(files_round, "RETRY_S", 0.0)
    world.work()
    world.kafka.fail = {}
    shutil.rmtree(world.state / "cis")
    with pytest.raises(Unreachable, match="cannot be used"):
        world.work()
    shutil.rmtree(world.directory / "done")
    world.work()
    assert set(world.kafka.taken) == expected(world) - {world.id_of("r-9")}
    assert world.names("incoming") == []
    shutil.rmtree(world.directory / "incoming")
    with pytest.raises(Unreachable):
        world.work()
    world.work()
    assert world.names("incoming") == []


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


class TestBroker:
    """What Kafka does to a file."""

    def test_a_broker_that_goes_away_is_waited_for(self, world: World):
        """The file goes on where it was acknowledged when it is back."""
        world.hand_in("a.csv", NIGHT)
        world.kafka.fail = {5: KafkaTimeoutError()}
        world.work()
        assert world.names("incoming") == ["a.csv", "a.csv.sha256"]
        world.kafka.fail = {}
        world.live()
        world.work()
        assert set(world.kafka.taken) == expected(world) - {world.id_of("r-9")}
        assert world.names("incoming") == []

    def test_a_row_that_kafka_does_not_take_holds_the_file_and_is_said_once(self, world: World):
        """Nothing behind it is taken for published, whatever was acknowledged."""
        world.hand_in("a.csv", NIGHT)
        world.kafka.fail = {4: MessageSizeTooLargeError()}
        world.work()
        assert world.journal is not None
        (held,) = world.journal.all()
        assert (held.state, held.published, held.row) == ("taken", 3, 5)
        assert world.events().count("files-holds") == 1
        world.kafka.fail = {}
        world.live()
        world.work()
        assert set(world.kafka.taken) == expected(world) - {world.id_of("r-9")}

    def test_a_file_that_is_replaced_while_its_drop_is_held_is_not_put_away_for_the_other(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ):
        """Both have one name. Both are published, the first from our copy, and the second is put away once it
        is published itself.
        """
        monkeypatch.setattr(files_round, "RETRY_S", 0.0)
        world.hand_in("export.csv", NIGHT)
        world.kafka.fail = {4: MessageSizeTooLargeError()}
        world.work()
        world.hand_in("export.csv", AGAIN)
        count = len(world.kafka.sent)
        world.kafka.fail = {count + 1: MessageSizeTooLargeError(), count + 2: MessageSizeTooLargeError()}
        world.work()
        assert world.names("done") == []
        world.kafka.fail = {}
        world.work()
        assert set(world.kafka.taken) == expected(world)
        assert (world.directory / "done" / "export.csv").read_text() == AGAIN
        assert world.names("incoming") == []

    def test_a_topic_that_is_not_there_holds_only_its_drop(self, world: World):
        """It is tried again every few seconds; nothing is put aside for it."""
        world.hand_in("a.csv", NIGHT)
        world.kafka.missing = {TYPE}
        with socket.create_server(("127.0.0.1", 0)) as listening:  # Kafka is there, the topic is not
            world.where = f"127.0.0.1:{listening.getsockname()[1]}"
            world.work()
            world.work()
        assert world.kafka.taken == []
        assert [each["why"] for each in world.said if each["event"] == "files-holds"] == [
            f"Kafka told of no topic {TYPE} within 15 s"
        ]
        world.kafka.missing = set()
        world.live()
        world.work()
        assert world.names("incoming") == []


def test_it_ends_between_two_rows_when_it_is_told_to(world: World):
    """What is under way is acknowledged and noted; the next life goes on behind it."""
    world.hand_in("a.csv", NIGHT)
    looks = iter(range(1_000))
    world.is_stopped = lambda: next(looks) > 17
    world.work()
    assert world.journal is not None
    (left,) = world.journal.all()
    assert left.published == len(world.kafka.taken)
    assert 0 < left.published < 9
    world.is_stopped = lambda: False
    world.live()
    world.work()
    assert set(world.kafka.taken) == expected(world) - {world.id_of("r-9")}
    assert len(world.kafka.taken) == 10, "nine rows, one of which the file repeats, each sent once"


def test_a_fuse_that_blew_stays_blown():
    """Whoever is dead touches nothing more: this is what makes a `finally` no second chance."""
    fuse = Fuse()
    fuse.left = 1
    for _ in range(2):
        with pytest.raises(Died):
            fuse.touch()
