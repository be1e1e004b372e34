"""The registry connector and `contract register` against a real registry (E2, E6, V1)."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors import Stack, Trouble, Unreachable
from connectors.registry import Registry
from schemas import load_agreements, load_contracts, view_schema
from tests.contracts_kit import NAME, field, optional, record, write

pytestmark = pytest.mark.flow
CASES = Path(__file__).parents[1] / "cases"
NOTE = field("note", optional("string"), {"operational": True}, default=None)
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
