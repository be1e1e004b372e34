"""The registry connector and `contract register` against a real registry (E2, E6, V1)."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from connectors import Stack, Trouble, Unreachable
from connectors.registry import API, Registry
from schemas import load_agreements, load_contracts, view_schema
from tests.contracts_kit import NAME, field, optional, record, write

pytestmark = pytest.mark.flow
CASES = Path(__file__).parents[1] / "cases"
NOTE = field("note", optional("string"), {"operational": True}, default=None)
WORKERS = 8
BROKEN = field("broken", "string", {"operational": True})


@pytest.fixture
def subject() -> str:
    return f"registry-{uuid.uuid4().hex}-value"


@pytest.fixture
def registry(stack: Stack) -> Registry:
    return Registry(stack.registry)


def test_a_schema_is_registered_once_and_read_back_by_its_id(registry: Registry, subject: str):
    """E2: the id in the wire format leads to the schema, annotations included."""
    schema = record(NAME)
    first = registry.register(subject, schema)
    assert registry.register(subject, dict(reversed(schema.items()))) == first
    assert registry.find(subject, schema) == first
    read = registry.schema_by_id(first)
    assert read is not None
    assert read["fields"] == schema["fields"]
    assert read["postroom"] == schema["postroom"]
    assert len(registry.versions(subject)) == 1


def test_what_is_not_there_is_none_or_empty(registry: Registry, subject: str):
    """The connector's own words: absent is not an error."""
    assert registry.find(subject, record(NAME)) is None
    assert registry.versions(subject) == []
    assert registry.schema_by_id(2_000_000_000) is None


def test_the_registry_itself_refuses_what_is_not_fully_compatible(registry: Registry, subject: str):
    """E6: FULL_TRANSITIVE is set on the subject, for publishers that go past our gate."""
    registry.register(subject, record(NAME))
    registry.register(subject, record(NAME, NOTE))
    for schema in (record(NAME, BROKEN), record(NOTE), record(NAME | {"type": "long"})):
        with pytest.raises(Trouble) as caught:
            registry.register(subject, schema)
        assert not isinstance(caught.value, Unreachable)
        assert subject in str(caught.value)
    assert len(registry.versions(subject)) == 2


def test_the_address_may_have_the_path_of_the_api_or_not(stack: Stack, subject: str):
    """POSTROOM_REGISTRY in either form."""
    base = stack.registry.rstrip("/").removesuffix("/apis/ccompat/v7")
    for url in (base, base + "/", base + "/apis/ccompat/v7", base + "/apis/ccompat/v7/"):
        Registry(url).ping()


def test_an_unreachable_registry_is_said():
    """§8: exit 3 is made of this."""
    with pytest.raises(Unreachable, match="127"):
        Registry("http://127.0.0.1:1", timeout_s=2).ping()


def test_view_schemas_register_and_grow(registry: Registry, subject: str):
    """V1: two versions of an agreement, in the registry's own judgement."""
    contracts = load_contracts(CASES / "contracts")
    agreements = load_agreements(CASES / "agreements", contracts)
    for agreement in agreements.values():
        registry.register(f"{agreement.agreement}-{subject}", view_schema(agreement, contracts))
    from dataclasses import replace

    small = agreements["leeds-housing"]
    large = replace(agreements["leeds-care"], agreement=small.agreement)
    for version in (small, large, small, replace(large, attributes=large.attributes[:1])):
        registry.register(subject, view_schema(version, contracts))
    assert len(registry.versions(subject)) == 3


def all_at_once(stack: Stack, work: Callable[[int, Registry], list[int]]) -> list[list[int]]:
    """What each of eight threads, each with a connection of its own, gets done when all begin together."""
    together = threading.Barrier(WORKERS)

    def one(number: int) -> list[int]:
        registry = Registry(stack.registry)
        registry.ping()
        together.wait()
        return work(number, registry)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, range(WORKERS)))


def the_rule(stack: Stack, subject: str) -> str:
    """The compatibility that a subject is held to, as any client reads it."""
    return str(httpx.get(f"{stack.registry}{API}/config/{subject}").json().get("compatibilityLevel"))


def test_workers_that_start_at_once_register_the_same_new_subjects(stack: Stack, subject: str):
    """V1: who comes second to a subject finds it made, under the rule, and gets the same id."""
    subjects = [f"{number}-{subject}" for number in range(15)]
    schemas = [record(NAME, NOTE | {"name": f"note_{number}"}) for number in range(len(subjects))]

    def work(_: int, registry: Registry) -> list[int]:
        return [registry.register(name, schema) for name, schema in zip(subjects, schemas, strict=True)]

    assert len({tuple(ids) for ids in all_at_once(stack, work)}) == 1
    assert {the_rule(stack, name) for name in subjects} == {"FULL_TRANSITIVE"}
    assert {len(Registry(stack.registry).versions(name)) for name in subjects} == {1}


