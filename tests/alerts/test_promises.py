"""Promises as code: what is committed is what the promises say, and no name in it is made up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from postroom.alerts import RULES, load_promises, made
from postroom.alerts.durations import Clock, seconds
from postroom.cli import run
from postroom.errors import UserError
from postroom.made_files import differences, with_sums
from postroom.metrics_page import every_metric
from tests.alerts.expressions import exposed, recorded, rules_in, unknown

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SLO = DEPLOY / "slo.yaml"
IN_A_TEXT = re.compile(r"\$labels\.(\w+)")


def test_what_is_committed_is_what_the_promises_say():
    """`postroom alerts build deploy` would change nothing."""
    assert not list(differences(with_sums(made(load_promises(SLO))), DEPLOY))


def test_rules_use_what_processes_expose():
    """Every metric and label in a rule is in the catalogue, or recorded by a rule."""
    known = exposed() | recorded(DEPLOY / RULES)
    assert not [bad for rule in rules_in(DEPLOY / RULES) for bad in unknown(rule["expr"], known)]


def test_a_name_that_is_made_up_is_found():
    """The check above can fail: on a metric, on a label in braces, on a label to group by."""
    known = exposed()
    assert list(unknown("sum(postroom_nothing_total)", known)) == ["postroom_nothing_total"]
    assert list(unknown('postroom_ready{person="x"}', known)) == ["postroom_ready: person"]
    assert list(unknown("sum by (person) (postroom_ready)", known)) == ["['postroom_ready']: person"]


def test_a_cause_outlives_what_it_explains():
    """What it holds back lingers itself: told when the cause is gone, one fault would page twice."""
    promises = load_promises(SLO)
    lasts = {
        rule["alert"]: seconds(rule.get("keep_firing_for", "0s"))
        for rule in rules_in(DEPLOY / RULES)
        if "alert" in rule
    }
    pairs = [(watch.alert, name) for watch in promises.watches for name in watch.explains]
    assert len(pairs) > 20
    assert not [(cause, name) for cause, name in pairs if lasts[cause] < lasts.get(name, 0) + 60]


def test_a_bound_of_a_promise_is_a_bound_of_its_histogram():
    """Between two bounds a histogram cannot say how many kept the promise."""
    bounds = {metric.name: metric.bounds for metric in every_metric()}
    measured = [each.histogram for each in load_promises(SLO).promises if each.histogram is not None]
    assert measured
    assert not [each for each in measured if each.within_s not in bounds[each.metric]]


def test_texts_name_only_labels_that_their_alert_has():
    """A text with a label that is gone says `<no value>` at 3 a.m."""
    known = exposed() | recorded(DEPLOY / RULES)
    for rule in rules_in(DEPLOY / RULES):
        for text in rule.get("annotations", {}).values():
            for label in IN_A_TEXT.findall(text):
                grouped = re.findall(r"by \(([^)]*)\)", rule["expr"])
                kept = {each.strip() for labels in grouped for each in labels.split(",")}
                bare = set.union(set(), *(labels for name, labels in known.items() if name in rule["expr"]))
                assert label in (kept or bare) | {"instance", "job"}, (rule["alert"], label)


def test_every_promise_of_the_design_is_watched():
    """V6, V7 and V8 each have an alert, and each alert says what it means and where to read on."""
    promises = load_promises(SLO)
    told = " ".join(f"{each.rule} {each.says}" for each in promises.promises)
    told += " ".join(each.description for each in promises.watches)
    assert all(rule in told for rule in ("V6", "V7", "V8"))
    for rule in rules_in(DEPLOY / RULES):
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert set(rule["annotations"]) == {"summary", "description", "runbook"}


def test_time_runs_faster_in_every_duration():
    """A test's rules are the same templates, with every window, wait and threshold divided alike."""
    assert Clock(60).fill("rate(x[$5m]) > $2m_s") == "rate(x[5000ms]) > 2"
    assert Clock().fill("rate(x[$5m]) > $2m_s") == "rate(x[5m]) > 120"
    fast = made(load_promises(SLO), 12)[RULES]
    assert "[5m]" not in fast
    assert "[25000ms]" in fast
    assert _names(fast) == _names(made(load_promises(SLO))[RULES])


def _names(text):
    groups = yaml.safe_load(text)["groups"]
    return [rule.get("alert") or rule["record"] for group in groups for rule in group["rules"]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"objective": 1.5}, "objective"),
        ({"objective": 0.93}, "cannot burn"),
        ({"ratio": {"bad": "a", "total": "b"}}, "exactly one of"),
        ({"alert": "Other"}, "alert"),
        ({"explains": ["PostroomNothing"]}, "cannot explain"),
        ({"explains": ["PostroomIntakeStale"]}, "explains itself"),
        ({"wat": 1}, "wat"),
    ],
)
def test_a_promise_that_cannot_be_kept_track_of_is_refused(tmp_path, change, problem):
    """The file is checked before any rule is made of it, and the field is named."""
    written = yaml.safe_load(SLO.read_text(encoding="utf-8"))
    written["promises"][0] |= change
    file = tmp_path / "slo.yaml"
    file.write_text(yaml.safe_dump(written), encoding="utf-8")
    with pytest.raises(UserError) as raised:
        made(load_promises(file))
    assert problem in f"{raised.value} {raised.value.why}"


def test_a_duration_is_read_or_refused():
    """Only what Prometheus reads too."""
    assert seconds("90s") == 90
    assert seconds("28d") == 28 * 86_400
    with pytest.raises(ValueError, match="is not a duration"):
        seconds("5 minutes")


def test_the_command_makes_and_checks(tmp_path, capsys):
    """Exit 0 when in step, 1 when a file was changed by hand, 2 when the promises are wrong."""
    (tmp_path / "slo.yaml").write_bytes(SLO.read_bytes())
    assert run(["alerts", "build", str(tmp_path)]) == 0
    assert run(["alerts", "check", str(tmp_path)]) == 0
    (tmp_path / RULES).write_text("groups: []\n", encoding="utf-8")
    assert run(["alerts", "check", str(tmp_path), "-o", "jsonl"]) == 1
    assert '"changed"' in capsys.readouterr().out
    (tmp_path / "slo.yaml").write_text("promises: []\n", encoding="utf-8")
    assert run(["alerts", "check", str(tmp_path)]) == 2
