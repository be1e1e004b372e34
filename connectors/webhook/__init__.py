"""Webhooks: a service team without Kafka receives its views by HTTP POST, signed (ADR 0050, 0051).

It imports `schemas` only, and of the gateway what a change of a view is. What it needs of files, topics and
the clock is given to it by `postroom`.
"""

from connectors.webhook.addresses import Network, read_networks
from connectors.webhook.courier import Courier, permission
from connectors.webhook.desk import Desk
from connectors.webhook.endpoints import Endpoint, load_endpoints
from connectors.webhook.handshake import Withheld
from connectors.webhook.journal import ACTIVE, DISABLED, PARKED, Journal, Standing
from connectors.webhook.line import Line, trusted
from connectors.webhook.reader import Reader
from connectors.webhook.rounds import Rounds

__all__ = [
    # who receives
    "Endpoint",
    "load_endpoints",
    # how it stands
    "ACTIVE",
    "DISABLED",
    "PARKED",
    "Journal",
    "Standing",
    # sending
    "Courier",
    "Desk",
    "Line",
    "Network",
    "Reader",
    "Rounds",
    "Withheld",
    "permission",
    "read_networks",
    "trusted",
]
