"""The compiled stages in a process of tests: where they come from, and how another process is given them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from postroom.compiled import Place, build
from tests.programs import wanted

ROOT = Path(__file__).resolve().parents[2]
WHERE = "POSTROOM_TEST_COMPILED"
"""Names the cache of builds to a process that is to use them."""
MEND = "apt-get install gcc python3-dev; without, stages run interpreted and are tested as such"


def _compiler() -> str | None:
    """The C compiler, if Python's headers are here too."""
    header = Path(sysconfig.get_path("include"), "Python.h")
    words = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    return shutil.which(words[0]) if header.is_file() else None


def built(cache: Path) -> Place:
    """The build of this source, made if it is not there; a loud skip where it cannot be."""
    wanted(_compiler, "a C compiler with Python's headers", MEND)
    return build(cache)


def run_python(*words: str, cache: Path | None, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run Python at the root, with the compiled stages of a cache or with the source."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    more = {} if cache is None else {WHERE: str(cache)}
    # Sets are walked in the same order in both forms.
    environ = kept | more | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def pytest_in(cache: Path, *files: str, timeout_s: float) -> str:
    """Run test files over the compiled stages; the last line of what was said, and fail if one test did."""
    words = ("-m", "pytest", "-q", "-p", "tests.compiled.plugin", "-p", "no:cacheprovider", *files)
    done = run_python(*words, cache=cache, timeout_s=timeout_s)
    if done.returncode:
        pytest.fail(f"over the compiled stages:\n{done.stdout[-6000:]}{done.stderr[-2000:]}", pytrace=False)
    return done.stdout.strip().splitlines()[-1]
