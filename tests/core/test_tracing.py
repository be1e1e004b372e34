"""Spans: off by default, only for events whose department traces them, and nobody's data in any (V3)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from connectors.tracing import Tracing, trace_in, tracing_to, untold
from connectors.trouble import Misused
from connectors.webhook import Courier
from connectors.webhook.answers import Answer, Outcome
from connectors.webhook.outbox import Parcel
from postroom.config import load_settings
from postroom.traces import of_steps, spans_of
from processors.messages import FRAGMENTS_TOPIC
from processors.replay import run_lines
from processors.rules import Keys, Rules
from processors.stage import Step, Trace
from schemas import parse_instant
from tests.core.test_first_series import AGREEMENTS, CONTRACTS
from tests.event_kit import award, binary, step
from tests.gateway_kit import claimant, rig
from tests.webhook_kit import ENDPOINT, change

ROOT = Path(__file__).resolve().parents[2]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
AT_MS = parse_instant("2026-06-01T12:00:00Z")
COLLECTOR = {"POSTROOM_TRACES_URL": "http://127.0.0.1:1/v1/traces"}


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """A collector in memory."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    """The spans of a worker."""
    return Tracing("worker", "consumer", exporter)


def test_a_span_belongs_to_the_trace_that_the_event_carries(tracing: Tracing, exporter: InMemorySpanExporter):
    """A child of the department's span, from the broker's timestamp to the commit, in nanoseconds."""
    tracing.tell("record view", SAMPLED, AT_MS, AT_MS + 250, {"postroom.stage": "record"})
    tracing.close()
    (span,) = exporter.get_finished_spans()
    assert span.parent is not None
    assert span.parent.is_remote
    assert f"{span.context.trace_id:032x} {span.parent.span_id:016x}" == f"{TRACE} {SPAN}"
    assert span.kind is SpanKind.CONSUMER
    assert (span.start_time, span.end_time) == (AT_MS * 1_000_000, (AT_MS + 250) * 1_000_000)
    assert dict(span.attributes or {}) == {"postroom.stage": "record"}
    assert span.resource.attributes["service.name"] == "postroom-worker"


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        UNSAMPLED,
        "nino:AB123456C",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{SAMPLED}\n",
    ],
)
def test_what_a_department_did_not_sample_makes_no_span(
    tracing: Tracing, exporter: InMemorySpanExporter, traceparent: str
):
    """Nor does a text that is no traceparent: it comes from outside, and may be anything."""
    tracing.tell("intake accepted", traceparent, AT_MS, AT_MS, {})
    tracing.close()
    assert not exporter.get_finished_spans()


def test_intake_says_what_became_of_an_event_that_is_traced():
    """Accepted or rejected, by a name of ours; nothing of one that carries no trace."""
    traced = award() | {"traceparent": SAMPLED}
    assert step(binary(award())).traces == []
    (accepted,) = step(binary(traced)).traces
    assert accepted == Trace(SAMPLED, "accepted", traced["type"], binary(traced).timestamp_ms)
    (rejected,) = step(replace_topic(traced)).traces
    assert (rejected.what, rejected.of) == ("rejected", traced["type"])


def replace_topic(of: dict[str, object]):
    """The event as it comes on another type's topic, where it is rejected."""
    return binary(of, next(type_ for type_ in CONTRACTS.by_type if type_ != of["type"]))


def test_a_view_and_its_retraction_are_told_with_the_trace_of_the_event_that_caused_them():
    """From that event's moment at the broker, through all stages."""
    lines = (ROOT / "docs/examples/first-event.jsonl").read_bytes().splitlines()
    traced = [json.dumps(json.loads(line) | {"traceparent": SAMPLED}).encode() for line in lines if line]
    rules = Rules(CONTRACTS, AGREEMENTS, Keys(b"secret"))
    found: list[Trace] = []
    pipeline = run_lines([], rules, AT_MS).pipeline
    records = pipeline.stages[FRAGMENTS_TOPIC]
    original = records.step

    def watched(*words: object) -> Step:
        made = original(*words)  # type: ignore[arg-type]
        found.extend(made.traces)
        return made

    records.step = watched  # type: ignore[method-assign]
    told = run_lines(traced, rules, AT_MS).pipeline  # what is written does not depend on who looks
    pipeline.send(sent_to_identity(traced, rules))
    pipeline.run(AT_MS)
    assert {trace.traceparent for trace in found} == {SAMPLED}
    assert {trace.what for trace in found} == {"view"}
    assert {trace.of for trace in found} == {name for name, views in told.views().items() if views}
    assert {trace.since_ms for trace in found} == {AT_MS}


