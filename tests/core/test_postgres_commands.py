"""`postroom outbox` and `postroom sink`: what they print, and what they say when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest

from connectors.postgres.line import Database, in_our_words
from connectors.postgres.outbox_ddl import RELAY
from connectors.postgres.view_table import ROLE
from connectors.trouble import Misused, Unreachable
from postroom.config import load_settings
from postroom.errors import UserError
from postroom.postgres import database_for
from tests.command_kit import postroom

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    "POSTROOM_CONTRACTS": str(ROOT / "schemas"),
    "POSTROOM_AGREEMENTS": str(ROOT / "schemas" / "agreements"),
    "POSTROOM_KAFKA": "127.0.0.1:1",
    "POSTROOM_REGISTRY": "http://127.0.0.1:1",
}
AWAY = "postgresql://relay:HUSH@127.0.0.1:1/cis"


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "words"),
    [
        (("outbox",), {}, 2, "Usage"),
        (("outbox", "ddl"), {}, 2, "outbox ddl --help"),
        (("outbox", "ddl", "DWP", "--system", "cis"), {}, 2, "no source of events"),
        (("outbox", "run", "dwp"), {}, 2, "POSTROOM_POSTGRES"),
        (("outbox", "run", "nobody"), {"POSTROOM_POSTGRES": AWAY}, 2, "nobody owns no contract"),
        (("outbox", "run", "dwp"), {"POSTROOM_POSTGRES": "password HUSH"}, 2, "cannot be read"),
        (("outbox", "parked"), {"POSTROOM_POSTGRES": AWAY}, 3, "127.0.0.1:1/cis"),
        (("outbox", "retry"), {"POSTROOM_POSTGRES": AWAY}, 3, "PostgreSQL is unreachable"),
        (("sink",), {}, 2, "Usage"),
        (("sink", "ddl", "nothing"), {}, 2, "there is no such agreement"),
        (("sink", "run", "council-leeds-housing"), {}, 2, "POSTROOM_POSTGRES"),
        (("sink", "run", "nothing"), {"POSTROOM_POSTGRES": AWAY}, 2, "there is no such agreement"),
        (("sink", "check", "council-leeds-housing"), {"POSTROOM_POSTGRES": AWAY}, 3, "unreachable"),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(
    arguments: tuple[str, ...], environ: dict[str, str], code: int, words: str, tmp_path: Path
):
    """With the right exit code (DESIGN §8); the connection string is shown nowhere."""
    done = postroom(tmp_path, *arguments, **(RULES | environ))
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "HUSH" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def running(directory: Path, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on, ended at the latest with the test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    process = subprocess.Popen(
        [sys.executable, "-c", "from postroom.cli import main; main()", *arguments],
        cwd=directory,
        env=kept | environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("words", [("outbox", "run", "dwp"), ("sink", "run", "council-leeds-housing")])
def test_what_is_away_at_the_start_is_waited_for(words: tuple[str, ...], tmp_path: Path):
    """It lives, is not ready, says so once without a secret, and ends with 0 when it is told to."""
    with running(tmp_path, *words, **(RULES | {"POSTROOM_POSTGRES": AWAY})) as process:
        assert process.stderr is not None
        lines: list[dict[str, Any]] = []
        while not lines or not lines[-1]["event"].endswith("-waits"):
            lines.append(json.loads(process.stderr.readline()))
        until = time.monotonic() + 2  # it tries again meanwhile
        assert lines[-1]["event"] == f"{words[0]}-waits"
        answers = [httpx.get(f"{lines[0]['url']}/health/{name}", timeout=10) for name in ("live", "ready")]
        assert [answer.status_code for answer in answers] == [200, 503]
        away = "unreachable" if words[0] == "outbox" else "registry"
        assert away in answers[1].text
        time.sleep(max(0, until - time.monotonic()))
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(60) == 0, rest
        assert "-waits" not in rest
        assert "HUSH" not in rest + str(lines)


def test_ddl_needs_neither_kafka_nor_a_database(tmp_path: Path):
    """And prints nothing but SQL."""
    for words, table in (
        (("outbox", "ddl", "dwp", "--system", "cis"), "postroom.outbox"),
        (("sink", "ddl", "council-leeds-housing"), 'postroom_views."council_leeds_housing"'),
    ):
        done = postroom(tmp_path, *words, **RULES)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("--")
        assert f"CREATE TABLE IF NOT EXISTS {table}" in done.stdout


def test_a_password_does_not_belong_into_the_file(tmp_path: Path):
    """Others may read it; a connection string without one may stand there."""
    (tmp_path / "postroom.toml").write_text('postgres = "postgresql://relay:HUSH@127.0.0.1/cis"\n')
    with pytest.raises(UserError, match="does not belong") as refused:
        database_for(load_settings({}, tmp_path), "outbox")
    assert "HUSH" not in str(vars(refused.value))
    (tmp_path / "postroom.toml").write_text('postgres = "postgresql://relay@127.0.0.1/cis"\n')
    assert "127.0.0.1" in database_for(load_settings({}, tmp_path), "outbox").where


@pytest.mark.parametrize(
    ("conninfo", "mode"),
    [
        ("postgresql://db.example/cis", "verify-full"),
        ("host=127.0.0.1,db.example dbname=cis", "verify-full"),
        ("postgresql://db.example/cis?sslmode=require", "require"),
        ("postgresql://127.0.0.1/cis", None),
        ("postgresql:///cis", None),
        ("host=/run/postgresql dbname=cis", None),
    ],
)
def test_a_server_elsewhere_proves_its_name_unless_somebody_says_otherwise(conninfo: str, mode: str | None):
    """An open line leaves this machine only if somebody wrote so."""
    assert Database(conninfo, "sink")._parameters.get("sslmode") == mode


@pytest.mark.parametrize(
    ("needs", "used", "said", "kind"),
    [
        (True, False, "fe_sendauth: no password supplied", Misused),
        (False, True, 'FATAL: password authentication failed for user "relay"', Misused),
        (False, True, "FATAL: the database system is starting up", Unreachable),
        (False, False, "connection refused", Unreachable),
    ],
)
def test_a_password_that_is_refused_is_a_wrong_setting(needs: bool, used: bool, said: str, kind: type):
    """So `outbox run` and `sink run` end at once; a server that is not there yet is waited for."""
    line = SimpleNamespace(needs_password=needs, used_password=used)
    error = psycopg.OperationalError(said, pgconn=line)  # type: ignore[arg-type]
    assert type(in_our_words(error, "here")) is kind


def test_an_error_of_the_server_is_told_without_its_message():
    """The message may quote the row; its kind does not."""
    errors: dict[type[psycopg.Error], type[Exception]] = {
        psycopg.errors.InsufficientPrivilege: Misused,
        psycopg.errors.UndefinedTable: Misused,
        psycopg.errors.InvalidPassword: Misused,
        psycopg.errors.UndefinedColumn: Unreachable,
        psycopg.errors.AdminShutdown: Unreachable,
        psycopg.errors.LockNotAvailable: Unreachable,
        psycopg.errors.ReadOnlySqlTransaction: Unreachable,
    }
    for kind, expected in errors.items():
        told = in_our_words(kind("NC000001C"), "here")
        assert type(told) is expected
        assert "NC000001C" not in str(vars(told))
    denied = in_our_words(psycopg.errors.InsufficientPrivilege(), "here")
    assert ROLE in str(vars(denied))
    assert RELAY in str(vars(denied))
    assert "NC000001C" not in str(
        vars(in_our_words(psycopg.errors.InvalidDatetimeFormat("NC000001C"), "here"))
    )
