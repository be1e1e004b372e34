"""Boards for operators, as code: what each shows is here, how Grafana wants it is the foundation SDK's."""

from postroom.dashboards.board import Board, Panel, Query, Row, Variable
from postroom.dashboards.boards import boards

__all__ = ["Board", "Panel", "Query", "Row", "Variable", "boards"]