def test_workers_that_start_at_once_register_versions_that_differ(stack: Stack, subject: str):
    """V1, E6: differing schemas of one new subject are all taken when they are compatible, each once."""
    subjects = [f"{number}-{subject}" for number in range(5)]

    def work(number: int, registry: Registry) -> list[int]:
        schema = record(NAME, NOTE | {"name": f"note_{number}"})
        return [registry.register(name, schema) for name in subjects]

    ids = all_at_once(stack, work)
    assert len({tuple(found) for found in ids}) == WORKERS
    assert {the_rule(stack, name) for name in subjects} == {"FULL_TRANSITIVE"}
    assert {len(Registry(stack.registry).versions(name)) for name in subjects} == {WORKERS}


def test_workers_that_start_at_once_cannot_register_what_is_incompatible(stack: Stack, subject: str):
    """E6: however they race, no two versions of one subject are incompatible; who loses is told why."""
    kinds = ("string", "long", "boolean", "double")

    def work(number: int, registry: Registry) -> list[int]:
        try:
            return [registry.register(subject, record(NAME | {"type": kinds[number % len(kinds)]}))]
        except Unreachable:  # that would be another story than a refusal
            raise
        except Trouble:
            return []

    won = {tuple(ids) for ids in all_at_once(stack, work)} - {()}
    assert len(won) == 1
    assert the_rule(stack, subject) == "FULL_TRANSITIVE"
    assert len(Registry(stack.registry).versions(subject)) == 1


def test_a_subject_that_somebody_made_without_the_rule_is_put_under_it(stack: Stack, subject: str):
    """E6: also when its very schema is there already, and nothing is left to register."""
    schema = record(NAME)
    body = {"schema": json.dumps(schema)}
    httpx.post(f"{stack.registry}{API}/subjects/{subject}/versions", json=body).raise_for_status()
    Registry(stack.registry).register(subject, schema)
    assert the_rule(stack, subject) == "FULL_TRANSITIVE"


@pytest.fixture
def command(stack: Stack, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
        return subprocess.run(
            [sys.executable, "-c", "from postroom.cli import main; main()", "contract", *arguments],
            cwd=tmp_path,
            env=kept | {"POSTROOM_KAFKA": stack.kafka, "POSTROOM_REGISTRY": stack.registry},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_register_is_all_or_nothing_against_the_registrys_own_versions(
    command: Callable[..., subprocess.CompletedProcess[str]], registry: Registry, tmp_path: Path
):
    """E6: a clone without history is still held to what was registered; nothing is registered by halves."""
    domain = "d" + uuid.uuid4().hex
    good, bad = f"{domain}/good.v1.avsc", f"{domain}/bad.v1.avsc"
    directory = write(tmp_path / "contracts", {bad: record(NAME)})
    done = command("register", str(directory), "-o", "json")
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in json.loads(done.stdout)] == ["registered"]
    again = json.loads(command("register", str(directory), "-o", "json").stdout)
    assert [row["state"] for row in again] == ["already there"]
    read_by_a_person = command("register", str(directory))
    assert read_by_a_person.stdout == ""
    assert read_by_a_person.stderr.startswith("no contract registered, 1 already there\n")

    write(directory, {good: record(NAME), bad: record(NAME, BROKEN)})
    done = command("register", str(directory), "-o", "json")
    assert done.returncode == 1
    assert {(row["field"], row["reason"]) for row in json.loads(done.stdout)} == {
        ("broken", "not-compatible")
    }
    assert "nothing was registered" in done.stderr
    assert registry.versions(f"uk.gov.{domain}.good.v1-value") == []

    write(directory, {bad: record(NAME, NOTE)})
    states = json.loads(command("register", str(directory), "-o", "json").stdout)
    assert [row["state"] for row in states] == ["registered", "registered"]


def test_what_register_refuses_a_check_against_the_registry_finds_once_for_all_versions(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
):
    """E6, ADR 0077: registered and never frozen; a renamed symbol is refused, as is a changed type, and each
    is one row.
    """
    path, where = f"d{uuid.uuid4().hex}/card.v1.avsc", tmp_path / "contracts"

    def card(*symbols: str, number: str = "int", more: tuple[dict, ...] = ()) -> dict:
        kind = {"type": "enum", "name": "Kind", "symbols": list(symbols), "default": symbols[-1]}
        shelf = field("shelf", number, {"operational": True})
        return record(NAME, field("kind", kind, {"operational": True}), shelf, *more)

    for schema in (card("ADULT", "OTHER"), card("ADULT", "OTHER", more=(NOTE,))):
        write(where, {path: schema})
        done = command("register", str(where))
        assert done.returncode == 0, done.stderr
        assert f"registered, and not in the history: {path}; `postroom contract freeze`" in done.stderr
    write(where, {path: card("ADULT", "SENIOR", number="string", more=(NOTE,))})
    blind = command("check", str(where))
    assert (blind.returncode, "not compared: " in blind.stderr) == (0, True)
    found = [
        command(*words, str(where), "-o", "json") for words in (("check", "--registered"), ("register",))
    ]
    assert [done.returncode for done in found] == [1, 1]
    asked, refused = (json.loads(done.stdout) for done in found)
    assert asked == refused
    assert [row["field"] for row in refused] == ["kind", "shelf", "shelf"]
    assert all("see versions 1, 2 of " in row["why"] for row in refused)
    assert "would be read as SENIOR" in refused[0]["why"]
