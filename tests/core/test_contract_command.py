"""`postroom contract check|register|freeze|docs` without a registry (E6, §8)."""

import json
import subprocess
from pathlib import Path

import pytest

from schemas import IdentifierInvalid, cloudevent_from_json, load_contracts, page
from schemas.page import example
from tests.command_kit import postroom
from tests.contracts_kit import NAME, field, optional, record, write

PATH = "civil/name.v1.avsc"
NOWHERE = {"POSTROOM_KAFKA": "127.0.0.1:1", "POSTROOM_REGISTRY": "http://127.0.0.1:1"}
ROOT = Path(__file__).parents[2]


def contract(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    given = {"POSTROOM_CONTRACTS": str(directory)} | environ
    return postroom(directory.parent, "contract", *arguments, **given)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write(tmp_path / "contracts", {PATH: record(NAME), "civil/other.v1.avsc": record(NAME)})


def test_sound_contracts_pass(directory: Path):
    """E6, §8: exit 0, no row."""
    done = contract(directory, "check", "-o", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "2 sound contracts" in done.stderr
    assert f"hint: {PATH}: nino, name: no `doc`" in done.stderr


def test_every_problem_is_a_row_with_file_field_reason_and_what_to_do(directory: Path):
    """E6, §8: exit 1."""
    write(directory, {PATH: record(field("x", "string"), retention=None)})
    done = contract(directory, "check", "-o", "json")
    rows = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(row["file"], row["field"], row["reason"]) for row in rows] == [
        (PATH, "", "retention-missing"),
        (PATH, "x", "annotation-missing"),
    ]
    assert all(row["why"] and row["mend"] for row in rows)
    table = contract(directory, "check")
    assert table.returncode == 1
    assert PATH in table.stdout
    assert "2 problems" in table.stderr


def test_one_contract_may_be_checked_by_itself(directory: Path):
    """§8 [PATH…]: another department's fault is not mine; one in the catalogue is."""
    write(directory, {PATH: record(field("x", "string"))})
    assert contract(directory, "check", str(directory / "civil" / "other.v1.avsc")).returncode == 0
    assert contract(directory, "check", str(directory / PATH)).returncode == 1
    (directory / "authority.yaml").write_text("dwp: nonsense")
    assert contract(directory, "check", str(directory / "civil" / "other.v1.avsc")).returncode == 1


@pytest.mark.parametrize("path", ["nowhere", "contracts/attributes.yaml"])
@pytest.mark.parametrize("verb", ["check", "register", "freeze", "docs"])
def test_a_wrong_path_is_wrong_use(directory: Path, verb: str, path: str):
    """§8: exit 2."""
    done = contract(directory, verb, path)
    assert done.returncode == 2
    assert "neither a contracts directory nor a contract" in done.stderr


def test_a_page_is_had_by_a_type_too_and_an_unknown_one_says_what_would_do(directory: Path):
    """As every other command names a contract."""
    settings = {"POSTROOM_CONTRACTS": str(directory)}
    type_ = next(iter(load_contracts(directory).by_type))
    assert f"`{type_}`" in contract(directory, "docs", type_, **settings).stdout
    refused = contract(directory, "docs", "uk.gov.civil.brith.v1", **settings)
    assert refused.returncode == 2
    assert "contract new" in refused.stderr


def test_nothing_is_registered_when_one_contract_is_refused(directory: Path):
    """E6: refused before the registry is even asked (this one cannot be reached)."""
    write(directory, {PATH: record(field("x", "string"))})
    done = contract(directory, "register", **NOWHERE)
    assert done.returncode == 1
    assert "nothing was registered" in done.stderr


def test_an_unreachable_registry_is_said(directory: Path):
    """§8: exit 3."""
    done = contract(directory, "register", **NOWHERE)
    assert done.returncode == 3
    assert "registry is unreachable" in done.stderr
    assert "Traceback" not in done.stderr


def test_freezing_writes_what_is_new_once_and_the_gate_then_holds_to_it(directory: Path):
    """E6: the committed history."""
    first = contract(directory, "freeze", "-o", "json")
    assert first.returncode == 0
    assert len(json.loads(first.stdout)) == 2
    assert json.loads(contract(directory, "freeze", "-o", "json").stdout) == []
    write(directory, {PATH: record(NAME, field("more", "string", {"operational": True}))})
    done = contract(directory, "check", "-o", "json")
    assert done.returncode == 1
    assert [(row["field"], row["reason"]) for row in json.loads(done.stdout)] == [("more", "not-compatible")]
    assert contract(directory, "freeze").returncode == 1
    note = field("more", optional("string"), {"operational": True}, default=None)
    write(directory, {PATH: record(NAME, note)})
    grown = json.loads(contract(directory, "freeze", str(directory / PATH), "-o", "json").stdout)
    assert [Path(row["file"]).name for row in grown] == ["2.avsc"]


def test_a_check_says_what_it_had_nothing_to_compare_with(directory: Path):
    """E6: a contract that is not frozen may be registered all the same, and that is said."""
    done = contract(directory, "check")
    assert done.returncode == 0
    assert f"not compared: {PATH}, civil/other.v1.avsc: not in the history" in done.stderr
    assert "`postroom contract check --registered`" in done.stderr
    contract(directory, "freeze", str(directory / PATH))
    assert "not compared: civil/other.v1.avsc: " in contract(directory, "check").stderr
    assert "not compared" not in contract(directory, "check", str(directory / PATH)).stderr
    contract(directory, "freeze")
    assert "not compared" not in contract(directory, "check").stderr


def test_a_check_against_the_registry_fails_where_there_is_none(directory: Path):
    """E6, §8: exit 3, and never "no problem" about what was not asked."""
    done = contract(directory, "check", "--registered", **NOWHERE)
    assert done.returncode == 3
    assert "no problem" not in done.stderr


def test_the_page_tells_who_publishes_what(directory: Path):
    """§8: a readable page; the same with --to."""
    done = contract(directory, "docs")
    assert done.returncode == 0
    for words in (
        "## uk.gov.civil.name.v1",
        "Published by `dwp`",
        "**subject**: a `nino`",
        "attribute **name**",
    ):
        assert words in done.stdout
    contract(directory, "docs", str(directory / PATH), "--to", "page.md")
    one = (directory.parent / "page.md").read_text()
    assert "uk.gov.civil.name.v1" in one
    assert "uk.gov.civil.other.v1" not in one


@pytest.mark.parametrize("where", ["schemas", "tests/cases/contracts"])
def test_the_examples_on_the_page_are_events(where: str):
    """E3: what we show a department is accepted by the contract that it shows."""
    contracts = load_contracts(ROOT / where)
    text = page(contracts)
    for each in contracts.by_type.values():
        shown = example(each, contracts)
        assert json.dumps(shown, ensure_ascii=False) in text
        event = cloudevent_from_json(shown)
        assert event.owner in each.owners
        data = each.from_json(event.data)
        if each.subject.scheme == "*":
            contracts.schemes.parse(str(data[each.subject.name]), each.subject.schemes)
        else:
            assert contracts.schemes.canonical(each.subject.scheme, str(data[each.subject.name]))


def test_the_page_in_the_documents_is_todays():
    """`postroom contract docs --to docs/contracts.md` writes it again."""
    written = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
    assert written == page(load_contracts(ROOT / "schemas"))


def test_a_declared_scheme_is_explained_where_it_stands(directory: Path):
    """E5: what it is, what it looks like, and an example that matches; a pattern that defies one is shown."""
    account = field("account", "string", {"identifier": "ctax", "role": "subject"})
    write(directory, {PATH: record(account, NAME)})
    shown = contract(directory, "docs").stdout
    assert "**subject**: a `ctax` (Account, `[0-9]{8}`)" in shown
    assert '"account": "11111111"' in shown
    hard = "schemes:\n  ctax: {description: Account, owner: council-leeds, pattern: '(?!1)[0-9]{8}'}\n"
    (directory / "identifiers.yaml").write_text(hard)
    assert '"account": "(a ctax: (?!1)[0-9]{8})"' in contract(directory, "docs").stdout


def test_a_field_that_breaks_a_markdown_table_does_not(directory: Path):
    """§8: words come from departments."""
    write(directory, {PATH: record(NAME | {"doc": "one | two\nthree"})})
    assert "one \\| two three |" in contract(directory, "docs").stdout


def test_an_example_never_holds_a_real_identifier():
    """The examples' NHS number and the like are checked, so that the page teaches the right shape."""
    contracts = load_contracts(ROOT / "schemas")
    from schemas.identifiers import SCHEMES

    for row in SCHEMES:
        assert row.example, row.name
        try:
            assert contracts.schemes.canonical(row.name, row.example) == f"{row.name}:{row.example}"
        except IdentifierInvalid as invalid:
            pytest.fail(str(invalid))
