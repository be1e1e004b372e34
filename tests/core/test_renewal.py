"""When a running worker takes newer rules up, in which order, and when it keeps the old ones (V9)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connectors import Stack, Unreachable
from connectors.registry import Registry
from postroom import renewal as module
from postroom.composition import DISCOVER_EVERY_S, STAGES
from postroom.config import Settings, load_settings
from postroom.errors import UserError
from postroom.renewal import INTAKE_AFTER_S, Renewal, fingerprint, newer_rules
from processors import ACKNOWLEDGEMENTS_TOPIC, LETTER_REQUESTS_TOPIC, Intake, Keys, Records, Rules
from schemas import load_agreements, load_contracts
from tests.nasty.generate import CASES

CONTRACTS = load_contracts(CASES / "contracts")
AGREEMENTS = load_agreements(CASES / "agreements", CONTRACTS)
NEWER = Rules(CONTRACTS, AGREEMENTS, Keys(b"secret"))
LAST = max(CONTRACTS.by_type)
BEFORE = replace(
    NEWER,
    contracts=replace(CONTRACTS, by_type={t: c for t, c in CONTRACTS.by_type.items() if t != LAST}),
    agreements={name: a for name, a in AGREEMENTS.items() if name != "leeds-care"},
)


class World:
    """The files as a worker sees them, and the time."""

    def __init__(self) -> None:
        self.files, self.now_s, self.rules = "old", 0.0, NEWER
        self.trouble: Exception | None = None
        self.reads = 0
        self.while_read: Callable[[], None] = lambda: None
        self.said: list[tuple[str, dict[str, object]]] = []

    def read(self, in_force: Rules) -> Rules:
        """Read the rules, unless something is missing."""
        self.reads += 1
        self.while_read()
        if self.trouble is not None:
            raise self.trouble
        return self.rules

    def say(self, event: str, level: str = "info", **fields: object) -> None:
        """Keep what the log would say."""
        self.said.append((event, fields))

    def count(self, event: str) -> int:
        """How often the log said it."""
        return sum(1 for said, _ in self.said if said == event)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world in which nothing has changed."""
    made = World()
    monkeypatch.setattr(module, "say", made.say)
    return made


def renewal_in(world: World) -> Renewal:
    """A worker of all stages under the old rules."""
    return Renewal(STAGES, BEFORE, "old", lambda: world.files, world.read, lambda: world.now_s)


def looks(renewal: Renewal, world: World, times: int) -> frozenset[str]:
    """Let every stage ask so many times, as the engine does; return intake's topics."""

    async def ask() -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for _ in range(times):
            world.now_s += DISCOVER_EVERY_S
            for name in STAGES:
                topics = await renewal.discover(name)()
                found = topics if name == "intake" else found
        return found

    return asyncio.run(ask())


def records_by(renewal: Renewal) -> Rules:
    """The rules of the record stage in force."""
    stage = renewal.stages["record"].current
    assert isinstance(stage, Records)
    return stage.rules


def test_nothing_is_read_while_nothing_changes(world: World) -> None:
    """A look is cheap: a digest of some files."""
    renewal = renewal_in(world)
    topics = looks(renewal, world, 5)
    assert world.reads == 0
    assert records_by(renewal) is BEFORE
    assert topics == {*BEFORE.contracts.by_type, ACKNOWLEDGEMENTS_TOPIC, LETTER_REQUESTS_TOPIC}


def test_all_stages_but_intake_follow_at_once_and_intake_when_all_workers_have(world: World) -> None:
    """V9: what a new contract says must not reach a record stage that does not know the contract."""
    renewal = renewal_in(world)
    world.files = "new"
    topics = looks(renewal, world, 2)
    assert records_by(renewal) is NEWER
    assert renewal.stages["record"].rules_version == NEWER.version != BEFORE.version
    intake = renewal.stages["intake"].current
    assert LAST not in topics
    topics = looks(renewal, world, int(INTAKE_AFTER_S / DISCOVER_EVERY_S) - 1)
    assert LAST not in topics
    assert renewal.stages["intake"].current is intake
    topics = looks(renewal, world, 1)
    assert LAST in topics
    after = renewal.stages["intake"].current
    assert isinstance(after, Intake)
    assert after.rules is NEWER
    assert world.reads == 1
    ((_, said),) = [each for each in world.said if each[0] == "rules-taken-up"]
    assert said == {"contracts": [LAST], "agreements": ["leeds-care"], "sweep": True}


def test_intake_keeps_the_schemas_that_it_has_looked_up(world: World) -> None:
    """A batch may just be prepared: its schemas must not be unknown when it is stepped."""
    renewal = renewal_in(world)
    before = renewal.stages["intake"].current
    assert isinstance(before, Intake)
    world.files = "new"
    looks(renewal, world, 10)
    before.writers[7] = {"type": "string"}
    after = renewal.stages["intake"].current
    assert after is not before
    assert isinstance(after, Intake)
    assert after.writers[7] == {"type": "string"}


def test_files_that_are_still_being_written_are_left_alone(world: World) -> None:
    """Half a copied directory is no set of rules."""
    renewal = renewal_in(world)
    for number in range(5):
        world.files = f"half {number}"
        looks(renewal, world, 1)
    assert world.reads == 0
    looks(renewal, world, 1)
    assert world.reads == 1


def test_files_that_change_while_they_are_read_are_read_again(world: World) -> None:
    """What was read is then of nobody knows which files."""
    renewal = renewal_in(world)
    world.files = "new"
    world.while_read = lambda: setattr(world, "files", "newer")
    looks(renewal, world, 2)
    assert records_by(renewal) is BEFORE
    looks(renewal, world, 2)
    assert records_by(renewal) is NEWER


