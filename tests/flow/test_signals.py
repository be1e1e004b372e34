"""What operators see of a real run: load, bad input, a withdrawal, a dead worker, and nobody's data anywhere.

One story in order: a worker and a gateway begin, synthetic citizens live, some of it is rubbish, somebody
withdraws, the canary watches, the worker is killed and comes back.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from connectors.kafka_reader import TopicReader
from postroom.canary.round import AGREEMENT
from postroom.composition import STAGES, make_stage
from postroom.config import Settings
from postroom.first_series import canary_series, gateway_series, worker_series
from postroom.metrics_page import every_metric
from postroom.topics import changelog
from processors import DEAD_LETTERS_TOPIC, REPORTS_TOPIC, Keys, Rules
from processors.engine.changelog import TASK_KEY, body_of
from processors.outcomes import Denial, Dispute, Rejection
from producers import lives, synthetic
from tests.flow.spine import COMMAND, ROOT, SHELL, STRUCTURED, Installation, decided, installation, now_ms
from tests.flow.spine import registered as known
from tests.flow.test_gateway import Gateway
from tests.flow.watched import PATIENCE_S, Scraped, Watched, not_told, ready, total

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]
CITIZENS = 25
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Installation]:
    """An installation; its workers begin within the tests."""
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as made:
        made.environ |= {"POSTROOM_METRICS_PORT": "0"}
        yield made


@pytest.fixture(scope="module")
def spans(own: Installation) -> Iterator[list[bytes]]:
    """What a collector of traces has been sent, by everything that begins from here on."""
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own.environ |= {"POSTROOM_TRACES_URL": f"http://127.0.0.1:{server.server_port}/v1/traces"}
    yield bodies
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def worker(own: Installation) -> Watched:
    """The worker of all stages."""
    return Watched(own, "a.log")


@pytest.fixture(scope="module")
def people() -> list[bytes]:
    """The lives of some synthetic citizens, as lines."""
    return [json.dumps(event).encode() for event in lives(11, CITIZENS, now_ms() - HOUR_MS)]


def secrets(people: list[bytes]) -> set[str]:
    """All that names one of them: every text of an identifier, a name or a place in what they published."""
    found: set[str] = set()
    telling = re.compile(
        r'"(?:[a-z_]*number|nino|utr|account|subject|other|sub|given_names|family_name|postcode|uprn|lines|'
        r'nhs|driver|passport)": (?:"([^"]+)"|\[([^\]]*)\])'
    )
    for line in people:
        for text, several in telling.findall(line.decode()):
            found.update([text] if text else re.findall(r'"([^"]+)"', several))
    # Shorter ones, and short numbers, stand in a log by chance.
    parts = {part for text in found for part in (text, text.rpartition(":")[2])}
    return {part for part in parts if len(part) > (7 if part.isdigit() else 3)}


def rubbish(people: list[bytes]) -> list[bytes]:
    """The same lives spoilt in every way, with everything that names them still inside."""
    spoils: tuple[Callable[[bytes], bytes], ...] = (
        lambda line: line[:-2],
        lambda line: line.replace(b'"source": "urn:gov:', b'"source": "urn:gov:x', 1),
        lambda line: re.sub(rb'"type": "uk\.gov\.[a-z-]+', b'"type": "uk.gov.nothing', line, count=1),
        lambda line: line.replace(b'"data": {', b'"data": {"surplus": 1, ', 1),
        lambda line: re.sub(rb'"time": "\d{4}', b'"time": "2090', line, count=1),
        lambda line: re.sub(rb'"time": "\d{4}', b'"time": "1990', line, count=1),
        lambda line: re.sub(rb'"(nino|nhs_number)": "[^"]{5}', rb'"\1": "00000', line, count=1),
    )
    return [spoils[number % len(spoils)](line) for number, line in enumerate(people)]


def test_a_worker_is_ready_once_its_tasks_are_open_and_not_before(
    own: Installation, worker: Watched, spans: list[bytes]
):
    """`/health/ready` refuses while there is nothing open, `/health/live` does not; then metrics say so."""
    own.start("a", SHELL)
    url = worker.url()
    assert ready(url) == 503
    assert not not_told(worker.scrape(url), worker_series(STAGES, own.agreements)), "before it works"
    assert httpx.get(f"{url}/health/live", trust_env=False).status_code == 200
    worker.until(url, lambda _: ready(url) == 200)
    scraped = worker.scrape(url)  # after it said that it is ready: the page before may be older
    for stage in STAGES:
        assert total(scraped, "postroom_ready", stage=stage) == 1, stage
        assert total(scraped, "postroom_rebalances_total", stage=stage) >= 1
    assert total(scraped, "postroom_tasks") == 4 * 3 + 1
    assert total(scraped, "postroom_build_info", process="worker") == 1
    worker.until(url, lambda seen: total(seen, "postroom_reachable") == 2)


def test_load_rubbish_and_a_withdrawal_feed_the_metrics(
    own: Installation, worker: Watched, people: list[bytes]
):
    """Events, transactions, states, decisions, views, dead letters, and how long a withdrawal took."""
    url, nhs, then = worker.url(), synthetic.nhs_number(230_001), now_ms() - HOUR_MS
    own.publish([*people, known(nhs, then), decided(nhs, "GRANTED", then)])
    own.produce_structured(rubbish(people))
    own.produce("uk.gov.civil.death.v1", None, STRUCTURED)
    own.settle()
    own.publish([decided(nhs, "WITHDRAWN", now_ms())])
    seen = worker.until(url, lambda seen: total(seen, "postroom_withdrawal_to_retraction_seconds_count") >= 1)
    own.settle()
    seen = worker.until(url, lambda seen: total(seen, "postroom_lag_records") == 0)

    assert total(seen, "postroom_events_total", stage="intake", outcome="accepted") >= len(people) + 3
    letters = own.documents(DEAD_LETTERS_TOPIC)
    assert total(seen, "postroom_dead_letters_total") == len(letters) > len(people) / 2
    for reason, count in Counter(letter["reason"] for letter in letters).items():
        assert total(seen, "postroom_dead_letters_total", reason=reason) == count
    views = [r for records in own.view_records().values() for r in records]
    assert total(seen, "postroom_views_total", change="written") == sum(r.value is not None for r in views)
    assert total(seen, "postroom_views_total", change="retracted") == sum(r.value is None for r in views) > 0
    assert total(seen, "postroom_decisions_total", outcome="permitted") > 0
    assert total(seen, "postroom_decisions_total", reason="no-consent") > 0
    assert total(seen, "postroom_obligations_open", subscriber="council-york") >= 1
    for stage in STAGES[:4]:
        assert total(seen, "postroom_records_total", stage=stage) > 0, stage
        assert total(seen, "postroom_transactions_total", stage=stage, result="committed") > 0
        assert total(seen, "postroom_batch_records_sum", stage=stage) > 0
        assert total(seen, "postroom_transaction_seconds_sum", stage=stage) > 0
        assert total(seen, "postroom_lag_seconds", stage=stage) == 0
    assert total(seen, "postroom_end_to_end_seconds_count") > 0
    assert total(seen, "postroom_held_events") == 0, "everything was answered"


def test_an_event_that_is_traced_can_be_followed_to_its_view(
    own: Installation, people: list[bytes], spans: list[bytes]
):
    """V3: a span at intake and one for its view, children of the department's; of nobody else's events."""
    trace, nhs, then = "0af7651916cd43dd8448eb211c80319c", synthetic.nhs_number(230_002), now_ms() - HOUR_MS
    carried = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    granted = json.dumps(json.loads(decided(nhs, "GRANTED", then)) | carried).encode()
    own.publish([known(nhs, then), granted])
    end, found = time.monotonic() + PATIENCE_S, []
    while {name for name, _ in found} != {"intake accepted", "record view"}:
        assert time.monotonic() < end, found
        time.sleep(0.2)
        told = [span for body in spans for span in spans_in(body)]
        found = [(span.name, span.trace_id.hex()) for span in told]
    assert {of for _, of in found} == {trace}
    everything = b"".join(spans)
    assert not [text for text in {*secrets(people), nhs} if text.encode() in everything]


def spans_in(body: bytes) -> list[Span]:
    """The spans of one request to a collector."""
    resources = ExportTraceServiceRequest.FromString(body).resource_spans
    return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]


def recounted(own: Installation) -> Counter[tuple[str, str]]:
    """What the states in the changelogs hold, by stage and name: another way to the same figures."""
    rules = Rules(own.contracts, own.agreements, Keys(b"spine"))
    found: Counter[tuple[str, str]] = Counter()
    for name in STAGES:
        stage = make_stage(name, rules)
        for key, record in TopicReader(own.stack.access).latest(changelog(name)).items():
            if key != TASK_KEY and record.value is not None:
                body = body_of(record.value)
                for tally, count in stage.tally(key, body).items():
                    found[name, tally.partition("/")[0]] += count
                found[name, "keys"] += 1
                found[name, "bytes"] += len(body)
    return +found


def state_gauges(seen: Scraped) -> Counter[tuple[str, str]]:
    """The same, as the worker tells it."""
    found: Counter[tuple[str, str]] = Counter()
    for stage in STAGES:
        found[stage, "keys"] = int(total(seen, "postroom_state_keys", stage=stage))
        found[stage, "bytes"] = int(total(seen, "postroom_state_bytes", stage=stage))
    found["identity", "held"] = int(total(seen, "postroom_held_events"))
    found["identity", "unmatched"] = int(total(seen, "postroom_annulments_unmatched"))
    found["persons", "disputed"] = int(total(seen, "postroom_disputes_open"))
    found["record", "incomplete"] = int(total(seen, "postroom_records_incomplete"))
    found["obligations", "open"] = int(total(seen, "postroom_obligations_open"))
    found["obligations", "overdue"] = int(total(seen, "postroom_obligations_overdue"))
    return +found


def test_gauges_of_state_are_a_recount_also_after_a_kill_and_a_lost_store(own: Installation, worker: Watched):
    """Nothing has to be looked at to know them, and nothing but the changelog to have them again."""
    wanted = recounted(own)
    assert wanted["record", "keys"] > CITIZENS / 2
    assert wanted["obligations", "open"] > 0
    url = worker.url()
    seen = worker.until(url, lambda seen: state_gauges(seen) == wanted)
    killed, _ = own.workers.pop("a")
    killed.kill()
    killed.wait()
    shutil.rmtree(own.settings.state_dir / "workers" / "a")
    own.start("a", SHELL)
    url = worker.url(2)
    assert ready(url) == 503
    worker.until(url, lambda _: ready(url) == 200)
    seen = worker.until(url, lambda seen: state_gauges(seen) == wanted)
    assert total(seen, "postroom_restored_records_total") > 0
    assert {value for _, value in seen["postroom_restore_progress_ratio"]} == {1.0}


def test_a_gateway_tells_of_its_requests_and_of_whom_it_waits_for(own: Installation):
    """By route, status and reason; the same health on its own port and beside its metrics."""
    gateway, watched = Gateway(own), Watched(own, "gateway.log")
    gateway.start()
    try:
        url = re.findall(r"metrics on (http://[0-9.:]+)/metrics", watched.log.read_text())[-1]
        assert ready(url) == 200
        routes = [("/events", "POST", 202), ("/views/{agreement}/lookup", "POST", 200)]
        assert not not_told(watched.scrape(url), gateway_series(routes, ()))
        assert gateway.http.post("/events", content=b"{}").status_code == 401
        asked = "postroom_gateway_requests_total"
        seen = watched.until(url, lambda seen: total(seen, asked, status="401") >= 1)
        assert total(seen, "postroom_gateway_refusals_total") >= 1
        assert total(seen, "postroom_gateway_request_seconds_count") >= 1
        assert total(seen, "postroom_gateway_ready") == 1
        assert total(seen, "postroom_build_info", process="gateway") == 1
    finally:
        assert gateway.stop() == 0


def test_the_canary_sees_views_form_and_go_and_meets_nobody(own: Installation):
    """Measured from both ends, and only its own agreement's topic has its views."""
    watched = Watched(own, "canary.log")
    words = ("canary", "run", "--every", "0.2", "--withdraw-every", "2", "--patience", "60")
    before = {name: len(records) for name, records in own.view_records().items()}
    with watched.log.open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, *words], env=own.environment(), cwd=own.place, stdout=log, stderr=log
        )
    try:
        url = watched.url()
        rounds = "postroom_canary_rounds_total"
        assert not not_told(watched.scrape(url), canary_series())
        seen = watched.until(url, lambda seen: total(seen, rounds, result="success") >= 4)
        assert ready(url) == 200
        assert total(seen, "postroom_canary_seconds_count", path="event_to_view") >= 4
        assert total(seen, "postroom_canary_seconds_count", path="withdrawal_to_retraction") >= 1
        assert total(seen, "postroom_canary_last_success_timestamp_seconds", path="event_to_view") > 0
        letters, waiting = len(own.read(DEAD_LETTERS_TOPIC)), "postroom_dead_letters_open"
        seen = watched.until(url, lambda seen: total(seen, waiting) == letters)
        assert letters == 0 or total(seen, "postroom_dead_letters_oldest_seconds") > 0
        groups, lag = {f"postroom.{stage}" for stage in STAGES}, "postroom_group_lag_records"
        watched.until(url, lambda seen: {labels["group"] for labels, _ in seen[lag]} == groups)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(90)
    assert code == 0, watched.log.read_text()[-3000:]
    own.settle()
    after = own.view_records()
    assert {name: len(records) for name, records in after.items() if name != AGREEMENT} == {
        name: count for name, count in before.items() if name != AGREEMENT
    }
    latest = {record.key: record.value for record in after[AGREEMENT]}
    assert latest
    assert all(value is None for value in latest.values()), "it leaves no view behind"


