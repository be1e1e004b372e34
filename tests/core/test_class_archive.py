"""Kept classes quicken a start, and are never needed for one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from connectors import class_archive
from connectors.local_stack import java_of_the_wheel


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program's directory in a cache."""
    made = tmp_path / "kafka-9"
    made.mkdir()
    return made


def test_without_archives_a_start_has_no_options(program: Path) -> None:
    """Nor with one of the two: the program's stands on the JVM's."""
    assert class_archive.options(program) == []
    class_archive.archive(program).touch()
    assert class_archive.options(program) == []


def test_both_archives_are_named(program: Path) -> None:
    """The JVM's own first; both lie in the cache, beside the program."""
    archives = (class_archive.base_archive(program.parent), class_archive.archive(program))
    for each in archives:
        each.touch()
        assert each.parent == program.parent
    assert class_archive.options(program)[0] == f"-XX:SharedArchiveFile={archives[0]}:{archives[1]}"


def test_another_jvm_looks_for_other_archives(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one wrote the other would only ignore."""
    now = class_archive.archive(program), class_archive.base_archive(program.parent)
    monkeypatch.setattr(class_archive, "version", lambda _: "99")
    assert {class_archive.archive(program), class_archive.base_archive(program.parent)}.isdisjoint(now)


@pytest.mark.parametrize("content", [b"", b"junk" * 100_000], ids=["empty", "junk"])
def test_a_jvm_starts_with_damaged_archives_and_says_nothing(program: Path, content: bytes) -> None:
    """As it would without. Half a one is never found under its name, but a disk may spoil a whole one."""
    for each in (class_archive.base_archive(program.parent), class_archive.archive(program)):
        each.write_bytes(content)
    command = [str(java_of_the_wheel()), *class_archive.options(program), "-XX:+UseSerialGC", "-version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[0].startswith("openjdk version")
