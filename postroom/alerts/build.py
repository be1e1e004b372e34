"""The files that are made from the promises, whole: rules for Prometheus, routes for Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from postroom.alerts import burn
from postroom.alerts.burn import Rule
from postroom.alerts.durations import Clock
from postroom.alerts.promises import Alerting, Promises, Record, Watch

RULES = "prometheus/rules.yaml"
ALERTMANAGER = "alertmanager/alertmanager.yml"
MADE = "# Made by `postroom alerts build deploy` from deploy/slo.yaml, which is the one to change.\n"


def made(promises: Promises, scale: float = 1) -> dict[str, str]:
    """Return each file by its path within the directory; time runs ``scale`` times faster in them."""
    clock = Clock(scale)
    return {
        RULES: MADE + _yaml({"groups": list(_groups(promises, clock))}),
        ALERTMANAGER: MADE + _yaml(_alertmanager(promises, clock)),
    }


def _groups(promises: Promises, clock: Clock) -> Iterator[dict[str, Any]]:
    figures = [rule for record in promises.records for rule in _figures(record, clock)]
    yield {"name": "postroom-figures", "rules": figures}
    for promise in promises.promises:
        recording = list(burn.recording_rules(promise, promises.period, clock))
        alerting = list(burn.alerts(promise, promises, clock))
        # INVARIANT: one group, in this order, so that an alert sees the figures of its own evaluation.
        yield {"name": f"postroom-{promise.name}", "rules": recording + alerting}
    yield {
        "name": "postroom-watches",
        "rules": [_watch(watch, promises, clock) for watch in promises.watches],
    }


def _figures(record: Record, clock: Clock) -> Iterator[Rule]:
    expr = clock.fill(record.expr)
    if not record.each:
        yield {"record": record.record, "expr": expr}
    for label, values in record.each.items():
        for value in values:
            yield {
                "record": record.record,
                "expr": expr.replace("$each", value),
                "labels": {label: value},
            }


LINGER_MINUTES = 3
"""For so long a cause is told after it has ended, for what followed from it needs a moment to end too; and a
minute longer for each cause in a row among what it explains, which linger too, and would be told after it.
"""


def _watch(watch: Watch, promises: Promises, clock: Clock) -> Rule:
    return {
        "alert": watch.alert,
        "expr": clock.fill(watch.expr),
        "for": clock.fill(watch.wait),
        **_lingering(promises.follows(watch), clock),
        "labels": {"severity": watch.severity},
        "annotations": {
            "summary": watch.summary,
            "description": watch.description,
            "runbook": f"{promises.runbooks}/{watch.alert}.md",
        },
    }


def _lingering(follows: int, clock: Clock) -> dict[str, str]:
    return {"keep_firing_for": clock.duration(f"{LINGER_MINUTES + follows - 1}m")} if follows else {}


def _alertmanager(promises: Promises, clock: Clock) -> dict[str, Any]:
    def within(nominal: str) -> str:
        return clock.duration(nominal)

    grouped = {"group_by": ["alertname"], "group_wait": within("30s"), "group_interval": within("5m")}
    return {
        "route": {
            "receiver": "ticket",
            **grouped,
            "repeat_interval": within("1d"),
            "routes": [
                {
                    "receiver": "page",
                    "matchers": ['severity="page"'],
                    "group_interval": within("1m"),
                    "repeat_interval": within("4h"),
                }
            ],
        },
        "inhibit_rules": [_inhibition(each) for each in promises.alerting if each.explains],
        "receivers": [
            {"name": name, "webhook_configs": [{"url": url, "send_resolved": True}]}
            for name, url in sorted(promises.notify.items())
        ],
    }


def _inhibition(cause: Alerting) -> dict[str, Any]:
    """While a cause is told, what follows from it is not: one fault, one page."""
    return {
        "source_matchers": [f'alertname="{cause.alert}"', 'severity="page"'],
        "target_matchers": [f'alertname=~"{"|".join(cause.explains)}"'],
    }


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as a person would, and everything where it is used."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def _yaml(document: Any) -> str:
    return yaml.dump(document, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=110)
