"""A worker as `postroom run` starts it, but sooner missed: the tests of faults have no time for ten seconds.

Only the group's session timeout differs, and ``FAULTS_POINT`` may name a point at which the engine kills
itself (`processors/engine/faults.py`).
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

from postroom import composition
from postroom.cli import run

SESSION_MS = 3_000
as_configured = composition.engine_config


def sooner_missed(*arguments: Any) -> Any:
    """The configuration of a worker, with a shorter session."""
    config = as_configured(*arguments)
    return replace(config, session_timeout_ms=SESSION_MS, fault=os.environ.get("FAULTS_POINT"))


if __name__ == "__main__":
    composition.engine_config = sooner_missed
    sys.exit(run(sys.argv[1:]))
