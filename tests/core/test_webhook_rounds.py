"""A newer file is taken up while couriers run, never by halves; what an operator does about an endpoint."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from connectors import Misused
from connectors.webhook import rounds as rounds_module
from connectors.webhook.endpoints import Endpoint
from connectors.webhook.journal import DISABLED, Journal
from connectors.webhook.metrics import FILE_PROBLEMS
from connectors.webhook.rounds import Rounds
from postroom.cli import run
from postroom.settings import settings
from tests.webhook_kit import AGREEMENT, SECRET, endpoint

PATIENCE_S = 30


class Couriers:
    """Couriers that do nothing, and know how often each began and ended."""

    def __init__(self) -> None:
        self.began: list[Endpoint] = []
        self.ended: list[str] = []

    def __call__(self, made: Endpoint):
        couriers = self

        class Idle:
            async def run(self) -> None:
                couriers.began.append(made)
                try:
                    if made.url.endswith("/broken"):
                        raise ValueError("a defect")
                    await asyncio.Event().wait()
                finally:
                    couriers.ended.append(made.name)

        return Idle()


def drive(monkeypatch, steps) -> Couriers:
    """Run rounds over files that a test writes: each is an endpoints' mapping, or what is wrong."""
    monkeypatch.setattr(rounds_module, "LOOK_EVERY_S", 0.02)
    couriers, looked = Couriers(), []
    current: list[Mapping[str, Endpoint] | Misused] = []

    def load() -> Mapping[str, Endpoint]:
        looked.append(current[-1])
        if isinstance(current[-1], Misused):
            raise current[-1]
        return current[-1]

    async def whole() -> None:
        current.append(steps[0][0])
        task = asyncio.create_task(Rounds(load, couriers).run())
        for file, wanted in steps:
            current.append(file)
            async with asyncio.timeout(PATIENCE_S):
                while not wanted(couriers) or looked.count(file) < 3:
                    if task.done():
                        await task
                    await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(whole())
    return couriers


def names(couriers: Couriers) -> list[str]:
    return [made.name for made in couriers.began]


def test_only_couriers_of_what_changed_are_replaced(monkeypatch):
    """One is added, one changes, one goes; the others never notice."""
    one, two, changed = endpoint(name="one"), endpoint(name="two"), endpoint(name="two", park_after=7)
    couriers = drive(
        monkeypatch,
        [
            ({"one": one}, lambda made: names(made) == ["one"]),
            ({"one": one, "two": two}, lambda made: names(made) == ["one", "two"]),
            ({"one": one, "two": changed}, lambda made: made.ended == ["two"] and made.began[-1] == changed),
            ({"one": one}, lambda made: made.ended == ["two", "two"]),
        ],
    )
    assert names(couriers) == ["one", "two", "two"]
    assert couriers.ended == ["two", "two", "one"]


def test_a_wrong_file_changes_nothing_and_is_shown(monkeypatch, capfd):
    """What was in force stays; it is said once, and a gauge says it until the file is right."""
    one = endpoint(name="one")
    wrong = Misused("the file of webhooks is wrong", why="endpoints.one.url: no")
    seen: list[float] = []

    def shown(_: Couriers) -> bool:
        seen.append(FILE_PROBLEMS._value.get())
        return seen[-1] == 1

    couriers = drive(
        monkeypatch,
        [
            ({"one": one}, lambda made: names(made) == ["one"]),
            (wrong, shown),
            ({"one": one}, lambda _: FILE_PROBLEMS._value.get() == 0),
        ],
    )
    assert names(couriers) == ["one"]
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines() if "webhooks-wrong" in line]
    assert [line["why"] for line in said] == ["endpoints.one.url: no"]


def test_a_defect_of_a_courier_ends_the_process(monkeypatch):
    """Anything unexpected is not papered over: a restart establishes everything again."""
    broken = endpoint(name="one", url="https://hooks.example/broken")
    with pytest.raises(ValueError, match="a defect"):
        drive(monkeypatch, [({"one": broken}, lambda _: False)])


