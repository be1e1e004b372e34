"""The signals of a process, put together: its log, its metrics and health, and what it asks the systems."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from types import ModuleType

from prometheus_client.metrics import MetricWrapperBase

from connectors import Stack
from connectors.reachable import kafka_problem, registry_problem
from connectors.signals import LOOK_EVERY_S, IsAlive, Signals, WaitingFor
from postroom.config import Settings
from postroom.own_state import tell_certificates, tell_clock, tell_disk

DECLARED_IN: Mapping[str, str] = {
    "worker": "processors.engine.metrics",
    "gateway": "connectors.gateway.audit",
    "outbox": "connectors.postgres.outbox_metrics",
    "sink": "connectors.postgres.sink_metrics",
    "files": "connectors.files.metrics",
    "webhook": "connectors.webhook.metrics",
    "pay": "connectors.pay.metrics",
    "onelogin": "connectors.onelogin.metrics",
    "notify": "connectors.notify.metrics",
    "canary": "postroom.canary.metrics",
}
"""Where each kind of process declares its metrics. Named, not imported: a process loads its own."""


def metrics_in(module: ModuleType) -> Iterator[MetricWrapperBase]:
    """Yield the metrics of a module, in their order there."""
    return (found for found in vars(module).values() if isinstance(found, MetricWrapperBase))


def show_signals(
    process: str,
    settings: Settings,
    stack: Stack,
    waiting_for: WaitingFor,
    is_alive: IsAlive = lambda: True,
    needed: Collection[str] = (),
) -> Signals:
    """Serve a process's metrics and health where the settings say; it lives as long as the process, and is
    not ready while what is `needed` (of `kafka`, `registry`) does not answer.

    Of the metrics it tells those that its kind declares. Others' are loaded as well, with what both stand
    on, and those without labels would be there at once: a webhook process is no gateway that is not ready.
    """
    signals = Signals(
        process,
        settings.metrics_host,
        settings.metrics_port,
        waiting_for,
        is_alive,
        {
            "kafka": lambda: kafka_problem(stack.access),
            "registry": lambda: registry_problem(stack.registry),
        },
        needed,
        metrics_in(import_module(DECLARED_IN[process])),
    )
    tell_disk(settings)
    signals.keep_asking("certificates", lambda: tell_certificates(settings, stack), LOOK_EVERY_S)
    signals.keep_asking("clock", lambda: tell_clock(stack), LOOK_EVERY_S)
    return signals
