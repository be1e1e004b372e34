"""The alerts on Prometheus's own evaluator: each fires when it must, and not when something is near it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from postroom.alerts import ALERTMANAGER, RULES
from postroom.metrics_page import LABELS
from tests.alerts.promtool import as_test, looks, run

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
WRITTEN = yaml.load(
    (Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"),
    yaml.BaseLoader,  # noqa: S506 - it makes texts only, of +1 too, which is a number to the safe loader
)
CASES = WRITTEN["cases"]


def test_prometheus_takes_the_rules():
    """Promtool reads every rule and every template in it."""
    assert "SUCCESS" in run("promtool", "check", "rules", DEPLOY / RULES)


def test_prometheus_takes_the_configuration_that_scrapes():
    """Promtool reads it with the rules beside it; its jobs are those that rules name."""
    file = DEPLOY / "prometheus/prometheus.yml"
    assert "SUCCESS" in run("promtool", "check", "config", file)
    jobs = {job["job_name"] for job in yaml.safe_load(file.read_text(encoding="utf-8"))["scrape_configs"]}
    named = set(re.findall(r'job="([^"]+)"', (DEPLOY / RULES).read_text(encoding="utf-8")))
    assert named
    assert named <= jobs
    processes = re.findall(r"`([a-z]+)`", LABELS["process"])
    assert jobs == {f"postroom-{process}" for process in processes}, "every kind of process is watched"


def test_alertmanager_takes_its_configuration():
    """Amtool reads routes, inhibitions and receivers."""
    assert "SUCCESS" in run("amtool", "check-config", DEPLOY / ALERTMANAGER)


@pytest.mark.parametrize("case", CASES, ids=[case["says"] for case in CASES])
def test_what_fires_is_what_must_and_nothing_else(case, tmp_path):
    """A case lists all alerts that fire, so it also shows that no other does."""
    file = tmp_path / "case.yaml"
    file.write_text(as_test(DEPLOY / RULES, case, WRITTEN["well"]), encoding="utf-8")
    run("promtool", "test", "rules", file)


def test_every_alert_is_shown_firing_and_shown_not_firing():
    """No alert without a case for it, at each of its severities, and a near miss."""
    rules = yaml.safe_load((DEPLOY / RULES).read_text(encoding="utf-8"))
    wanted = {
        f"{rule['alert']} {rule['labels']['severity']}"
        for group in rules["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    fired = {fired for case in CASES for look in looks(case) for fired in look.get("fires", ())}
    assert fired == wanted
    near = {case["near"] for case in CASES if "near" in case}
    assert near == {each.split()[0] for each in wanted}


def test_the_evaluator_tells_an_alert_that_should_not_fire(tmp_path):
    """The proof can fail: a case that claims nothing fires, while something does, is refused."""
    lying = next(case for case in CASES if case.get("fires")) | {"fires": []}
    file = tmp_path / "case.yaml"
    file.write_text(as_test(DEPLOY / RULES, lying, WRITTEN["well"]), encoding="utf-8")
    with pytest.raises(AssertionError, match="PostroomRetractionsLate"):
        run("promtool", "test", "rules", file)