def test_every_sample_is_declared_and_every_label_of_a_bounded_set(own: Installation, worker: Watched):
    """What a worker shows is on the page, and its labels hold what the rules and the code name."""
    seen = worker.scrape(worker.url(2))
    declared = {metric.name: set(metric.labels) for metric in every_metric()}
    types = {*own.contracts.by_type, "acknowledgements", "unknown", "postroom.pairs"}
    bounds = {
        "type": types,
        "agreement": set(own.agreements),
        "subscriber": {agreement.subscriber for agreement in own.agreements.values()},
        "stage": set(STAGES),
        "partition": {"0", "1", "2"},
        "reason": {
            "",
            "in-time",
            "late",
            "another-subscriber",
            "ended",
            "corrected",
            *Denial,
            *Dispute,
            *Rejection,
        },
    }
    for name, samples in seen.items():
        if not name.startswith("postroom_") or name.endswith("_created"):
            continue
        metric = name if name in declared else re.sub(r"_(bucket|sum|count)$", "", name)
        assert metric in declared, name
        for labels, _ in samples:
            assert labels.keys() - {"le"} == declared[metric], name
            for label, value in labels.items():
                assert value in bounds.get(label, {value}), f"{name} {label}"


def test_nothing_that_operators_see_names_anybody(own: Installation, worker: Watched, people: list[bytes]):
    """Logs, metrics, dead letters and reports of the whole run: no identifier, name, postcode of anyone."""
    own.stop()
    wanted = secrets(people)
    assert len(wanted) > 5 * CITIZENS
    seen = {path.name: path.read_text() for path in own.place.glob("*.log")}
    seen["metrics"] = "\n".join(worker.pages)
    for topic in (DEAD_LETTERS_TOPIC, REPORTS_TOPIC):
        seen[topic] = "\n".join(str((r.key, r.value, r.headers)) for r in own.read(topic))
    assert {"a.log", "gateway.log", "canary.log"} <= seen.keys()
    assert '"event": "rejected"' in seen["a.log"]
    for where, text in seen.items():
        found = {secret for secret in wanted if secret in text}
        assert not found, f"{where} names {len(found)} of {len(wanted)}"
