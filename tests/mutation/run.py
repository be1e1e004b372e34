"""Break the modules that decide who is who and who sees what, line by line, and name what no test noticed.

`make mutation` lets cosmic-ray change each of :data:`MODULES` in a copy of the tree, one small change at a
time, and runs the tests against each. A change that no test notices means the same, and then stands in
`equivalent.toml` with the reason; or a test is missing, and then it is printed and the exit is 1.
"""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).parents[2]
MODULES = ("pairs", "graph", "register", "consent", "golden", "decision")
KEPT = ("schemas", "processors", "producers", "connectors", "postroom", "tests", "docs", "pyproject.toml")
TESTS = (
    *(f"tests/core/test_{module}.py" for module in MODULES),
    *(f"tests/core/test_{stage}.py" for stage in ("persons", "identity", "annulments", "fragment")),
    "tests/core/test_reports.py",
    "tests/core/test_cases.py",
    "tests/mutation/test_seeds.py",
)
"""After the module's own tests, which come first because most changes fall there within a second."""

PYTEST = (
    *("-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"),
    *("--noconftest", "--disable-plugin-autoload", "-p", "timeout", "-p", "hypothesispytest"),
    "--hypothesis-profile=ci",  # no deadlines, and the same examples each time
)
"""These tests need no stack and no other plugin: a start takes a third of the time, and a start is all."""

CONFIG = """
[cosmic-ray]
module-path = ["processors/{module}.py"]
timeout = 60.0
excluded-modules = []
test-command = "{command}"

[cosmic-ray.distributor]
name = "local"
"""


def main(modules: tuple[str, ...]) -> int:
    """Break each module in turn; return 1 if something survived that means another thing."""
    with tempfile.TemporaryDirectory() as name:
        copy = copied(Path(name) / "tree")
        return max([_break(copy, module) for module in modules])


def copied(copy: Path) -> Path:
    """Copy what the tests need of the tree; what is broken is the copy."""
    for part in KEPT:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / part)
    return copy


def pytest_command(copy: Path, tests: Iterable[str]) -> list[str]:
    """How to run the tests; they were run once, and hold while nothing is broken."""
    command = [sys.executable, *PYTEST, *tests]
    # This also leaves the bytecode, so that each later run starts sooner.
    bytecode = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, cwd=copy, env=bytecode, check=True)
    return command


def _break(copy: Path, module: str) -> int:
    """Make every change to one module and run the tests against each; return 1 if one is a gap."""
    started, session = time.monotonic(), f"{module}.sqlite"
    command = pytest_command(copy, dict.fromkeys((f"tests/core/test_{module}.py", *TESTS)))
    (copy / "mutation.toml").write_text(CONFIG.format(module=module, command=shlex.join(command)))
    cosmic_ray = [sys.executable, "-m", "cosmic_ray.cli"]
    subprocess.run([*cosmic_ray, "init", "mutation.toml", session], cwd=copy, check=True)
    with use_db(copy / session) as database:
        _skip_annotations(copy, database)
    subprocess.run([*cosmic_ray, "exec", "mutation.toml", session], cwd=copy, check=True)
    with use_db(copy / session) as database:
        gaps = _report(module, database)
    print(f"{module}: {time.monotonic() - started:.0f} s", flush=True)
    return 1 if gaps else 0


def _skip_annotations(copy: Path, database: WorkDB) -> None:
    """Leave types alone: nothing evaluates an annotation, so no test could notice."""
    for item in list(database.pending_work_items):
        if all(_is_annotation(copy, mutation) for mutation in item.mutations):
            database.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED))


def _is_annotation(copy: Path, mutation: MutationSpec) -> bool:
    tree = ast.parse((copy / mutation.module_path).read_text())
    return any(start <= mutation.start_pos and mutation.end_pos <= end for start, end in _annotations(tree))


def _annotations(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where each annotation begins and ends, as (line, column)."""
    for node in ast.walk(tree):
        found = node.returns if isinstance(node, ast.FunctionDef) else getattr(node, "annotation", None)
        if found is not None:
            yield (found.lineno, found.col_offset), (found.end_lineno, found.end_col_offset)


def _report(module: str, database: WorkDB) -> int:
    """Print what became of the changes, and each gap; return the number of gaps."""
    reasons = tomllib.loads((ROOT / "tests/mutation/equivalent.toml").read_text()).get(module, {})
    known = {change for changes in reasons.values() for change in changes}
    results = [result for _, result in database.results if result.worker_outcome != WorkerOutcome.SKIPPED]
    survived = [_change(result) for result in results if result.test_outcome == TestOutcome.SURVIVED]
    gaps = [change for change in survived if change not in known]
    own = sum(f" tests/core/test_{module}.py" in (result.output or "") for result in results)
    endless = sum(result.output == "timeout" for result in results)
    print(
        f"{module}: {len(results)} changes, {len(results) - len(survived)} noticed ({own} by its own tests, "
        f"{endless} by never ending), {len(survived) - len(gaps)} mean the same, {len(gaps)} GAPS"
    )
    for change in gaps:
        print(f"  {change}")
    for change in sorted(known - set(survived)):
        print(f"  no longer survives, strike it from equivalent.toml: {change}")
    return len(gaps)


def _change(result: WorkResult) -> str:
    """The lines that the change put in, which is how `equivalent.toml` names it."""
    lines = (result.diff or "").splitlines()
    return " ".join(line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++"))


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or MODULES))
