"""Faults on demand: a process that kills itself at a named point, so that tests reach inside a transaction.

``POSTROOM_FAULT=<point>:<probability>`` (or ``any:<probability>``), off unless set. It only ever sends this
process the signal that a failing machine would.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

POINTS = (
    "opened, state not replayed",
    "state replayed, not seeked",
    "outputs written, transaction open",
    "offsets added, not committed",
    "committed, store not written",
    "store written",
)
"""The moments at which a crash may leave different things behind."""


def faults_from(setting: str | None) -> Callable[[str], None]:
    """Return the function that the engine calls at each point of :data:`POINTS`; usually it does nothing."""
    if not setting:
        return _nothing
    where, _, chance = setting.rpartition(":")
    probability = float(chance)
    if where not in {*POINTS, "any"}:
        raise ValueError(
            f"POSTROOM_FAULT names no point of the engine: {where!r}; known: {', '.join(POINTS)}"
        )

    def perhaps_die(point: str) -> None:
        if where in {"any", point} and random.random() < probability:  # noqa: S311 - chance, not secrecy
            os.kill(os.getpid(), signal.SIGKILL)

    return perhaps_die


def _nothing(point: str) -> None:
    """Do what a healthy machine does at ``point``."""
