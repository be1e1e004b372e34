"""Cases as promtool takes them: what happens to each series, and what must then fire."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from postroom.alerts.durations import seconds
from tests.programs import program

PACKAGES = "prometheus prometheus-alertmanager"
FIRING = 'group by (alertname, severity) (ALERTS{alertstate="firing"})'


def tool(name: str) -> str:
    """Return where a program of the two packages is."""
    return program(name, PACKAGES)


def run(name: str, *arguments: str | Path) -> str:
    """Run a program of the package and return what it said; it must succeed."""
    done = subprocess.run(
        [tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def as_test(rules: Path, case: dict[str, Any], well: dict[str, Any]) -> str:
    """Return a case as a file for `promtool test rules`."""
    every_s = seconds(case.get("every", "30s"))
    last_s = max(seconds(look["at"]) for look in looks(case))
    series = [
        {"series": name, "values": values(str(told), every_s, last_s)}
        for name, told in (well | case.get("instead", {})).items()
    ]
    expected = [
        {
            "expr": FIRING,
            "eval_time": look["at"],
            "exp_samples": [_sample(fired) for fired in look.get("fires", ())],
        }
        for look in looks(case)
    ]
    test = {"interval": f"{every_s}s", "input_series": series, "promql_expr_test": expected}
    return yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": f"{every_s}s", "tests": [test]})


def looks(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the moments at which a case is looked at, with what must fire then."""
    return [case, *([case["then"]] if "then" in case else [])]


def values(told: str, every_s: int, last_s: int) -> str:
    """Return a series in promtool's notation, one value for each interval up to the last moment."""
    segments, once = [], []
    for words in (part.split() for part in told.split(";")):
        once.append((words[0], seconds(words[2]) if len(words) > 1 else None))
    if once[-1][0] == "repeated":
        once.pop()
        period_s = once[-1][1] or last_s
        segments = [
            (word, (until or 0) + lap * period_s)
            for lap in range(last_s // period_s + 1)
            for word, until in once
        ]
    else:
        segments = [(word, last_s if until is None else until) for word, until in once]
    written: list[str] = []
    current, at_s = 0.0, 0
    for word, until_s in segments:
        while at_s <= last_s and (at_s < until_s or until_s >= last_s):
            if word in ("none", "stale"):
                written.append("_" if word == "none" else "stale")
            elif word.startswith("+"):
                written.append(f"{current:g}")
                current += float(word) * every_s
            else:
                current = float(word)
                written.append(word)
            at_s += every_s
        if not word.startswith("+") and word not in ("none", "stale"):
            current = float(word)
    return " ".join(written)


def _sample(fired: str) -> dict[str, Any]:
    name, severity = fired.split()
    return {"labels": f'{{alertname="{name}", severity="{severity}"}}', "value": 1}
