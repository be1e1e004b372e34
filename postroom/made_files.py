"""Files that are made from others and committed: written when they differ, checked by tests and by CI."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from postroom.console import counted, say
from postroom.errors import Exit, UserError
from postroom.output import Form, write_rows

SUMS = "SHA256SUMS"
"""Lists every file that was made, as `sha256sum -c` reads it: what it does not list is not ours to remove."""

COLUMNS = ("file", "what")
DONE = {"missing": "written", "changed": "rewritten", "surplus": "removed"}
"""What is done about a file that is not as it would be made."""


def with_sums(files: Mapping[str, str]) -> dict[str, str]:
    """Add the list of them to files by their paths."""
    return {**files, SUMS: "".join(f"{_sum(text)}  {name}\n" for name, text in sorted(files.items()))}


def build(wanted: Mapping[str, str], directory: Path, output: Form) -> None:
    """Write what is wanted and say of which files what was done."""
    changes = write(wanted, directory)
    if changes or output is not Form.TABLE:
        write_rows([{"file": name, "what": what} for name, what in changes], output, COLUMNS)
    often = Counter(what for _, what in changes)
    did = ", ".join(f"{often[what]} {what}" for what in DONE.values() if often[what])
    say(f"{counted(len(wanted), 'file')} in {directory}: {did or 'as they were'}")


def check(wanted: Mapping[str, str], directory: Path, output: Form) -> None:
    """Say which files are not in step; typer.Exit with 1 if there is one."""
    rows = [{"file": name, "what": what} for name, what in differences(wanted, directory)]
    if rows or output is not Form.TABLE:
        write_rows(rows, output, COLUMNS)
    say(f"{counted(len(rows), 'file')} out of step")
    if rows:
        raise typer.Exit(Exit.FOUND)


def differences(wanted: Mapping[str, str], directory: Path) -> Iterator[tuple[str, str]]:
    """Say of each file that is not as it would be made: (path, `missing`, `changed` or `surplus`)."""
    for name, text in sorted(wanted.items()):
        path = directory / name
        if not path.is_file():
            yield name, "missing"
        elif path.read_bytes() != text.encode():
            yield name, "changed"
    for name in sorted(_listed(directory) - wanted.keys()):
        if (directory / name).is_file():
            yield name, "surplus"


def write(wanted: Mapping[str, str], directory: Path) -> list[tuple[str, str]]:
    """Make a directory as wanted and return what was done; a file that was not made here stays.

    (path, `written`, `rewritten` or `removed`) each. UserError when something cannot be written.
    """
    changes = list(differences(wanted, directory))
    try:
        for name, what in changes:
            path = directory / name
            if what == "surplus":
                path.unlink()
            elif name != SUMS:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(wanted[name].encode())
        # INVARIANT: the list is written last, so that what an interrupted run left behind is made again.
        directory.mkdir(parents=True, exist_ok=True)
        (directory / SUMS).write_bytes(wanted[SUMS].encode())
    except OSError as error:
        raise UserError(
            "the files cannot be written", where=str(directory), why=error.strerror or str(error)
        ) from error
    return [(name, DONE[what]) for name, what in changes]


def _listed(directory: Path) -> set[str]:
    """What an earlier run made; a path that leads out of the directory is nobody's."""
    try:
        lines = (directory / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    names = {line.partition("  ")[2] for line in lines}
    return {name for name in names if name and not Path(name).is_absolute() and ".." not in Path(name).parts}


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
