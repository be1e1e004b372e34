"""The engine's log: one JSON object a line on stderr, no payloads, no keys, no identifiers."""

from __future__ import annotations

import sys
from typing import Any

import structlog


def say(event: str, **fields: Any) -> None:
    """Write one event to the process's real stderr (Faust redirects ``sys.stderr`` into its own logger)."""
    structlog.wrap_logger(
        structlog.PrintLogger(sys.__stderr__),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.JSONRenderer(default=str),
        ],
    ).info(event, **fields)