@pytest.mark.parametrize(
    "trouble",
    [
        UserError("the contracts cannot be used", where="d", why="w"),
        Unreachable("the registry is", where="r"),
    ],
)
def test_what_cannot_be_taken_up_leaves_the_old_rules_is_said_once_and_tried_again(
    world: World, trouble: Exception
) -> None:
    """A worker never stops for a file."""
    renewal = renewal_in(world)
    world.files, world.trouble = "new", trouble
    looks(renewal, world, 5)
    assert records_by(renewal) is BEFORE
    assert world.count("rules-wait") == 1
    assert world.reads == 4
    world.trouble = UserError("something else")
    looks(renewal, world, 2)
    assert world.count("rules-wait") == 2
    world.trouble = None
    looks(renewal, world, 1)
    assert records_by(renewal) is NEWER
    assert world.count("rules-taken-up") == 1


def test_a_change_that_is_undone_is_none(world: World) -> None:
    """The files are again those in force."""
    renewal = renewal_in(world)
    world.files, world.trouble = "new", UserError("no")
    looks(renewal, world, 3)
    world.files, reads = "old", world.reads
    looks(renewal, world, 3)
    assert world.reads == reads
    assert records_by(renewal) is BEFORE


def test_however_many_stages_ask_the_files_are_looked_at_once(world: World) -> None:
    """Five stages in a process share one look."""
    counted = 0

    def count() -> str:
        nonlocal counted
        counted += 1
        return "old"

    renewal = Renewal(STAGES, BEFORE, "old", count, world.read, lambda: world.now_s)
    looks(renewal, world, 4)
    assert counted == 4


# -- what is read


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation of the cases' rules, to be changed."""
    shutil.copytree(CASES / "contracts", tmp_path / "contracts")
    shutil.copytree(CASES / "agreements", tmp_path / "agreements")
    environ = {"POSTROOM_CONTRACTS": str(tmp_path / "contracts")}
    return load_settings(environ | {"POSTROOM_AGREEMENTS": str(tmp_path / "agreements")}, tmp_path)


@pytest.mark.parametrize(
    "file", ["contracts/attributes.yaml", "contracts/civil/birth.v1.avsc", "agreements/york-tax.yaml"]
)
def test_every_file_of_rules_counts(settings: Settings, file: str) -> None:
    """A changed, a missing and a new file are each another set."""
    path = settings.contracts_dir.parent / file
    found = {fingerprint(settings)}
    path.write_text(path.read_text() + " ")
    found.add(fingerprint(settings))
    path.rename(path.with_stem("other"))
    found.add(fingerprint(settings))
    path.with_stem("other").unlink()
    found.add(fingerprint(settings))
    assert len(found) == 4


class Known(Registry):
    """A registry that knows every schema, or none."""

    def __init__(self, knows: bool) -> None:
        self.url, self.knows = "http://registry", knows
        self.asked: list[str] = []
        self.registered: list[str] = []

    def find(self, subject: str, schema: object) -> int | None:
        """Look a schema up."""
        self.asked.append(subject)
        return 1 if self.knows else None

    def register(self, subject: str, schema: object) -> int:
        """Take a view's schema."""
        self.registered.append(subject)
        return 1


STACK = Stack("127.0.0.1:1", "http://127.0.0.1:1", local=False)


@pytest.fixture
def topics_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka is not asked."""
    monkeypatch.setattr(module, "require_topics", lambda *_: None)


@pytest.mark.usefixtures("topics_are_there")
def test_only_what_is_new_must_be_found_in_the_registry(settings: Settings) -> None:
    """E6: it passed the gate; and every view's schema is registered before anything is swept (V1)."""
    registry = Known(knows=True)
    newer = newer_rules(settings, STACK, registry, BEFORE)
    assert newer.contracts.by_type.keys() == CONTRACTS.by_type.keys()
    assert registry.asked == [f"{LAST}-value"]
    assert newer.view_schema_ids.keys() == AGREEMENTS.keys()
    assert newer.keys is BEFORE.keys


@pytest.mark.usefixtures("topics_are_there")
def test_a_contract_that_nobody_registered_waits(settings: Settings) -> None:
    """E6: nothing is written for rules that are not taken up."""
    registry = Known(knows=False)
    with pytest.raises(UserError, match="not registered.*" + LAST):
        newer_rules(settings, STACK, registry, BEFORE)
    assert registry.registered == []


def test_rules_whose_topics_are_missing_wait(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """V1: and no view's schema is registered for them."""

    def missing(*_: object) -> None:
        raise UserError("2 topics are not as planned")

    monkeypatch.setattr(module, "require_topics", missing)
    registry = Known(knows=True)
    with pytest.raises(UserError, match="not as planned"):
        newer_rules(settings, STACK, registry, BEFORE)
    assert registry.registered == []


@pytest.mark.usefixtures("topics_are_there")
@pytest.mark.parametrize("file", ["agreements/york-tax.yaml", "contracts/civil/name.v1.avsc"])
def test_what_has_vanished_needs_a_restart(settings: Settings, file: str) -> None:
    """A file missing for a moment must not take a view from everyone."""
    (settings.contracts_dir.parent / file).unlink()
    with pytest.raises(UserError, match="is gone"):
        newer_rules(settings, STACK, Known(knows=True), NEWER)


@pytest.mark.usefixtures("topics_are_there")
def test_a_broken_file_is_said_with_its_name(settings: Settings) -> None:
    """Its content is not."""
    (settings.contracts_dir / "civil" / "name.v1.avsc").write_text('{"Amina": ')
    with pytest.raises(UserError, match=r"name\.v1\.avsc") as raised:
        newer_rules(settings, STACK, Known(knows=True), NEWER)
    assert "Amina" not in str(raised.value)
