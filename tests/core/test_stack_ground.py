"""`postroom up` says where its stack stands before anything is started (§8, ADR 0064)."""

import socket
import subprocess
from pathlib import Path

from tests.command_kit import postroom


def up(directory: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it as far as a taken port, which is looked at before anything is fetched or started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = postroom(directory, "up", POSTROOM_KAFKA_PORT=port, **environ)
    assert done.returncode == 2, done.stderr
    assert f"port {port} for Kafka is taken" in done.stderr
    return done


def test_a_stack_in_a_directory_without_contracts_says_so_and_what_to_do(tmp_path: Path):
    """§8: whoever is in the wrong directory hears it; it is no refusal, a Kafka needs no contracts."""
    said = up(tmp_path).stderr
    assert f"this stack is the one of {tmp_path / '.state'} (POSTROOM_STATE)" in said
    assert f"there are no contracts in {tmp_path / 'schemas'} (POSTROOM_CONTRACTS)" in said
    assert "`postroom down`" in said


def test_a_stack_beside_its_contracts_says_only_where_it_is(tmp_path: Path):
    """§8: no warning where nothing is amiss, in whichever directory the settings name."""
    (tmp_path / "rules").mkdir()
    said = up(tmp_path, POSTROOM_CONTRACTS="rules", POSTROOM_STATE="elsewhere").stderr
    assert f"the one of {tmp_path / 'elsewhere'} " in said
    assert "no contracts" not in said


def test_a_directory_above_that_has_a_stack_is_named(tmp_path: Path):
    """ADR 0064: a second Kafka is not begun one directory too deep without a word."""
    (tmp_path / ".state").mkdir()
    (tmp_path / ".state" / "stack.json").write_text("{}")
    deeper = tmp_path / "deeper"
    deeper.mkdir()
    assert f"{tmp_path / '.state'} has a stack: go to {tmp_path}" in up(deeper).stderr
