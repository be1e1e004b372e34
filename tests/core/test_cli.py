"""The command line: bad input to each command gives a clear error and the right exit code, no traceback."""

import json
import shutil
from pathlib import Path

import pytest

from tests.command_kit import postroom

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = {"POSTROOM_KAFKA": "127.0.0.1:1", "POSTROOM_REGISTRY": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "words"),
    [
        ((), {}, 2, "Usage"),
        (("nonsense",), {}, 2, "nonsense"),
        (("up", "surplus"), {}, 2, "surplus"),
        (("up",), NOWHERE, 3, "unreachable"),
        (("up",), {"POSTROOM_KAFKA": "127.0.0.1:1"}, 2, "POSTROOM_REGISTRY is not"),
        (("up",), {"POSTROOM_REGISTRY": "http://127.0.0.1:1"}, 2, "POSTROOM_KAFKA is not"),
        (("down", "--force"), {}, 2, "--force"),
        (("down",), {}, 0, "nothing was running"),
        (("status", "-o", "xml"), {}, 2, "xml"),
        (("status",), {}, 1, "nothing runs"),
        (("status",), NOWHERE, 3, "unreachable"),
        (("config",), {}, 2, "show"),
        (("config", "hide"), {}, 2, "hide"),
        (("config", "show"), {"POSTROOM_PARTITIONS": "x"}, 2, "POSTROOM_PARTITIONS"),
        (("config", "show"), {"POSTROOM_KAFFKA": "x"}, 0, "Did you mean POSTROOM_KAFKA"),
    ],
)
def test_bad_input(
    arguments: tuple[str, ...], environ: dict[str, str], code: int, words: str, tmp_path: Path
):
    """Words on stderr that name the mistake; exit 0 to 3 as DESIGN §8 has it."""
    done = postroom(tmp_path, *arguments, **environ)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stack_of_a_directory_above_is_named_and_not_used(tmp_path: Path):
    """Settings and contracts are the current directory's (ADR 0064): whoever went a step too deep is told."""
    (tmp_path / ".state").mkdir()
    (tmp_path / ".state" / "stack.json").write_text("{}")
    (tmp_path / "schemas").mkdir()
    done = postroom(tmp_path / "schemas", "status")
    assert done.returncode == 1
    assert f"looked in {tmp_path / 'schemas' / '.state'}" in done.stderr
    assert f"{tmp_path / '.state'} has a stack: go to {tmp_path}" in done.stderr
    assert "has a stack" not in postroom(tmp_path, "status").stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path):
    """Before anything is fetched or started."""
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = postroom(tmp_path, "up", POSTROOM_KAFKA_PORT=port)
    assert done.returncode == 2
    assert f"port {port} for Kafka is taken" in done.stderr


RULES = {
    "POSTROOM_CONTRACTS": str(ROOT / "schemas"),
    "POSTROOM_AGREEMENTS": str(ROOT / "schemas" / "agreements"),
}
MOMENT = "2026-06-01T12:00:00Z"
EXPLAIN = ("agreement", "explain", "council-leeds-housing")


def test_an_explanation_without_events_says_what_it_explains_and_how_to_ask(tmp_path: Path):
    """It replays a file; whoever means a running installation is sent to the disclosure log."""
    done = postroom(tmp_path, *EXPLAIN, "nino:NC000017A", **RULES)
    assert done.returncode == 2
    for words in ("--events", "docs/examples/first-event.jsonl", "postroom audit person"):
        assert words in done.stderr


def test_an_explanation_is_of_now_unless_a_moment_is_named(tmp_path: Path):
    """Each field has its answer, and no value is shown."""
    events = str(ROOT / "docs" / "examples" / "first-event.jsonl")
    done = postroom(tmp_path, *EXPLAIN, "nino:NC000017A", "--events", events, "-o", "json", **RULES)
    assert done.returncode == 0, done.stderr
    assert {row["attribute"] for row in json.loads(done.stdout)} == {"name", "address", "benefit", "practice"}
    assert "Garamond" not in done.stdout


def test_a_policy_person_is_told_what_a_consent_lacks_and_when_it_all_ends(tmp_path: Path):
    """C1, C5: the category not consented to; the agreement's days and the time to delete, in words."""
    events = str(ROOT / "docs" / "examples" / "first-event.jsonl")
    done = postroom(
        tmp_path, *EXPLAIN, "nino:NC000017A", "--events", events, "--at", MOMENT, "-o", "json", **RULES
    )
    because = {row["attribute"]: row["because"] for row in json.loads(done.stdout)}
    assert because["name"].endswith("(category identity)")
    assert because["practice"].endswith("(category health, which a consent must name)")
    assert "in force: 1 January 2025 to 31 December 2028, version 1" in done.stderr
    assert "taken back: council-leeds deletes it within 1 day" in done.stderr


@pytest.mark.parametrize(("version", "told"), [(1, True), (2, False)])
def test_a_wider_agreement_is_compared_without_a_key_and_its_version_looked_at(
    version: int, told: bool, tmp_path: Path
):
    """C5, V5: who gains which field; what changes under its version would be logged as the old one."""
    draft = tmp_path / "draft"
    shutil.copytree(ROOT / "schemas" / "agreements", draft)
    housing = draft / "council-leeds-housing.yaml"
    wider = housing.read_text().replace("[postcode, authority]", "[lines, postcode, authority]")
    housing.write_text(wider.replace("version: 1", f"version: {version}"))
    events = str(ROOT / "docs" / "examples" / "first-event.jsonl")
    ask = ("agreement", "diff", events, "--at", MOMENT, "-o", "json", "--proposed")
    done = postroom(tmp_path, *ask, str(draft), **RULES)
    assert done.returncode == 1, done.stderr
    assert [(row["field"], row["gain"], row["lose"]) for row in json.loads(done.stdout)] == [
        ("address.lines", 1, 0)
    ]
    assert ("council-leeds-housing has changed and not its version" in done.stderr) is told
    done = postroom(tmp_path, *ask, str(housing), **RULES)
    assert done.returncode == 2
    assert "name the directory in which all agreements are" in done.stderr


@pytest.mark.parametrize("words", [(*EXPLAIN, "card:1"), ("audit", "person", "AB123456C")])
def test_an_identifier_of_no_scheme_is_told_which_schemes_there_are(words: tuple[str, ...], tmp_path: Path):
    """I1: by its name, and with how one is written."""
    done = postroom(tmp_path, *words, **RULES)
    assert done.returncode == 2
    assert "why:   not `scheme:value` of a known scheme" in done.stderr
    assert "the schemes are " in done.stderr
    assert "ctax" in done.stderr
    assert "nino" in done.stderr


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_data_is_on_stdout_and_for_programs(form: str, tmp_path: Path):
    """`-o json` and `-o jsonl` hold the same rows; secrets are hidden in both."""
    done = postroom(tmp_path, "config", "show", "-o", form, POSTROOM_SECRET="correct horse")
    lines = done.stdout.splitlines()
    rows = json.loads(done.stdout) if form == "json" else [json.loads(line) for line in lines]
    assert {"setting", "value", "source", "meaning"} == set(rows[0])
    assert "correct horse" not in done.stdout + done.stderr


def test_every_command_teaches():
    """Each verb's help has an example."""
    from typer.main import get_command

    from postroom.cli import build

    def verbs(command: object, name: str):
        for child, below in getattr(command, "commands", {}).items():
            yield from verbs(below, f"{name} {child}")
        if not getattr(command, "commands", None):
            yield name, command

    without = [
        name for name, verb in verbs(get_command(build()), "postroom") if "Example" not in (verb.help or "")
    ]
    assert not without
