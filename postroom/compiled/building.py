"""Compiles the stages, aside and then into their place at once: a build is there whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from connectors.state_files import locked, private_directory
from postroom.compiled.place import PACKAGE, Place, place_of, sources
from postroom.errors import UserError

BUILD_S_MAX = 1200
LINES_TOLD = 12


def build(cache_dir: Path, waiting: Callable[[], None] = lambda: None) -> Place:
    """Build what is not there; UserError if this machine cannot. ``waiting`` is told if another builds."""
    content = sources()
    place = place_of(cache_dir, content)
    if place.built:
        return place
    if find_spec("Cython") is None or find_spec("setuptools") is None:
        raise UserError(
            "the stages cannot be compiled here",
            why="Cython or setuptools is not installed",
            mend="install the extra `compiled`, in a checkout by `make venv`; without, they run interpreted",
        )
    # Private, for whoever can write there can make a worker run anything.
    parent = private_directory(place.directory.parent)
    with locked(parent / "building.lock", waiting, BUILD_S_MAX):
        if not place.built:  # by whoever held the lock
            _build(content, place, parent)
    return place


def _build(content: dict[str, bytes], place: Place, parent: Path) -> None:
    with tempfile.TemporaryDirectory(dir=parent, prefix="building-") as aside:
        source, out = Path(aside, "source"), Path(aside, "out")
        (source / PACKAGE).mkdir(parents=True)
        (source / PACKAGE / "__init__.py").touch()
        for module, text in content.items():
            (source / PACKAGE / f"{module}.py").write_bytes(text)
        _compile(source, out)
        shutil.rmtree(place.directory, ignore_errors=True)  # part of one, from who knows when
        out.rename(place.directory)


def _compile(source: Path, out: Path) -> None:
    command = [sys.executable, "-m", "postroom.compiled.recipe", str(out)]
    done = subprocess.run(  # noqa: S603 - ourselves
        command, cwd=source, capture_output=True, text=True, timeout=BUILD_S_MAX, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-LINES_TOLD:]
        raise UserError(
            "the stages could not be compiled",
            why="\n".join(said) or f"the compiler ended with {done.returncode} and said nothing",
            mend="a C compiler and Python's headers are wanted (Debian: gcc, python3-dev); "
            "without, they run interpreted",
        )
