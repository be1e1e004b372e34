"""docs/ARCHITECTURE.md: its table finds the line for every rule of DESIGN, and names nothing that is gone."""

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "producers", "processors", "connectors", "postroom", "tests", "deploy", "docs")
PAGE = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
RULE = re.compile(r"\b([EIRCV])([0-9]+)(?:–[EIRCV]([0-9]+))?")


def rules_in(text: str) -> set[str]:
    """The rules that a text names; `V1–V7` names seven."""
    found = set()
    for chapter, first, last in RULE.findall(text):
        found |= {f"{chapter}{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def rows() -> Iterator[tuple[str, str]]:
    """Each cell of rules with the cell that says where they live; the table has two of them a line."""
    section = PAGE.partition("## Where each rule lives")[2].partition("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5:
            yield from ((rules, where) for rules, where in (cells[:2], cells[3:]) if "`" in where)


def test_every_rule_of_the_design_has_its_place():
    """A new engineer finds the line of any rule from the page alone."""
    design = (ROOT / "docs/DESIGN.md").read_text(encoding="utf-8")
    wanted = set(re.findall(r"^\*\*([EIRCV][0-9]+)\*\*", design, re.MULTILINE))
    assert len(wanted) > 30
    assert wanted - set().union(*(rules_in(rules) for rules, _ in rows())) == set()


def names_in(path: Path) -> set[str]:
    """What a file defines: functions, classes, members and constants."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize(("rules", "where"), list(rows()))
def test_what_the_table_names_is_there(rules: str, where: str):
    """A file by its path, or by its name beside the file before it; behind it, what it defines."""
    folder, path = ROOT, None
    for quoted, named in re.findall(r"`([^`]+)`(?: \(((?:`[^`]+`(?:, )?)+)[^)]*\))?", where):
        if quoted.endswith((".py", "/")):
            path = ROOT / quoted if "/" in quoted else folder / quoted
            assert path.exists(), (rules, quoted)
            folder = path.parent if path.is_file() else path
        for name in re.findall(r"`([^`]+)`", named):
            if name.endswith(".py"):
                assert (folder / name).exists(), (rules, name)
            else:
                assert path is not None
                assert name in names_in(path), (rules, quoted, name)


def test_every_file_that_the_page_names_is_there():
    """Where a text names a file by its name alone, it is in one of the packages."""
    quoted = set(re.findall(r"`([A-Za-z_][\w/.-]*\.(?:py|yaml|md|json))`", PAGE))
    assert len(quoted) > 50
    known = {path.name for package in PACKAGES for path in (ROOT / package).rglob("*.*")}
    gone = {each for each in quoted if not (ROOT / each).exists() and ("/" in each or each not in known)}
    inside = {each for each, package in product(gone, PACKAGES) if list((ROOT / package).rglob(each))}
    assert gone - inside == set()
