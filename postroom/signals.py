"""The signals of a process, put together: its log, its metrics and health, and what it asks the systems."""

from __future__ import annotations

from collections.abc import Collection

from connectors import Stack
from connectors.reachable import kafka_problem, registry_problem
from connectors.signals import IsAlive, Signals, WaitingFor
from postroom.config import Settings


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
    """
    return Signals(
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
    )