def sent_to_identity(lines: list[bytes], rules: Rules):
    """What intake makes of lines."""
    from processors.intake import Intake
    from processors.messages import ASSERTIONS_TOPIC, Said, encode
    from processors.stage import Outgoing

    verdicts = [Intake(rules).accept_json(line, AT_MS) for line in lines]
    return [
        Outgoing(ASSERTIONS_TOPIC, said.subject.encode(), encode(said))
        for said in verdicts
        if isinstance(said, Said)
    ]


def test_a_step_is_told_by_stage_and_outcome(tracing: Tracing, exporter: InMemorySpanExporter):
    """As the conventions for messaging name it; labels are as bounded as those of metrics."""
    tell = of_steps(tracing.tell)
    tell("record", [Trace(SAMPLED, "retraction", "council-leeds-housing", AT_MS)], AT_MS + 90)
    tracing.close()
    (span,) = exporter.get_finished_spans()
    assert span.name == "record retraction"
    assert dict(span.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "postroom.stage": "record",
        "postroom.outcome": "retraction",
        "postroom.of": "council-leeds-housing",
    }


def test_the_gateway_tells_what_became_of_each_event_that_is_traced(tmp_path: Path):
    """By the event's own trace, or the request's; a refused event is no event yet."""
    told: list[tuple[str, str, dict[str, str]]] = []
    made = rig(
        tmp_path, tell=lambda name, trace, began, ended, labels: told.append((name, trace, dict(labels)))
    )
    assert made.publish(claimant("1"), traceparent=SAMPLED).status_code == 202
    assert made.publish(claimant("1"), traceparent=SAMPLED).status_code == 202
    assert made.publish({"id": "2"}, traceparent=SAMPLED).status_code == 400
    assert [labels["postroom.outcome"] for _, _, labels in told] == ["written", "known"]
    assert {(name, trace) for name, trace, _ in told} == {("gateway publish", SAMPLED)}
    assert {labels["postroom.of"] for _, _, labels in told} == {"uk.gov.benefits.claimant.v1"}


def test_a_delivery_is_told_by_endpoint_and_outcome():
    """Each attempt, with the trace that the view carries on; never its key."""
    told: list[tuple[str, dict[str, str]]] = []
    sent = change("s-key", 1, {"name": None})
    sent = sent._replace(headers=(*sent.headers, ("traceparent", SAMPLED)))

    class Line:
        async def ask(self, *_: object) -> Answer:
            return Answer(Outcome.FAILED, 500)

    class Quiet:
        def failed(self, *_: object) -> None:
            """It is tried again later."""

    def tell(name: str, trace: str, began: int, ended: int, labels: dict[str, str]) -> None:
        assert name == "webhook deliver"
        assert began <= ended
        told.append((trace, dict(labels)))

    courier = Courier(ENDPOINT, Line(), b"secret", Quiet, tell)  # type: ignore[arg-type]
    parcel = Parcel(("council-leeds-housing", "s-key"), sent, 0)
    asyncio.run(courier._deliver(Quiet(), asyncio.Event(), parcel))  # type: ignore[arg-type]
    labels = {
        "postroom.outcome": "failed",
        "postroom.endpoint": "leeds",
        "postroom.of": "council-leeds-housing",
    }
    assert told == [(SAMPLED, labels)]


def test_spans_reach_a_collector():
    """By OTLP over HTTP, as any collector takes them; what is left is sent at the end."""
    bodies: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        tracing = tracing_to(f"http://127.0.0.1:{server.server_port}/v1/traces", "gateway", "server")
        tracing.tell("gateway publish", SAMPLED, AT_MS, AT_MS + 3, {"postroom.outcome": "written"})
        tracing.close()
    finally:
        server.shutdown()
        server.server_close()
    ((path, body),) = bodies
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (span,) = resource.scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("gateway publish", TRACE, SPAN)


def test_nobody_traces_unless_a_collector_is_named(tmp_path: Path):
    """Off by default: nothing of OpenTelemetry's SDK is even loaded by a worker's modules."""
    assert spans_of("worker", "consumer", load_settings({}, tmp_path)) is untold
    words = "import sys, postroom.composition, postroom.gateway, postroom.webhook; "
    words += "print(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_collector_without_the_extra_is_a_wrong_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Said at the start, with what to install; silence would be taken for a quiet day."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(Misused) as raised:
        spans_of("worker", "consumer", load_settings(COLLECTOR, tmp_path))
    assert "postroom[tracing]" in raised.value.mend


def test_a_trace_is_found_in_either_spelling():
    """E2: CloudEvents in Kafka write an extension with or without their prefix."""
    assert trace_in([("x", b"1"), ("traceparent", SAMPLED.encode())]) == SAMPLED
    assert trace_in([("ce_traceparent", SAMPLED)]) == SAMPLED
    assert trace_in([("ce_id", b"a")]) == ""
