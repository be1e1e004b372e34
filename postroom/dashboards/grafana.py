"""Boards as Grafana takes them, built with its foundation SDK; in its own file, because few need the SDK."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold

from postroom.dashboards.board import Board, Panel, Variable

HEIGHT = 8
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
BUILDERS: Mapping[str, Any] = {"timeseries": timeseries.Panel, "stat": stat.Panel, "table": table.Panel}


def as_json(board: Board) -> str:
    """Return a board as the file that Grafana provisions."""
    register_default_plugins()
    written = json.loads(JSONEncoder().encode(_built(board)))
    # Once through the model: it fills in defaults of panels, so that what is committed is what it reads.
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard.Dashboard.from_json(written)) + "\n"


def _built(board: Board) -> dashboard.Dashboard:
    built = (
        dashboard_builders.Dashboard(board.title)
        .uid(board.uid)
        .description(board.says)
        .tags(["postroom"])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard_builders.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .link(
            dashboard_builders.DashboardLink("Postroom")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["postroom"])
            .as_dropdown(True)
            .keep_time(True)
        )
    )
    for variable in board.variables:
        built = built.with_variable(_variable(variable))
    ids = itertools.count(1)
    for row in board.rows:
        built = built.with_row(dashboard_builders.Row(row.title).id(next(ids)))
        for panel in row.panels:
            built = built.with_panel(_panel(panel).id(next(ids)))
    return built.build()


def _variable(variable: Variable) -> Any:
    if variable.choices:
        values = ",".join(f"{name} : {value}" for name, value in variable.choices)
        return dashboard_builders.CustomVariable(variable.name).label(variable.label).values(values)
    return (
        dashboard_builders.QueryVariable(variable.name)
        .label(variable.label)
        .query(f"label_values({variable.metric}, {variable.name})")
        .datasource(SOURCE)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )


def _panel(panel: Panel) -> Any:
    built = (
        BUILDERS[panel.kind]()
        .title(panel.title)
        .description(panel.why)
        .datasource(SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(HEIGHT)
        .thresholds(_thresholds(panel))
    )
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number))
        if query.legend:
            target = target.legend_format(query.legend)
        if panel.kind == "table":
            target = target.format(prometheus_models.PromQueryFormat.TABLE).instant()
        built = built.with_target(target)
    if panel.kind == "timeseries":
        built = _lines(built, panel)
    return built


def _lines(built: Any, panel: Panel) -> Any:
    built = built.min(0).legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    if panel.stacked:
        built = built.fill_opacity(30).stacking(
            common_builders.StackingConfig().mode(common.StackingMode.NORMAL)
        )
    if panel.red_from is not None:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.LINE)
        built = built.thresholds_style(style)
    return built


def _thresholds(panel: Panel) -> Any:
    steps = [Threshold(value=None, color="green")]
    if panel.red_below is not None:
        steps = [Threshold(value=None, color="red"), Threshold(value=panel.red_below, color="green")]
    if panel.red_from is not None:
        steps.append(Threshold(value=panel.red_from, color="red"))
    return dashboard_builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)
