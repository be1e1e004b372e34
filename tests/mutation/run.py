"""Break the modules that decide who is who and who sees what, line by line, and name what no test noticed.

`make mutation` runs cosmic-ray over :data:`MODULES` in a copy of the tree and prints what survived. A
survivor is either a change that means the same, or a test that is missing.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = ("pairs", "graph", "register", "consent", "golden", "decision")
TESTS = (
    "tests/core/test_cases.py",
    "tests/core/test_reports.py",
    "tests/core/test_pairs.py",
    "tests/core/test_register.py",
    "tests/core/test_consent.py",
    "tests/core/test_decision.py",
    "tests/core/test_persons.py",
    "tests/core/test_record.py",
    "tests/mutation/test_seeds.py",
)
CONFIG = """
[cosmic-ray]
module-path = ["{modules}"]
timeout = 90.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider {tests}"

[cosmic-ray.distributor]
name = "local"
"""


def main(modules: tuple[str, ...]) -> int:
    """Run every mutation of the modules; return 1 if one survived."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "tree"
        kept = (
            "schemas",
            "processors",
            "producers",
            "connectors",
            "postroom",
            "tests",
            "pyproject.toml",
            "docs",
        )
        for part in kept:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
        tests = " ".join(test for test in TESTS if (copy / test).exists())
        paths = '", "'.join(f"processors/{module}.py" for module in modules)
        (copy / "mutation.toml").write_text(CONFIG.format(modules=paths, python=sys.executable, tests=tests))
        for step in (
            ["init", "mutation.toml", "session.sqlite"],
            ["exec", "mutation.toml", "session.sqlite"],
        ):
            subprocess.run([sys.executable, "-m", "cosmic_ray.cli", *step], cwd=copy, check=True)
        return _report(copy)


def _report(copy: Path) -> int:
    """Print how many were killed, and the change that each survivor made."""
    rows = sqlite3.connect(copy / "session.sqlite").execute(
        "select m.module_path, m.operator_name, m.start_pos_row, r.test_outcome "
        "from mutation_specs m join work_results r on r.job_id = m.job_id order by 1, 3"
    )
    found = list(rows)
    survivors = [row for row in found if "SURVIVED" in str(row[3]).upper()]
    for path, operator, line, _ in survivors:
        text = (copy / path).read_text().splitlines()[line - 1].strip()
        print(f"{path}:{line}: {operator.removeprefix('core/')}: {text}")
    print(f"{len(found)} mutations, {len(found) - len(survivors)} noticed, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or MODULES))
