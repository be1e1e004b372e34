"""What every process tells Prometheus, whatever it is: which build it is, and what it can reach."""

from __future__ import annotations

from prometheus_client import Gauge

BUILD = Gauge(
    "postroom_build_info", "1, with what this process is and which release.", ["process", "version", "python"]
)
REACHABLE = Gauge(
    "postroom_reachable",
    "1 if the system answered when this process last asked, every ten seconds.",
    ["system"],
)
