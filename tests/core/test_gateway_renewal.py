"""A gateway takes up contracts, agreements and clients while it runs, and never by halves."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from connectors import Stack
from connectors.doors.problems import Problem
from connectors.kafka_access import KafkaAccess
from postroom import gateway as module
from postroom.composition import DISCOVER_EVERY_S
from postroom.config import load_settings
from postroom.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CLAIMANT = "benefits/claimant.v1.avsc"
TAX = "council-leeds-council-tax-reduction"


class Views:
    """What is followed."""

    def __init__(self) -> None:
        self.followed: list[frozenset[str]] = []

    async def renew(self, agreements: frozenset[str]) -> None:
        """Follow these."""
        self.followed.append(agreements)


class World:
    """A gateway that runs on files of its own."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.schemas, self.clients = tmp_path / "schemas", tmp_path / "clients.yaml"
        shutil.copytree(ROOT / "schemas", self.schemas)
        self.aside = tmp_path / "aside"
        self.aside.mkdir()
        for name in (CLAIMANT, f"agreements/{TAX}.yaml"):
            shutil.move(self.schemas / name, self.aside / Path(name).name)
        self.write_clients("leeds: {subscriber: council-leeds, scopes: [subscribe]}")
        environ = {
            "POSTROOM_STATE": str(tmp_path / "state"),
            "POSTROOM_CONTRACTS": str(self.schemas),
            "POSTROOM_AGREEMENTS": str(self.schemas / "agreements"),
            "POSTROOM_GATEWAY_CLIENTS": str(self.clients),
        }
        self.missing: list[str] = []
        self.unregistered = False
        monkeypatch.setattr(module, "missing_topics", lambda _, names: self.missing)
        monkeypatch.setattr(module, "require_registered", self._registered)
        settings = load_settings(environ, tmp_path)
        stack = Stack.__new__(Stack)
        monkeypatch.setattr(module, "KafkaSink", lambda *_: None)
        monkeypatch.setattr(module, "TopicViews", lambda *_: Views())
        monkeypatch.setattr(module, "TopicLedger", lambda *_: None)
        monkeypatch.setattr(module, "registry_of", lambda _: None)
        object.__setattr__(stack, "registry", "http://127.0.0.1:1")
        object.__setattr__(stack, "access", KafkaAccess("127.0.0.1:1"))
        self.running = module.Running(settings, stack)
        self.gateway = self.running.gateway()
        self.now_s = time.monotonic()
        for watched in (self.running._rules, self.running._clients):
            watched._monotonic_s = lambda: self.now_s  # type: ignore[method-assign]

    def _registered(self, *_: Any) -> None:
        if self.unregistered:
            raise UserError("a contract is not registered")

    def write_clients(self, *lines: str) -> None:
        """The file of clients."""
        self.clients.write_text("clients:\n" + "".join(f"  {line}\n" for line in lines))

    def put_back(self, name: str) -> None:
        """Add a file that was taken out."""
        shutil.copy(self.aside / Path(name).name, self.schemas / name)

    def look(self, times: int = 3) -> None:
        """Time passes."""
        for _ in range(times):
            self.now_s += 10 * DISCOVER_EVERY_S
            asyncio.run(self.running.renew(self.gateway))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_new_contract_is_taken_up_once_all_it_needs_is_there(world: World):
    """Registered, and its topic made; until then the old ones stay in force."""
    type_ = "uk.gov.benefits.claimant.v1"
    assert type_ not in world.gateway.contracts.by_type
    world.unregistered = True
    world.put_back(CLAIMANT)
    world.look()
    assert type_ not in world.gateway.contracts.by_type
    world.unregistered, world.missing = False, [type_]
    world.look()
    assert type_ not in world.gateway.contracts.by_type
    world.missing = []
    world.running.schemas._ids["other"] = 1
    world.look()
    assert type_ in world.gateway.contracts.by_type
    assert world.gateway.judge._contracts is world.gateway.contracts
    assert not world.running.schemas._ids, "an id of an older schema would be kept"


def test_a_contract_that_vanishes_stays_in_force(world: World):
    """A file that is missing for a moment takes nothing from anyone."""
    before = world.gateway.contracts
    (world.schemas / "civil/death.v1.avsc").unlink()
    world.look()
    assert world.gateway.contracts is before


def test_what_was_read_and_never_came_into_force_has_not_vanished(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """The files changed while they were read: an agreement that came and went in that time holds nothing up,
    because only what is in force can be missed.
    """
    load, agreement = module.load_rules_files, world.schemas / f"agreements/{TAX}.yaml"

    def loaded(*directories: Path) -> Any:
        found = load(*directories)
        if agreement.exists():  # it was read; now somebody takes it back, and brings a contract
            agreement.unlink()
            world.put_back(CLAIMANT)
        return found

    monkeypatch.setattr(module, "load_rules_files", loaded)
    world.put_back(f"agreements/{TAX}.yaml")
    world.look(2)
    assert not agreement.exists()
    assert "uk.gov.benefits.claimant.v1" not in world.gateway.contracts.by_type
    world.look()
    assert "uk.gov.benefits.claimant.v1" in world.gateway.contracts.by_type
    assert TAX not in world.running._rules.current.agreements


def test_a_defect_while_renewing_ends_the_process(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """With 70 and one line, as a worker's does, never silently: whoever is taken out of the file would stay
    let in. What the error says is not printed.
    """
    ended: list[int] = []

    def end(code: int) -> None:
        ended.append(code)
        raise SystemExit(code)

    async def broken(_: Any) -> None:
        raise ValueError("NC000001C")

    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("processors.engine.trouble.os._exit", end)
    monkeypatch.setattr(world.running, "renew", broken)
    with pytest.raises(SystemExit):
        asyncio.run(asyncio.wait_for(world.running._keep_renewing(world.gateway), 60))
    assert ended == [70]
    said = capfd.readouterr().err
    assert '"error": "ValueError"' in said
    assert "NC000001C" not in said


def test_a_new_agreement_reaches_its_subscriber(world: World):
    """Its topic is followed before its client may ask."""
    world.put_back(f"agreements/{TAX}.yaml")
    world.look(6)
    assert world.gateway.access.may_still_read("leeds", TAX)
    assert TAX in world.running.views.followed[-1]  # type: ignore[attr-defined]


def test_a_client_that_is_taken_out_is_refused_and_its_streams_end(world: World):
    """Within seconds; a file that is wrong changes nothing."""
    housing = "council-leeds-housing"
    assert world.gateway.access.may_still_read("leeds", housing)
    world.clients.write_text("clients: [")
    world.look()
    assert world.gateway.access.may_still_read("leeds", housing)
    world.write_clients("york: {subscriber: council-york, scopes: [subscribe]}")
    world.look()
    assert not world.gateway.access.may_still_read("leeds", housing)
    assert world.gateway.access.may_still_read("york", "council-york-carers")
    assert housing not in world.running.views.followed[-1]  # type: ignore[attr-defined]
    with pytest.raises(Problem):
        asyncio.run(world.gateway.access.caller([], {}))
