"""How the log of a process is written: words for a terminal, one JSON object a line for everything else.

One place for workers, gateway and canary. All write to stderr; stdout is for data (DESIGN §8). What is said
holds no payload and no identifier; that is up to whoever says it, and `tests/flow/test_signals.py` looks.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from postroom.config import Settings


def configure_logs(settings: Settings) -> None:
    """Write events as the settings say; `auto` looks whether anybody sits before a terminal."""
    wanted = settings.log_format
    terminal = sys.stderr is not None and sys.stderr.isatty()
    as_json = wanted == "json" or (wanted == "auto" and not terminal)
    structlog.configure(
        processors=[
            *_EVERY,
            structlog.processors.JSONRenderer(default=str) if as_json else _console(terminal),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
        cache_logger_on_first_use=False,
    )


_EVERY: list[Any] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
]


def _console(terminal: bool) -> Any:
    # INVARIANT: texts are quoted. An event's id is a stranger's word and may hold what a terminal obeys.
    return structlog.dev.ConsoleRenderer(colors=terminal, timestamp_key="at", repr_native_str=True)
