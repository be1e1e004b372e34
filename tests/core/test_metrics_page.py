"""The catalogue of metrics is what the code declares, and no label in it can name a person."""

import re
from pathlib import Path

import pytest

from postroom.metrics_page import LABELS, METRICS_PAGE, every_metric, metrics_page

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / METRICS_PAGE).read_text(encoding="utf-8")
BASE_UNITS = ("_total", "_seconds", "_bytes", "_ratio", "_info")
COUNTS = (  # of things that have no unit
    *("records", "batch_records", "records_incomplete", "group_lag_records", "lag_records"),
    *("ready", "gateway_ready", "tasks", "sweeping", "sweep_keys_done", "state_keys", "reachable"),
    *("held_events", "annulments_unmatched", "disputes_open", "obligations_open", "obligations_overdue"),
    *("outbox_rows", "outbox_database_reachable"),
    *("sink_behind_records", "sink_reading_anew", "sink_database_reachable"),
    *("files_waiting",),
    *("webhook_parked", "webhook_owed", "webhook_file_refused"),
    *("dead_letters_open", "dead_letters_closed", "notify_standing"),
)


def test_the_page_is_in_step_with_the_code():
    """`python -m postroom.pages` writes it anew."""
    assert metrics_page(PAGE) == PAGE


def test_every_metric_is_on_the_page_and_the_page_names_no_other():
    """An operator who reads of a metric finds it, prose and queries included."""
    names = {metric.name for metric in every_metric()}
    suffixed = {name + end for name in names for end in ("_bucket", "_sum", "_count")}
    assert set(re.findall(r"\bpostroom_[a-z_]*[a-z]\b", PAGE)) <= names | suffixed
    assert names <= set(re.findall(r"`(postroom_[a-z_]+)`", PAGE))


@pytest.mark.parametrize("metric", every_metric(), ids=lambda metric: metric.name)
def test_every_label_has_a_bound_that_is_written_down(metric):
    """A label that a person or an event fills would be a leak, and one without bounds an outage."""
    assert set(metric.labels) <= LABELS.keys()


def test_every_label_that_is_explained_exists():
    """The table of bounds holds no label that nothing has."""
    assert LABELS.keys() == {label for metric in every_metric() for label in metric.labels}


@pytest.mark.parametrize("metric", every_metric(), ids=lambda metric: metric.name)
def test_a_name_ends_in_its_base_unit(metric):
    """Seconds and bytes, never milliseconds; a counter ends in total; a count of things says which."""
    name = metric.name.removeprefix("postroom_")
    assert name != metric.name
    assert (metric.kind == "counter") == name.endswith("_total")
    assert name.endswith(BASE_UNITS) or name in COUNTS
    assert metric.meaning.endswith(".")
    assert "|" not in metric.meaning
