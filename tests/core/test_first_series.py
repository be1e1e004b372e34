"""What is counted is told from its process's beginning, at 0, so that Prometheus sees the first as a rise."""

from __future__ import annotations

import asyncio
import urllib.request
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

import connectors.signals
from connectors.gateway import routes_of
from connectors.kafka_access import KafkaAccess
from connectors.postgres.line import Database
from connectors.stack import Stack
from postroom.composition import STAGES, load_rules_files
from postroom.config import Settings, load_settings
from postroom.first_series import (
    FIRST_COUNTED,
    Series,
    begin,
    canary_series,
    files_series,
    gateway_series,
    notify_series,
    onelogin_series,
    outbox_series,
    pay_series,
    sink_series,
    webhook_series,
    worker_series,
)
from postroom.metrics_page import PROCESSES, name_of
from postroom.outbox import RunningOutbox
from postroom.renewal import Renewal
from postroom.signals import DECLARED_IN, metrics_in, show_signals
from postroom.sink import RunningSink
from postroom.webhook import Sending
from processors import Keys, Rules
from processors.engine import metrics
from processors.outcomes import Denial
from tests.gateway_kit import claimant, rig
from tests.webhook_kit import ENDPOINT

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS, AGREEMENTS = load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")
AGREEMENT = "council-leeds-housing"
STACK = Stack(KafkaAccess("127.0.0.1:1"), "http://127.0.0.1:1", local=False)
DATABASE = Database("postgresql://nobody@127.0.0.1:1/nothing", "test")
EVERYTHING: list[Series] = [
    worker_series(STAGES, AGREEMENTS),
    gateway_series([("/events", "POST", 202), ("/obligations", "GET", 200)], AGREEMENTS),
    outbox_series("dwp", CONTRACTS),
    sink_series(AGREEMENT),
    webhook_series("york"),
    pay_series(["leeds-council-tax"]),
    onelogin_series(["driving-licence"]),
    notify_series(),
    canary_series(),
    files_series(["dwp-nightly"]),
]


