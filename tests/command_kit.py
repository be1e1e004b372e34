"""`postroom` as a person runs it, a process for each command, that do not all import everything anew.

The imports are most of what a short command costs, and the tests of the command line run hundreds. A server
process imports them once and forks; each command still has a process, a directory, an environment and an exit
of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

WITHIN_S = 60
PRELOADED = (
    *("postroom.cli", "postroom.composition", "postroom.contract.new", "postroom.contract.trial"),
    *("postroom.documents", "postroom.files.check", "postroom.snapshot", "postroom.config"),
    *("processors.replay", "processors.explain", "rich.table", "kafka", "kafka.admin"),
)
"""Imported once, never called: what a command remembers while it runs is its own process's."""


def postroom(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a directory, with these settings and none of this process's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        run = _server().Process(
            target=_run, args=(str(directory), arguments, kept | environ, str(out), str(err))
        )
        run.start()
        run.join(WITHIN_S)
        if run.exitcode is None:
            run.kill()
            run.join()
            raise subprocess.TimeoutExpired(arguments, WITHIN_S, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(arguments, run.exitcode, out.read_text(), err.read_text())


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _run(directory: str, arguments: tuple[str, ...], environ: dict[str, str], out: str, err: str) -> None:
    """Be the command: in its own process, with files for what it writes."""
    for number, file in ((1, out), (2, err)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["postroom", *arguments]

    from postroom.cli import main

    main()
