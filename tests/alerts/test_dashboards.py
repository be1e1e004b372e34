"""Boards: committed as the code says, read by Grafana's own model, and no expression is made up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from postroom.alerts import RULES
from postroom.composition import load_rules_files
from postroom.dashboards import boards
from postroom.dashboards.board import Board, Panel
from postroom.dashboards.grafana import as_json
from postroom.made_files import differences, with_sums
from postroom.metrics_page import every_metric
from tests.alerts.expressions import as_rules, exposed, recorded, rules_in, unknown
from tests.alerts.promtool import run

ROOT = Path(__file__).resolve().parents[2]
WHERE = ROOT / "deploy/grafana/dashboards"
CONTRACTS, _ = load_rules_files(ROOT / "schemas", ROOT / "schemas/agreements")
BOARDS = boards(CONTRACTS)
FILES = sorted(WHERE.glob("*.json"))
LEGEND = re.compile(r"\{\{(\w+)\}\}")
CHOSEN = re.compile(r"\$(?:\w+)")


def panels(board: Board) -> list[Panel]:
    return [panel for row in board.rows for panel in row.panels]


def expressions(board: Board) -> list[str]:
    """Every expression, with a window and a choice put in as Grafana would."""
    found = [query.expr for panel in panels(board) for query in panel.queries]
    return [CHOSEN.sub("x", expr.replace("$__rate_interval", "1m")) for expr in found]


def test_what_is_committed_is_what_the_code_says():
    """`postroom dashboards build deploy/grafana/dashboards` would change nothing."""
    made = with_sums({f"{board.uid}.json": as_json(board) for board in BOARDS})
    assert not list(differences(made, WHERE))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_grafanas_own_model_reads_what_is_committed(file):
    """The SDK's model of Grafana takes the file and gives it back: no field that it does not know."""
    register_default_plugins()
    written = json.loads(file.read_text(encoding="utf-8"))
    again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(written)))
    assert again == written


def test_the_model_drops_what_grafana_does_not_know():
    """The check above can fail: a field that is made up does not come back."""
    written = json.loads(FILES[0].read_text(encoding="utf-8")) | {"made_up": 1}
    assert json.loads(JSONEncoder().encode(Dashboard.from_json(written))) != written


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_board_uses_what_processes_expose(board):
    """Each metric and label is in the catalogue or recorded by a rule, in legends too."""
    known = exposed() | recorded(ROOT / "deploy" / RULES)
    assert not [bad for expr in expressions(board) for bad in unknown(expr, known)]
    for panel in panels(board):
        for query in panel.queries:
            for label in LEGEND.findall(query.legend):
                assert label in query.expr or any(
                    label in labels for name, labels in known.items() if name in query.expr
                ), (panel.title, label)


def test_prometheus_reads_every_expression_of_every_board(tmp_path):
    """Parsed by Prometheus's own parser."""
    file = tmp_path / "boards.yaml"
    file.write_text(as_rules([expr for board in BOARDS for expr in expressions(board)]), encoding="utf-8")
    run("promtool", "check", "rules", file)


def test_every_metric_is_on_a_board():
    """What a process tells and nobody shows is not looked at."""
    shown = " ".join(expr for board in BOARDS for expr in expressions(board))
    shown += " ".join(
        rule["expr"] for rule in rules_in(ROOT / "deploy" / RULES) if rule.get("record", "-") in shown
    )
    assert not [metric.name for metric in every_metric() if metric.name not in shown]


def test_every_publisher_finds_its_own_events():
    """Each owner of a contract is a choice of the board, and stands for its types and no others."""
    board = next(board for board in BOARDS if board.uid == "postroom-departments")
    (variable,) = board.variables
    for owner, matches in variable.choices:
        its = {type_ for type_, contract in CONTRACTS.by_type.items() if owner in contract.owners}
        assert its == {type_ for type_ in CONTRACTS.by_type if re.fullmatch(matches, type_)}
    owners = {owner for contract in CONTRACTS.by_type.values() for owner in contract.owners}
    assert owners == {owner for owner, _ in variable.choices}
    assert "," not in "".join(matches for _, matches in variable.choices)  # Grafana divides choices there


def test_panels_lie_side_by_side_and_none_is_alone_without_a_word():
    """Ids are there once, widths fill rows, and every panel says what it tells."""
    for board in BOARDS:
        assert len({panel.title for row in board.rows for panel in row.panels}) > 3
        assert all(len(panel.why) > 3 and panel.queries for panel in panels(board))
    for file in FILES:
        ids = [panel["id"] for panel in _flat(json.loads(file.read_text(encoding="utf-8"))["panels"])]
        assert len(ids) == len(set(ids))


def _flat(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for panel in found for each in (panel, *_flat(panel.get("panels", [])))]
