"""Which build a worker uses, when it refuses, and what building says where it cannot (docs/adr/0079)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from postroom.compiled import building, place
from postroom.compiled.building import build
from postroom.compiled.place import MODULES, Place, place_of, sources
from postroom.compiled.use import use_compiled
from postroom.errors import UserError


def pretended(directory: Place) -> None:
    """Files where a build would have them."""
    for module in MODULES:
        directory.file(module).parent.mkdir(parents=True, exist_ok=True)
        directory.file(module).touch()


def test_another_source_has_another_place(tmp_path: Path):
    """INVARIANT: a build of a source that has changed since is not found at all."""
    content = sources()
    assert place_of(tmp_path) == place_of(tmp_path, content)
    for module in MODULES:
        assert place_of(tmp_path, content | {module: content[module] + b"\n"}) != place_of(tmp_path)
    moved = content | {MODULES[0]: content[MODULES[1]], MODULES[1]: content[MODULES[0]]}
    assert place_of(tmp_path, moved) != place_of(tmp_path)


def test_every_module_that_is_named_is_there():
    """A module that was renamed is noticed here, not by whoever builds."""
    assert all(text.startswith(b'"""') for text in sources().values())
    assert list(MODULES) == sorted(set(MODULES))


def test_part_of_a_build_is_none(tmp_path: Path):
    """A worker of two forms would be neither."""
    found = place_of(tmp_path)
    assert not found.built
    pretended(found)
    assert found.built
    found.file("consent").unlink()
    assert not found.built


def test_a_worker_whose_build_is_missing_does_not_start(tmp_path: Path):
    """It says what to do, and does not go on more slowly in silence."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    environ |= {"POSTROOM_COMPILED": "yes", "POSTROOM_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", "from postroom.cli import main; main()", "run", "all"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "`postroom compiled build`" in done.stderr
    assert str(place_of(tmp_path).directory) in done.stderr


def test_it_is_too_late_once_a_stage_is_imported(tmp_path: Path):
    """INVARIANT: the compiled classes and the others never meet in one process."""
    import processors  # noqa: F401 - as in any other test

    pretended(place_of(tmp_path))
    with pytest.raises(RuntimeError, match="before"):
        use_compiled(tmp_path)


def test_without_the_compiler_s_package_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is an extra, and most installations have not got it."""
    monkeypatch.setattr(building, "find_spec", lambda name: None if name == "Cython" else find_spec(name))
    with pytest.raises(UserError) as raised:
        build(tmp_path)
    assert "Cython" in raised.value.why
    assert "make venv" in raised.value.mend


def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its own words are told, and no half of a build stays."""
    monkeypatch.setattr(place, "MODULES", ("view",))
    monkeypatch.setenv("CC", "false")
    with pytest.raises(UserError) as raised:
        build(tmp_path)
    assert "could not be compiled" in raised.value.what
    assert raised.value.why
    assert [each.name for each in (tmp_path / "compiled").iterdir()] == ["building.lock"]


def test_two_who_build_at_once_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second waits, and takes nothing away from a worker that uses the first one's build by then."""
    built: list[Path] = []

    def slowly(source: Path, out: Path) -> None:
        built.append(source)
        time.sleep(0.3)
        pretended(Place(out))

    monkeypatch.setattr(building, "_compile", slowly)
    with ThreadPoolExecutor(2) as both:
        found = {each.result() for each in [both.submit(build, tmp_path) for _ in range(2)]}
    assert len(built) == 1
    assert [each.built for each in found] == [True]
