"""The words of the documentation: the commands and settings that it names are there, all of §8 among them."""

import re
from functools import cache
from pathlib import Path

import pytest
import typer.main

from postroom.cli import build
from postroom.known_settings import KNOWN

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/runbooks/*.md"))]
COMMAND = re.compile(r"postroom ([a-z]+)(?: ([a-z-]+))?")
SETTING = re.compile(r"POSTROOM_[A-Z0-9_]*[A-Z0-9]")
MISSPELT = {"POSTROOM_KAFKAA"}  # what the doctor is shown to notice


@cache
def commands() -> dict[str, set[str]]:
    """Every noun with its verbs."""
    nouns = getattr(typer.main.get_command(build()), "commands", {})
    return {name: set(getattr(noun, "commands", ())) for name, noun in nouns.items()}


def test_the_design_has_every_command():
    """§8 is the list of the command line: noun and verb."""
    design = (ROOT / "docs/DESIGN.md").read_text(encoding="utf-8")
    rows = [row for row in design.partition("\n## 8.")[2].partition("\n## ")[0].splitlines() if "|" in row]
    missing = []
    for noun, verbs in commands().items():
        of_noun = " ".join(row for row in rows if re.search(rf"postroom {noun}\b|/ `{noun}`", row))
        missing += [noun] if not of_noun else []
        missing += [f"{noun} {verb}" for verb in verbs if not re.search(rf"[ |\\]{verb}\b", of_noun)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_is_typed_can_be_pasted(page: Path):
    """No prompt stands in front of a command: a shell would take it for one, and do nothing else."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert not [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_commands_and_settings_that_there_are(page: Path):
    """Whoever copies a line from a page is not told that there is no such thing."""
    text = page.read_text(encoding="utf-8")
    shown = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    unknown = {
        f"{noun} {verb}".strip()
        for noun, verb in COMMAND.findall(shown)
        if noun not in commands() or (verb and commands()[noun] and verb not in commands()[noun])
    }
    settings = {f"POSTROOM_{known.name.upper()}" for known in KNOWN}
    unknown |= set(SETTING.findall(text)) - settings - MISSPELT
    assert not unknown


def test_every_decision_is_listed_under_its_title():
    """`docs/adr/README.md` is the way in: a row for each page, in order, in the words of its first line."""
    pages = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    rows = [f"| [{page.name[:4]}]({page.name}) | {_title(page)} |" for page in pages]
    listed = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    assert [line for line in listed.splitlines() if line.startswith("| [")] == rows


def _title(page: Path) -> str:
    """What follows the number in ``# 0064: What is not there ends with 1``."""
    number, _, title = page.read_text(encoding="utf-8").partition("\n")[0].partition(": ")
    assert number == f"# {page.name[:4]}", f"{page.name} begins otherwise"
    return title
