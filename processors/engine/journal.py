"""The engine's log: events with fields, no payloads, no keys, no identifiers.

A process says once how its log is written (``postroom/logs.py``); until it has, a line is a JSON object on
stderr. What libraries say comes through here too, so that a log is of one kind.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

import structlog

from processors.stage import Notice

Level = Literal["debug", "info", "warning", "error"]

NOTICES_MAX = 20
"""Of one step: a department that sends nothing but rubbish fills topics, not the log."""
NAME_CHARACTERS_MAX = 200
SAY_AGAIN_S = 10.0
"""Before the same sentence of a library is written again."""
SAID_MAX = 200
"""Sentences that are remembered for that."""


def say(event: str, level: Level = "info", **fields: Any) -> None:
    """Write one event."""
    getattr(structlog.get_logger() if structlog.is_configured() else _plain(), level)(event, **fields)


def say_notices(stage: str, partition: int, notices: Iterable[Notice]) -> None:
    """Write what a step has to say of single events: their names and why, and how many more there were."""
    told = list(notices)
    for notice in told[:NOTICES_MAX]:
        say(
            notice.what,
            stage=stage,
            partition=partition,
            reason=notice.reason,
            source=_short(notice.source),
            id=_short(notice.id),
            traceparent=_short(notice.traceparent),
        )
    if len(told) > NOTICES_MAX:
        say("more-notices", stage=stage, partition=partition, events=len(told) - NOTICES_MAX)


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS_MAX else f"{name[:NAME_CHARACTERS_MAX]}…"


def _plain() -> Any:
    # The real stderr: Faust redirects ``sys.stderr`` into its own logger.
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.__stderr__),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.JSONRenderer(default=str),
        ],
    )


class Libraries(logging.Handler):
    """Says what libraries log, as far as it can hold nobody's data.

    Of Kafka's clients the whole message; of others the sentence without what was put into it, which may be an
    exception's text. No traceback of any. The same sentence is written once in a while: a client that is not
    let in says so a hundred times a second, and would fill the disk.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic_s = monotonic_s
        self._said_s: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        ours = record.name.startswith(("aiokafka", "kafka"))
        message = record.getMessage() if ours else str(record.msg)
        if self._was_said(record.name, message):
            return
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        say("library", level, logger=record.name, message=message)

    def _was_said(self, logger: str, message: str) -> bool:
        now_s = self._monotonic_s()
        if now_s - self._said_s.get((logger, message), -math.inf) < SAY_AGAIN_S:
            return True
        if len(self._said_s) >= SAID_MAX:
            self._said_s.clear()
        self._said_s[logger, message] = now_s
        return False


LIBRARIES: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"journal": {"class": f"{__name__}.Libraries", "level": "WARNING"}},
    "root": {"level": "WARNING", "handlers": ["journal"]},
}
"""For ``logging.config.dictConfig``, and for Faust, which does that itself."""
