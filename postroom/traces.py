"""Spans of a process, put together: where the settings name a collector, and nothing else otherwise."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence

from connectors.tracing import Kind, Tell, tracing_to, untold
from postroom.config import Settings
from processors.stage import Trace


def spans_of(process: str, kind: Kind, settings: Settings) -> Tell:
    """Return what tells this process's spans; Misused where they are wanted and the extra is missing.

    What is left is sent when the process ends of itself. One that stops itself with 70 loses the last few.
    """
    if settings.traces_url is None:
        return untold
    tracing = tracing_to(settings.traces_url, process, kind)
    atexit.register(tracing.close)
    return tracing.tell


def of_steps(tell: Tell) -> Callable[[str, Sequence[Trace], int], None]:
    """Return what the engine tells of a stage's step: a span for each event that carries a trace."""

    def told(stage: str, traces: Sequence[Trace], committed_ms: int) -> None:
        for each in traces:
            labels = {
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "postroom.stage": stage,
                "postroom.outcome": each.what,
                "postroom.of": each.of,
            }
            tell(f"{stage} {each.what}", each.traceparent, each.since_ms, committed_ms, labels)

    return told
