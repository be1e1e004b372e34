"""A drop whose process or broker goes away at any point: each file is published once, and put away once."""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from connectors.trouble import Unreachable
from postroom.files import round as files_round
from producers.mapped import clerk
from tests.contract.connector_contract import Died, Fuse
from tests.files_kit import AGAIN, HEADER, IN_FLIGHT_MAX, NIGHT, TYPE, World, expected, row


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


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
