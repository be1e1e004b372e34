"""Promises as code: `deploy/slo.yaml` becomes Prometheus's rules and Alertmanager's configuration."""

from postroom.alerts.build import ALERTMANAGER, RULES, made
from postroom.alerts.promises import Promises, load_promises

__all__ = ["ALERTMANAGER", "RULES", "Promises", "load_promises", "made"]
