"""One line of a connector's log, however the process around it has configured logs."""

from __future__ import annotations

import sys
from typing import Literal

import structlog


def say(event: str, level: Literal["info", "warning"] = "info", **fields: object) -> None:
    """Write one event as the process has configured its log; until it has, a JSON object on stderr."""
    logger = structlog.get_logger()
    if not structlog.is_configured():
        logger = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr), [structlog.processors.JSONRenderer(default=str)]
        )
    getattr(logger, level)(event, **fields)