def counted() -> dict[str, Counter | Histogram]:
    """Every counter and histogram that any process declares."""
    found = [each for _, module in PROCESSES for each in vars(module).values()]
    return {name_of(each): each for each in found if isinstance(each, Counter | Histogram)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a process on the project's own contracts, with a place of its own."""
    schemas = ROOT / "schemas"
    environ = {
        "POSTROOM_CONTRACTS": str(schemas),
        "POSTROOM_AGREEMENTS": str(schemas / "agreements"),
        "POSTROOM_STATE": str(tmp_path),
    }
    return load_settings(environ, tmp_path)


def told(name: str, **labels: str) -> float | None:
    """What a scrape would show now; None: nothing."""
    return REGISTRY.get_sample_value(name, labels)


def test_every_metric_begins_with_its_process_or_says_why_not():
    """A new counter or histogram is put into `first_series.py`, or named there with a reason."""
    begun = {name_of(metric) for series in EVERYTHING for metric in series}
    labelled = {name for name, metric in counted().items() if metric._labelnames}
    assert labelled - begun == FIRST_COUNTED.keys()
    assert all(len(why) > 20 for why in FIRST_COUNTED.values())


@pytest.mark.parametrize(
    "series",
    EVERYTHING,
    ids=["worker", "gateway", "outbox", "sink", "webhook", "pay", "onelogin", "notify", "canary", "files"],
)
def test_what_begins_is_told_at_0_and_counting_makes_no_other_series(series: Series):
    """Labels are as many as the metric has, are there once, and beginning again loses no count."""
    begin(series)
    for metric, labels in series.items():
        wanted = list(labels)
        assert wanted, name_of(metric)
        assert len(wanted) == len(set(wanted)), name_of(metric)
        name = name_of(metric) + ("_count" if isinstance(metric, Histogram) else "")
        for values in wanted:
            assert told(name, **dict(zip(metric._labelnames, values, strict=True))) is not None, (
                name,
                values,
            )


def test_a_count_survives_a_second_beginning():
    """Rules are renewed while a worker runs: what it has counted stays (V9)."""
    (metric,), name = sink_series("survives"), "postroom_sink_rows_total"
    begin(sink_series("survives"))
    metric.labels("survives", "deleted").inc(3)
    begin(sink_series("survives"))
    assert told(name, agreement="survives", change="deleted") == 3
    assert told(name, agreement="survives", change="upserted") == 0


def test_a_denial_by_consent_begins_only_where_consent_is_asked():
    """C6, C9: an agreement on another basis has no series that could never count."""
    reasons: dict[str, set[str]] = {}
    for agreement, _, reason in worker_series(STAGES, AGREEMENTS)[metrics.DECISIONS]:
        reasons.setdefault(agreement, set()).add(reason)
    for name, agreement in AGREEMENTS.items():
        assert (Denial.NO_CONSENT in reasons[name]) == (agreement.basis == "consent"), name
        assert Denial.ERROR in reasons[name]


def test_a_worker_begins_what_its_stages_count():
    """The first withdrawal after a start is in a rate (V7), and so is the first foreign record."""
    rules = Rules(CONTRACTS, AGREEMENTS, Keys(b"secret"))
    Renewal(("record",), rules, "taken", lambda: "taken", lambda in_force: in_force)
    assert told("postroom_withdrawal_to_retraction_seconds_count", stage="record") is not None
    assert told("postroom_withdrawal_to_retraction_seconds_bucket", stage="record", le="1.0") is not None
    assert told("postroom_foreign_records_total", stage="record") is not None
    denied = {"agreement": AGREEMENT, "outcome": "denied", "reason": "error"}
    assert told("postroom_decisions_total", **denied) is not None


def test_an_outbox_a_sink_and_webhooks_begin_before_anything_answers(settings: Settings):
    """Kafka and the database may be away: what is counted is told all the same."""
    RunningOutbox(settings, STACK, DATABASE, "dwp")
    RunningSink(settings, STACK, DATABASE, AGREEMENT)

    async def begin_webhooks() -> None:
        sending = Sending(settings, STACK)
        sending._courier(ENDPOINT)
        await sending._views.stop()

    asyncio.run(begin_webhooks())
    assert (
        told("postroom_outbox_published_total", owner="dwp", type="uk.gov.benefits.claimant.v1") is not None
    )
    assert told("postroom_sink_rows_total", agreement=AGREEMENT, change="deleted") is not None
    assert told("postroom_webhook_deliveries_total", endpoint=ENDPOINT.name, outcome="gone") is not None
    assert told("postroom_webhook_latency_seconds_count", endpoint=ENDPOINT.name) is not None


@pytest.mark.parametrize("process", DECLARED_IN)
def test_a_process_tells_nothing_of_another(process: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All metrics are loaded here, and those without labels would be told at once: a webhook process said of
    itself that it is a gateway which is not ready, and a worker's end would be told as webhooks' end.
    """
    monkeypatch.setattr("postroom.signals.kafka_problem", lambda _: "not asked")
    monkeypatch.setattr("postroom.signals.registry_problem", lambda _: "not asked")
    own = [*metrics_in(connectors.signals), *metrics_in(import_module(DECLARED_IN[process]))]
    signals = show_signals(process, load_settings({"POSTROOM_METRICS_PORT": "0"}, tmp_path), STACK, list)
    try:
        with urllib.request.urlopen(f"{signals.url}/metrics", timeout=60) as page:  # noqa: S310 - our own server
            families = list(text_string_to_metric_families(page.read().decode()))
    finally:
        signals.close()
    ours = {family.name for family in families if family.name.startswith("postroom_")}
    names = {next(iter(metric.describe())).name for metric in own}
    assert {name.removesuffix("_created") for name in ours} == names
    assert {"process_resident_memory_bytes", "python_info"} <= {family.name for family in families}


def test_a_gateway_counts_an_answer_where_it_has_begun(tmp_path: Path):
    """By the route as the code has it: what goes well is in no series that was not there before."""
    made = rig(tmp_path)
    series = gateway_series(routes_of(made.app), made.clients.read_agreements)
    begin(series)
    at = {"route": "/events", "method": "POST", "status": "202"}
    before = told("postroom_gateway_requests_total", **at)
    assert made.publish(claimant("first")).status_code == 202
    assert told("postroom_gateway_requests_total", **at) == (before or 0) + 1
    assert before is not None
    assert (
        told("postroom_gateway_requests_total", route="/obligations", method="GET", status="503") is not None
    )
    assert told("postroom_gateway_events_total", outcome="not-delivered") is not None
