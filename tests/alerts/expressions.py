"""What PromQL expressions use: a metric or a label that nobody exposes is found before an operator does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from postroom.metrics_page import every_metric

OF_A_SCRAPE = {"instance", "job"}
_NAME = re.compile(r"(?<![\w:\"$])(postroom[_:][a-zA-Z0-9_:]+|ALERTS|process_[a-z_]+)\s*(\{[^}]*\})?")
_MATCHER = re.compile(r"([a-zA-Z_]+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def exposed() -> dict[str, set[str]]:
    """Return every series that any process exposes by its name, with its labels."""
    series: dict[str, set[str]] = {"ALERTS": {"alertname", "alertstate", "severity", "promise"}}
    for of_the_client in ("process_resident_memory_bytes", "process_cpu_seconds_total"):
        series[of_the_client] = set(OF_A_SCRAPE)
    for metric in every_metric():
        labels = set(metric.labels) | OF_A_SCRAPE
        if metric.kind == "histogram":
            series |= {f"{metric.name}_bucket": labels | {"le"}}
            series |= {f"{metric.name}_{part}": labels for part in ("count", "sum")}
        else:
            series[metric.name] = labels
    return series


def recorded(rules: Path) -> dict[str, set[str]]:
    """Return every series that the rules record; each has the labels that it is given or grouped by."""
    series: dict[str, set[str]] = {}
    for rule in rules_in(rules):
        if "record" in rule:
            found = set(rule.get("labels", {})) | set(groupings(rule["expr"]))
            series[rule["record"]] = series.get(rule["record"], set()) | found
    return series


def rules_in(file: Path) -> list[dict[str, Any]]:
    """Return the rules of a file, whatever their group."""
    groups = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def groupings(expr: str) -> Iterator[str]:
    """Yield the labels by which an expression groups or joins."""
    for found in _GROUPING.finditer(expr):
        yield from (label.strip() for label in found[1].split(",") if label.strip())


def unknown(expr: str, known: dict[str, set[str]]) -> Iterator[str]:
    """Yield each name and each label in an expression that nobody exposes."""
    names: set[str] = set()
    for found in _NAME.finditer(expr):
        name, matchers = found[1], found[2] or ""
        names.add(name)
        if name not in known:
            yield name
            continue
        yield from (f"{name}: {label}" for label in _MATCHER.findall(matchers) if label not in known[name])
    allowed = OF_A_SCRAPE.union(*(known.get(name, set()) for name in names))
    yield from (f"{sorted(names)}: {label}" for label in groupings(expr) if label not in allowed)


def as_rules(expressions: Iterable[str]) -> str:
    """Return expressions as a file that `promtool check rules` parses."""
    rules = [{"record": f"looked_at:{n}", "expr": expr} for n, expr in enumerate(expressions)]
    return yaml.safe_dump({"groups": [{"name": "looked-at", "rules": rules}]})
