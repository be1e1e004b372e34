"""`make`: what it says of itself, and how quietly and how honestly it makes its environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = """#!/bin/sh
# Stands in for a Python that makes an environment, and for the pip in it.
case "$*" in
*"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/pip;;
*"-m pip install"*)
    case "$*" in *" -q"*) ;; *) seq -f "Requirement already satisfied: package-%g" 111;; esac
    if [ -n "$BREAKS" ]; then echo "ERROR: No matching distribution found for nothing==1" >&2; exit 1; fi;;
*--version*) echo "Python 3.11.7";;
esac
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A place with the Makefile and what it reads, and an interpreter that stands in."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def made(place: Path, target: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run make there."""
    return subprocess.run(
        ["make", target, f"PYTHON={place / 'python'}"],
        cwd=place,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_environment_is_made_in_a_few_lines(place: Path):
    """What is there already is not listed, and a second run says nothing of it at all."""
    first = made(place, "venv")
    assert first.returncode == 0, first.stderr
    assert "already satisfied" not in first.stdout
    assert len(first.stdout.splitlines()) <= 6
    assert re.search(r"some \d+ MB", first.stdout), "a stranger is told what is fetched"
    assert "==" not in made(place, "venv").stdout


def test_an_error_of_pip_is_seen_and_the_environment_is_not_taken_for_made(place: Path):
    """Quiet is not silent: the next run tries again."""
    broken = made(place, "venv", BREAKS="1")
    assert broken.returncode != 0
    assert "No matching distribution" in broken.stderr
    assert not (place / ".venv/.installed").exists()


def test_help_is_in_columns_and_names_every_word(place: Path):
    """Each target that a person would type, with its meaning at the same column."""
    lines = [line for line in made(place, "help").stdout.splitlines() if line.startswith("make ")]
    found = {re.match(r"make ([a-z-]+) +", line) for line in lines}
    assert len({match.end() for match in found if match}) == 1
    named = {match[1] for match in found if match}
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony is not None
    assert named == set(phony[1].split()) - {"help", "venv"}


def test_what_is_said_of_a_licence_is_the_same_everywhere():
    """No licence has been chosen: the package claims none, and the README says what follows from that."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chosen = bool(list(ROOT.glob("LICEN[CS]E*")))
    assert chosen == ("license" in project)
    said = (ROOT / "README.md").read_text().partition("\n## Licence\n")[2]
    assert said
    assert chosen != ("none has been chosen" in said.lower())