# -- what an operator does -----------------------------------------------------------------------------


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An installation with one endpoint that has begun, and the command line on it."""
    file, key = tmp_path / "webhooks.yaml", tmp_path / "leeds.key"
    key.write_text(SECRET)
    key.chmod(0o600)
    file.write_text(
        "origin: postroom.example\nendpoints:\n  leeds:\n    subscriber: council-leeds\n"
        f"    agreements: [{AGREEMENT}]\n    url: https://hooks.leeds.example/postroom\n"
        "    keys: [{file: leeds.key}]\n"
    )
    monkeypatch.setenv("POSTROOM_WEBHOOKS", str(file))
    monkeypatch.setenv("POSTROOM_STATE", str(tmp_path / "state"))
    settings.cache_clear()
    journal = Journal(tmp_path / "state" / "webhooks" / "journal.db")
    journal.begin("leeds", 1_000)
    try:
        yield journal
    finally:
        journal.close()
        settings.cache_clear()


def test_status_says_who_is_stopped_and_a_release_lets_it_go_on(operator: Journal, capsys):
    """Exit 1 while one is parked or disabled; the running process reads the same journal."""
    assert run(["webhook", "status"]) == 0
    operator.stop("leeds", DISABLED, "it answered 410 Gone", 2_000)
    capsys.readouterr()
    assert run(["webhook", "status", "-o", "json"]) == 1
    [row] = json.loads(capsys.readouterr().out)
    assert (row["state"], row["why"], row["held"]) == ("disabled", "it answered 410 Gone", 0)
    assert run(["webhook", "release", "leeds"]) == 0
    assert run(["webhook", "status"]) == 0
    assert run(["webhook", "park", "leeds"]) == 0
    capsys.readouterr()
    assert run(["webhook", "status"]) == 1
    assert "postroom webhook release leeds" in capsys.readouterr().err
    found = operator.standing("leeds")
    assert found is not None
    assert found.releases == 1


def test_status_says_what_an_endpoint_fails_with_before_it_is_parked(operator: Journal, capsys):
    """A wrong secret is a 401 to be read within seconds, not after a hundred failures; the first answer
    clears it, and why somebody stopped it is overwritten by no request that was still under way.
    """

    def said() -> tuple[int, str]:
        capsys.readouterr()
        run(["webhook", "status", "-o", "json"])
        [row] = json.loads(capsys.readouterr().out)
        return row["failures"], row["why"]

    operator.reading("leeds", AGREEMENT, 1_000)
    operator.failed("leeds", 4, "refused (401)")
    assert said() == (4, "refused (401)")
    operator.delivered("leeds", AGREEMENT, "s-1", 1, (1,), None)
    assert said() == (0, "")
    operator.failed("leeds", 1, "timed-out")
    operator.retracted_vanished("leeds", AGREEMENT, "s-1")
    assert said() == (0, "")
    operator.stop("leeds", DISABLED, "it answered 410 Gone", 2_000)
    operator.failed("leeds", 1, "timed-out")
    assert said() == (1, "it answered 410 Gone")
    operator.delivered("leeds", AGREEMENT, "s-1", 1, (1,), None)
    assert said() == (0, "it answered 410 Gone")


def test_list_says_who_receives_what_and_shows_no_path_and_no_key(operator: Journal, capsys):
    """The rest of a URL may be a secret."""
    assert run(["webhook", "list", "-o", "json"]) == 0
    out = capsys.readouterr().out
    [row] = json.loads(out)
    assert (row["to"], row["agreements"], row["state"]) == (
        "https://hooks.leeds.example",
        [AGREEMENT],
        "active",
    )
    assert "/postroom" not in out
    assert SECRET not in out
    assert run(["webhook", "check"]) == 0


def test_an_endpoint_is_forgotten_only_after_it_left_the_file(operator: Journal, tmp_path: Path, capsys):
    """And only when that was meant: without --yes nothing is deleted, and it is said what would be."""
    operator.sending("leeds", AGREEMENT, "s-1", 1, 1)
    assert run(["webhook", "forget", "leeds", "--yes"]) == 2
    file = tmp_path / "webhooks.yaml"
    file.write_text(file.read_text().replace("  leeds:", "  other:"))
    assert run(["webhook", "forget", "leeds"]) == 1
    assert "1 key may" in capsys.readouterr().err
    assert run(["webhook", "forget", "leeds", "--yes"]) == 0
    assert operator.standing("leeds") is None
    assert operator.held_count("leeds") == 0
    for verb in ("release", "park", "forget"):
        assert run(["webhook", verb, "leeds"]) == 2


def test_a_key_is_made_that_signs(capsys):
    """Its receiver's half is said beside it, never in the file that signs."""
    assert run(["webhook", "key"]) == 0
    made = capsys.readouterr()
    assert made.out.startswith("whsk_")
    assert "whpk_" in made.err
    assert run(["webhook", "key", "--scheme", "v1"]) == 0
    raw = base64.b64decode(capsys.readouterr().out.strip().removeprefix("whsec_"))
    assert len(raw) == 32


def test_a_journal_that_is_none_is_said(tmp_path: Path):
    """A broken file is wrong use or trouble, with its place and what to do, never a traceback."""
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database, but it is long enough to be taken for one" * 40)
    with pytest.raises(Misused, match="cannot be read"):
        Journal(path)
    assert oct(Journal(tmp_path / "new" / "journal.db").path.stat().st_mode & 0o777) == "0o600"
