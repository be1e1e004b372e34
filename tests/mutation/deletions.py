"""Delete each statement of a module in turn and name those that its tests do not miss.

The mutation tool changes operators and constants but deletes nothing, and a rule is most easily lost whole:
`python tests/mutation/deletions.py persons tests/core/test_persons.py`.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from run import copied, pytest_command

SECONDS_MAX = 60
"""What takes longer never ends, and that is noticed too."""


def main(module: str, tests: list[str]) -> int:
    """Print each statement whose absence no test notices; return 1 if there is one."""
    with tempfile.TemporaryDirectory() as name:
        copy = copied(Path(name) / "tree")
        command = pytest_command(copy, tests)
        path = copy / f"processors/{module}.py"
        lines = path.read_text().splitlines(keepends=True)
        statements = list(_statements(ast.parse("".join(lines)), within=False))
        missed = 0
        for each in statements:
            nothing = " " * each.col_offset + "pass\n"
            path.write_text("".join([*lines[: each.lineno - 1], nothing, *lines[each.end_lineno :]]))
            if not _notices(command, copy):
                missed += 1
                print(f"{module}.py:{each.lineno}: {lines[each.lineno - 1].strip()}", flush=True)
    print(f"{module}: {len(statements)} statements deleted, {missed} not noticed")
    return 1 if missed else 0


def _statements(node: ast.AST, within: bool) -> Iterator[ast.stmt]:
    """Every statement inside a function, whole, and then each of those inside it; no docstring."""
    for child in ast.iter_child_nodes(node):
        function = isinstance(child, ast.FunctionDef)
        if isinstance(child, ast.stmt) and within and not function and not _is_docstring(child):
            yield child
        yield from _statements(child, within or function)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _notices(command: list[str], copy: Path) -> bool:
    """Whether a test fails, or never ends."""
    quiet = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run = subprocess.run(
            command, check=False, cwd=copy, env=quiet, capture_output=True, timeout=SECONDS_MAX
        )
    except subprocess.TimeoutExpired:
        return True
    return run.returncode != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
