"""Spans for whoever traces: one for each step of an event's way that its department's trace asks for.

OpenTelemetry, by OTLP over HTTP, only where an address is set and the extra `tracing` is installed. A span is
made after the fact, from when something began to when it was done, as a child of the trace that the event
carries (V3): no event without one is traced, and of those only the ones that their department sampled. A
collector that is slow or away costs spans and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from connectors.trouble import Misused

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

Kind = Literal["server", "consumer", "client"]
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
QUEUED_MAX = 2_048
"""What waits for the collector at most; what comes then is dropped."""


class Tell(Protocol):
    """Tells a span: its name, the trace that it belongs to, when it began and ended (UTC ms), what is known
    of it. Labels are as bounded as those of metrics: no person and no event.
    """

    def __call__(
        self, name: str, traceparent: str, began_ms: int, ended_ms: int, labels: Mapping[str, str]
    ) -> None: ...


def trace_in(headers: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the trace that a record's headers carry, as CloudEvents write it; empty if they carry none."""
    for name, value in headers:
        if name in ("ce_traceparent", "traceparent"):
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""


def untold(name: str, traceparent: str, began_ms: int, ended_ms: int, labels: Mapping[str, str]) -> None:
    """Nobody traces."""


class Tracing:
    """The spans of one process; :meth:`close` sends what is left."""

    def __init__(self, process: str, kind: Kind, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
        from opentelemetry.trace import SpanKind

        # INVARIANT: no global provider. Libraries that would trace of themselves would tell paths and keys.
        self._provider = TracerProvider(
            resource=Resource({"service.name": f"postroom-{process}", "service.namespace": "postroom"}),
            sampler=ParentBased(ALWAYS_OFF),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUED_MAX))
        self._tracer = self._provider.get_tracer("postroom")
        self._kind = SpanKind[kind.upper()]

    def tell(
        self, name: str, traceparent: str, began_ms: int, ended_ms: int, labels: Mapping[str, str]
    ) -> None:
        """Tell one span; a traceparent that is none, or that its department did not sample, makes none."""
        from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

        found = TRACEPARENT.fullmatch(traceparent)
        if found is None:
            return
        trace, span, flags = (int(part, 16) for part in found.groups())
        parent = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags))
        if not parent.is_valid:
            return
        told = self._tracer.start_span(
            name,
            set_span_in_context(NonRecordingSpan(parent)),
            self._kind,
            dict(labels),
            start_time=began_ms * 1_000_000,
        )
        told.end(max(began_ms, ended_ms) * 1_000_000)

    def close(self) -> None:
        """Send what is left, for a moment."""
        self._provider.shutdown()


def tracing_to(url: str, process: str, kind: Kind) -> Tracing:
    """Trace to a collector's address for OTLP over HTTP, `http://…/v1/traces`; Misused without the extra."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise Misused(
            "spans cannot be sent",
            where=url,
            why="OpenTelemetry's exporter is not installed",
            mend="pip install 'postroom[tracing]', or leave POSTROOM_TRACES_URL out",
        ) from error
    return Tracing(process, kind, OTLPSpanExporter(endpoint=url, timeout=5))
