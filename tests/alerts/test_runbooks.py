"""Runbooks: one page for each alert, and nothing in them that is not there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from postroom.alerts import RULES, load_promises
from tests.alerts.expressions import as_rules, exposed, recorded, unknown
from tests.alerts.promtool import run

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs/runbooks").glob("*.md"))
SECTIONS = ["What it means", "What to look at", "What to do", "How to know that it is over"]
CODE = re.compile(r"`([^`]+)`")
QUERY = re.compile(r"^(sum|max|min|time|histogram_quantile|up|process_|postroom[_:])(?!.*\.json)")
COMMAND = re.compile(r"^postroom ([a-z]+)(?: ([a-z]+))?")


def spans(page: Path) -> list[str]:
    return [" ".join(code.split()) for code in CODE.findall(page.read_text(encoding="utf-8"))]


def queries(page: Path) -> list[str]:
    return [code for code in spans(page) if QUERY.match(code)]


def test_alerts_and_pages_are_in_step():
    """Each alert has a page, and each page an alert."""
    alerts = {each.alert for each in load_promises(ROOT / "deploy/slo.yaml").alerting}
    assert {page.stem for page in PAGES} == alerts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_a_person_needs(page):
    """What it means, what to look at, what to do, how to know that it is over; in that order, none empty."""
    parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    assert parts[0].strip() == f"# {page.stem}"
    assert parts[1::2] == SECTIONS
    assert all(len(part.strip()) > 40 for part in parts[2::2])
    assert queries(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_is_there(page):
    """Metrics, labels, recorded figures, commands of `postroom`, other pages."""
    assert not [bad for query in queries(page) for bad in unknown(query, _known())]
    commands = {
        " ".join(filter(None, COMMAND.match(code).groups())) for code in spans(page) if COMMAND.match(code)
    }
    assert not {command for command in commands if not _exists(command)}
    linked = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert not [link for link in linked if not (page.parent / link).is_file()]


def test_prometheus_reads_every_query_of_the_pages(tmp_path):
    """A query that does not parse is no help at 3 a.m."""
    file = tmp_path / "queries.yaml"
    file.write_text(as_rules([query for page in PAGES for query in queries(page)]), encoding="utf-8")
    run("promtool", "check", "rules", file)


@cache
def _known() -> dict[str, set[str]]:
    """Every series of every process and of the rules, with its labels."""
    return exposed() | recorded(ROOT / "deploy" / RULES)


@cache
def _nouns() -> dict[str, Any]:
    """The command line by its nouns."""
    from typer.main import get_command

    from postroom.cli import build

    return getattr(get_command(build()), "commands", {})


def _exists(command: str) -> bool:
    """Whether the command line has it, by the names alone: `view AGREEMENT` has no verb."""
    noun, _, verb = command.partition(" ")
    found = _nouns().get(noun)
    inside = getattr(found, "commands", None)
    return found is not None and (inside is None or not verb or verb in inside)
