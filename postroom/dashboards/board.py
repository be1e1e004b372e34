"""What a board is made of, without a word of Grafana's: rows of panels, each with queries and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "table"]


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what a line of it is called (`{{label}}` is the label's value)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. ``why`` is shown beside the title: what it tells, and what is good."""

    title: str
    why: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    red_from: float | None = None
    """From where on it is bad; the line is drawn."""
    red_below: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """What the reader chooses: values of a label of a metric, or fixed ones by their names."""

    name: str
    label: str
    metric: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    says: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()


def line(title: str, why: str, expr: str, legend: str = "", unit: str = "short", **more: object) -> Panel:
    """Return a panel with one query."""
    return Panel(title, why, (Query(expr, legend),), unit, **more)  # type: ignore[arg-type]  # its own fields


def quantiles(title: str, why: str, histogram: str, by: str = "", **more: object) -> Panel:
    """Return a panel with the median, the 95th and the 99th of a histogram; ``histogram`` may select."""
    name, brace, rest = histogram.partition("{")
    over = f"{name}_bucket{brace}{rest}[$__rate_interval]"
    kept = f"le, {by}" if by else "le"
    named = f" {{{{{by}}}}}" if by else ""
    queries = tuple(
        Query(f"histogram_quantile(0.{of}, sum by ({kept}) (rate({over})))", f"{of} of 100{named}")
        for of in ("50", "95", "99")
    )
    return Panel(title, why, queries, "s", **more)  # type: ignore[arg-type]  # as above
